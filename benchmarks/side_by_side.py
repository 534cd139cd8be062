"""Two encoders side by side, one of them trained: what it is worth to heads, beside one alone.

    python benchmarks/side_by_side.py runs/quality/model --root DATA --ladders PHOTOS --held OTHERS

The start (--model) and the trained model look at photos in the same way. Printed for the start
alone, the trained one alone, and both: test SRCC of people's scores over 60 splits; that of the
head that also learns from ladders, over ten; and of ladders of the photos OTHERS, which are in no
fit, the share of adjacent levels in order and the SRCC with MDSI over all of them. Features that
are the same in both encoders count once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import torch
from torch import Tensor

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.evaluation.datasets import evaluate_dataset
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.splits import random_splits
from shamisa_cli.ladders.edits import EditedPhotos
from shamisa_cli.ladders.extract import extract_edits, extract_ladders
from shamisa_cli.ladders.heads import judge, teach
from shamisa_cli.ladders.ladder import Ladders, draw_photos, score_ladders
from shamisa_cli.ladders.lessons import LessonOptions
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder
from shamisa_cli.progress import say_skipped

SAME = 1e-3
"""Features that differ by no more on any scored photo are the same."""


@dataclass(frozen=True, eq=False)
class Seen:
    """All photos of the comparison, as one encoder sees them, or two."""

    found: DatasetFeatures
    ladders: Ladders
    edits: EditedPhotos
    held: Ladders

    def beside(self, other: Seen) -> Seen:
        """With the features of ``other`` that are not the same."""
        apart = (self.found.features - other.found.features).abs().amax((0, 1)) > SAME

        def both(one: Tensor, two: Tensor) -> Tensor:
            return torch.cat([one, two[..., apart]], -1)

        def ladders(one: Ladders, two: Ladders) -> Ladders:
            return replace(one, features=both(one.features, two.features))

        edited = {k: both(rows, other.edits.features[k]) for k, rows in self.edits.features.items()}
        others = self.edits.others
        if others is not None and other.edits.others is not None:
            others = both(others, other.edits.others)
        return Seen(
            replace(self.found, features=both(self.found.features, other.found.features)),
            ladders(self.ladders, other.ladders),
            replace(self.edits, features=edited, others=others),
            ladders(self.held, other.held),
        )


def see(frozen: FrozenEncoder, asked: argparse.Namespace, held: Sequence[Path]) -> Seen:
    """The dataset, ladders and edits as one encoder sees them."""
    found = frozen.dataset(open_dataset(asked.dataset, asked.root), say_skipped)
    drawn = draw_photos(asked.ladders, asked.ladder_photos + asked.good_photos, asked.seed)
    photos, others = drawn[: asked.ladder_photos], drawn[asked.ladder_photos :]
    ladders = extract_ladders(frozen, photos, say_skipped, asked.ladder_per_photo)
    readable = list(dict.fromkeys(ladders.photos))
    edits = extract_edits(frozen, readable, others=others, skip=say_skipped)
    return Seen(found, ladders, edits, extract_ladders(frozen, held, say_skipped))


def line(name: str, seen: Seen, seed: int) -> str:
    """A row of the table."""
    dataset = seen.found.dataset
    many, few = (random_splits(dataset.references, count, seed) for count in (60, 10))
    plain = [each.measures["srcc"] for each in evaluate_dataset(name, seen.found, many).results]
    taught = teach(dataset, seen.found.features, seen.ladders, seen.edits, LessonOptions())
    judged = judge(taught, evaluate_dataset(name, seen.found, few)).result
    mixed = median(each.measures["srcc"] for each in judged.results)
    weights = taught.basis @ taught.fit(taught.ladders, judged.strength)[0]
    on_held = score_ladders(seen.held, weights)["all"]
    size = seen.found.features.shape[-1]
    return (
        f"{name:<14}{size:>9}{fmean(plain):>9.3f}{mixed:>9.3f}"
        f"{on_held.in_order:>10.3f}{on_held.mdsi:>11.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("trained", help="name or folder of the trained model")
    parser.add_argument("--model", default="lite0", help="the start")
    parser.add_argument("--dataset", default="clive")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--ladders", type=Path, required=True, help="good photos, to learn from")
    parser.add_argument("--ladder-photos", type=int, default=48)
    parser.add_argument("--ladder-per-photo", type=int, default=12)
    parser.add_argument("--good-photos", type=int, default=400, help="others, as they are")
    parser.add_argument("--held", type=Path, required=True, help="good photos in no fit")
    parser.add_argument("--held-photos", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--features-cache", type=Path)
    asked = parser.parse_args()
    held = draw_photos(asked.held, asked.held_photos, asked.seed)
    seen = []
    for name in (asked.model, asked.trained):
        encoder, config = load_encoder(locate_model(name))
        how = {"cache": asked.features_cache, "workers": 1}
        frozen = FrozenEncoder(name, encoder.eval(), config.protocol, **how)
        seen.append(see(frozen, asked, held))
    print(f"{'':<14}{'features':>9}{'scores':>9}{'ladders':>9}{'in order':>10}{'with MDSI':>11}")
    start, trained = seen
    for name, each in (("start", start), ("trained", trained), ("both", start.beside(trained))):
        print(line(name, each, asked.seed), flush=True)


if __name__ == "__main__":
    main()
