"""Fine-tuning over splits, beside the linear probe on the same splits: the table and its test."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from shamisa_cli.evaluation.evaluate import summaries
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.report import ReportRow
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.files import replacing
from shamisa_cli.finetuning.config import FinetuneConfig
from shamisa_cli.finetuning.kept import keep_early
from shamisa_cli.finetuning.run import Check, finetune_split
from shamisa_cli.seeds import generator
from shamisa_cli.training.checkpoint import writing

RESULT = "result.json"
SHARES = 9
"""The random stream that takes photos out of the training part."""


@dataclass(frozen=True)
class Outcome:
    """One split, fine-tuned and by the linear probe.

    Attributes
    ----------
    split : its number.
    share : of the training part that was used.
    best : the step whose state was kept; 0 is the linear probe.
    checks : looks at the validation part.
    strength : of the linear probe's ridge.
    probe, tuned : measures on the test part, by name.
    """

    split: int
    share: float
    best: int
    checks: list[Check]
    strength: float
    probe: dict[str, float]
    tuned: dict[str, float]


@dataclass(frozen=True)
class Paired:
    """Fine-tuned minus linear probe, split by split.

    Attributes
    ----------
    mean : of the differences in SRCC.
    ahead, splits : in how many of the splits fine-tuning is ahead.
    p : two-sided p of Wilcoxon's signed-rank test; NaN where no split differs.
    """

    mean: float
    ahead: int
    splits: int
    p: float

    def line(self, share: float) -> str:
        """For people."""
        part = "" if share == 1 else f" on {share:.0%} of the training part"
        doubt = "" if math.isnan(self.p) else f", Wilcoxon p {self.p:.2g}"
        return (
            f"fine-tuned minus linear probe{part}: SRCC {self.mean:+.3f}, ahead in {self.ahead} "
            f"of {self.splits}{doubt}"
        )


def finetune_splits(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    splits: Sequence[Split],
    shares: Sequence[float],
    config: FinetuneConfig,
    out: Path,
    say: Callable[[str], None],
    on_step: Callable[[dict[str, Any]], None],
) -> Iterator[Outcome]:
    """Fine-tune on every split and share; ends early where a signal stops a run.

    Each has a folder in ``out``. A split that is finished there is not done again.
    """
    kept = keep_early(frozen, found, config)
    for share in shares:
        for number, split in enumerate(splits):
            folder = out / f"share-{round(100 * share):03d}" / f"split-{number:02d}"
            outcome = read_outcome(folder / RESULT)
            if outcome is None:
                some = smaller(split, share, config.seed, number)
                made = finetune_split(frozen, found, some, config, folder, on_step, kept)
                strength, probe = made.probe.strength, made.probe.measures
                outcome = Outcome(
                    number, share, made.best, made.checks, strength, probe, made.measures
                )
                with writing(folder):
                    folder.mkdir(parents=True, exist_ok=True)
                    with replacing(folder / RESULT) as part:
                        part.write_text(json.dumps(asdict(outcome), indent=1), encoding="utf-8")
            say(
                f"split {number + 1} of {len(splits)}: SRCC {outcome.probe['srcc']:.3f} → "
                f"{outcome.tuned['srcc']:.3f} (step {outcome.best})"
            )
            yield outcome


def read_outcome(path: Path) -> Outcome | None:
    """What a finished split came to; None if it is not finished, or the file is torn."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        checks = [Check(**check) for check in values.pop("checks")]
        return Outcome(**values, checks=checks)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def smaller(split: Split, share: float, seed: int, number: int) -> Split:
    """``split`` with ``share`` (0 … 1] of its training part, at least 3; larger ones hold smaller.

    Validation and test parts are the same for every share.
    """
    if share == 1:
        return split
    order = torch.randperm(len(split.train), generator=generator(seed, SHARES, number))
    count = max(3, round(share * len(split.train)))
    return Split(split.train[order[:count]].sort().values, split.val, split.test)


def paired(outcomes: Sequence[Outcome]) -> Paired:
    """The differences in SRCC of ``outcomes`` on the same share."""
    gains = np.array([each.tuned["srcc"] - each.probe["srcc"] for each in outcomes])
    p = float(stats.wilcoxon(gains).pvalue) if (gains != 0).any() else math.nan
    return Paired(float(gains.mean()), int((gains > 0).sum()), len(gains), p)


def by_share(outcomes: Sequence[Outcome]) -> dict[float, list[Outcome]]:
    """``outcomes`` by the share of the training part that they used, in their order."""
    found: dict[float, list[Outcome]] = {}
    for each in outcomes:
        found.setdefault(each.share, []).append(each)
    return found


def study_rows(
    name: str, dataset: str, images: int, method: str, outcomes: Sequence[Outcome]
) -> list[ReportRow]:
    """For each share a row of the linear probe and one of ``method``."""
    rows = []
    for share, some in by_share(outcomes).items():
        part = "" if share == 1 else f", {share:.0%} of the training part"
        strength = float(np.median([each.strength for each in some]))
        for note, measures in (
            ("linear probe", [each.probe for each in some]),
            (method, [each.tuned for each in some]),
        ):
            facts = name, dataset, dataset, images, len(some), strength
            rows.append(ReportRow(*facts, summaries(measures), note + part))
    return rows
