"""A model is taught to explain its scores: examples, both readings, their figures, the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.explaining.examples import Examples, extract_examples
from shamisa_cli.explaining.fit_kinds import fit_kinds
from shamisa_cli.explaining.fit_places import fit_places
from shamisa_cli.explaining.measure import measure
from shamisa_cli.explaining.reading import readable_of
from shamisa_cli.explaining.store import ExplainHeads, ExplainInfo, save_explain_heads
from shamisa_cli.models.heads import choose_head
from shamisa_cli.models.names import EXPLAIN_FILES, is_bundled
from shamisa_cli.models.store import encoder_digest, load_encoder
from shamisa_cli.progress import progress_bar


def check_teachable(folder: Path, *, overwrite: bool) -> None:
    """Refuse a bundled model, and one that explains its scores, unless that is to be replaced."""
    if is_bundled(folder):
        raise UsageError(
            f"{folder.name} is bundled and stays as it is; copy {folder}, and teach the copy"
        )
    if (folder / EXPLAIN_FILES[0]).is_file() and not overwrite:
        raise UsageError(
            f"{folder / EXPLAIN_FILES[0]}: the model explains its scores already; replace that "
            "with overwrite"
        )


def teach(
    folder: Path,
    photos: Sequence[Path],
    tested: Sequence[Path],
    *,
    ends: int,
    seed: int,
    device: str,
    workers: int,
    skip: Callable[[PhotoError], object],
    quiet: bool,
) -> ExplainInfo:
    """Fit both readings of a model folder to ``photos``, measure them on ``tested``, and keep them.

    They read the first ``ends`` ends of the model; 0 is all.

    Raises
    ------
    UsageError
        if the model needs pooling regions or crops whole to tell places apart, or has fewer ends.
    """
    encoder, config = load_encoder(folder)
    head = choose_head(folder, None, config)
    extractor = FeatureExtractor(encoder, config.protocol, device)
    readable = readable_of(extractor, ends)

    def examples_of(paths: Sequence[Path], what: str, *, all_cells: bool) -> Examples:
        with progress_bar(len(paths), what, quiet=quiet) as bar:
            how: dict[str, Any] = {"all_cells": all_cells, "progress": bar.update}
            how |= {"seed": seed, "workers": workers, "skip": skip}
            return extract_examples(extractor, head, paths, readable, **how)

    examples = examples_of(photos, "photos to learn from", all_cells=False)
    kinds = fit_kinds(examples, readable.maps, seed=seed)
    places = fit_places(examples, seed=seed)
    unseen = examples_of(tested, "photos to test on", all_cells=True)
    info = ExplainInfo(
        kinds=kinds.kinds,
        threshold=kinds.threshold,
        head=head.info.name,
        encoder=encoder_digest(folder, config),
        photos=len(set(examples.photo.tolist())),
        damaged=sum(what != "as it is" for what in examples.what),
        metrics=measure(unseen, kinds, places),
        ends=ends,
    )
    save_explain_heads(folder, ExplainHeads(kinds, places, info))
    return info
