"""What a run on one split is made with, in a file of its folder: only that run goes on there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.feature_cache import encoder_key
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.files import write_text
from shamisa_cli.finetuning.config import FinetuneConfig
from shamisa_cli.finetuning.ladders import LadderPart
from shamisa_cli.finetuning.targets import targets_of
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.checkpoint import checkpoints, writing

RUN = "run.json"
RUNNING = ("workers", "device", "precision", "keep_mb")
"""Keys that a resumed run may change."""


def run_facts(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    config: FinetuneConfig,
    ladders: LadderPart | None = None,
) -> dict[str, Any]:
    """All that the result of a run depends on, but the machine; as a plain mapping.

    Parameters as for :func:`~shamisa_cli.finetuning.run.finetune_split`.
    """
    data = found.dataset
    facts = {
        "model": encoder_key(frozen.encoder, frozen.protocol_for(data.info.short_side)),
        "images": len(data.images),
        "dataset": scored_digest(data, kinds=config.kinds),
        "split": {name: getattr(split, name).tolist() for name in ("train", "val", "test")},
        "photos for ladders": [],
        "config": {k: v for k, v in to_mapping(config).items() if k not in RUNNING},
    }
    if ladders and config.ladder_weight:
        facts["photos for ladders"] = ladders.digests
        facts["photos that choose"] = ladders.choose_digests
    return facts


def scored_digest(data: Dataset, *, kinds: bool = False) -> str:
    """By which scored images are known: their names and targets, so a dataset may move."""
    rows = zip(data.images, targets_of(data, kinds=kinds).tolist(), strict=True)
    text = json.dumps([[path.name, *targets] for path, targets in rows])
    return hashlib.sha256(text.encode()).hexdigest()


def begin(out: Path, facts: dict[str, Any]) -> None:
    """Note ``facts`` in ``out``, if no run has begun there.

    Raises
    ------
    UsageError
        if another run has.
    """
    if (out / RUN).exists() or checkpoints(out / "checkpoints"):
        check_same_run(out, facts)
        return
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    write_text(out / RUN, json.dumps(facts))


def check_same_run(out: Path, facts: dict[str, Any]) -> None:
    """Refuse the run in ``out`` unless ``facts`` are its own.

    A key of the config that is younger than the run is as by default there.
    """
    then = read_facts(out)
    plain = to_mapping(FinetuneConfig())
    settings, earlier = facts["config"], then["config"]
    differing = [k for k in settings if settings[k] != earlier.get(k, plain[k])]
    differing += [k for k in facts if k != "config" and facts[k] != then.get(k)]
    if differing:
        raise UsageError(
            f"the run in {out} was made with another {', '.join(differing)}: resume with the same, "
            "or choose another out"
        )


def read_facts(out: Path) -> dict[str, Any]:
    """What the run in ``out`` is made with; a UsageError if it does not say."""
    try:
        facts: dict[str, Any] = json.loads((out / RUN).read_text(encoding="utf-8"))
        if not isinstance(facts["config"], dict):
            raise ValueError("no config")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{out}: does not say in {RUN} what it was made with; choose another out"
        ) from error
    return facts
