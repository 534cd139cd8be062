"""Fine-tuning over splits, beside the linear probe on the same splits: the table and its test."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shamisa_cli.evaluation.evaluate import summaries
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.measures import signed_rank_p
from shamisa_cli.evaluation.report import ReportRow
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.files import replacing
from shamisa_cli.finetuning.config import FinetuneConfig
from shamisa_cli.finetuning.judges import Both, Judges, in_order_line
from shamisa_cli.finetuning.kept import keep_early
from shamisa_cli.finetuning.ladders import LadderPart
from shamisa_cli.finetuning.run import finetune_split
from shamisa_cli.finetuning.same_run import check_same_run, run_facts
from shamisa_cli.finetuning.watch import Check
from shamisa_cli.seeds import generator
from shamisa_cli.training.checkpoint import writing

RESULT = "result.json"
SHARES = 9
"""The random stream that takes photos out of the training part."""

NONE_ELSE = Judges()
"""The test part alone judges."""


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
    elsewhere : the same on all of other datasets, by their names.
    ladders : figures of ladders of photos held out, if ladders took part.
    judged_on : :attr:`~shamisa_cli.finetuning.judges.Judges.digests` of these.
    """

    split: int
    share: float
    best: int
    checks: list[Check]
    strength: float
    probe: dict[str, float]
    tuned: dict[str, float]
    elsewhere: dict[str, Both] = field(default_factory=dict)
    ladders: Both | None = None
    judged_on: dict[str, str] = field(default_factory=dict)

    def on(self, dataset: str | None = None) -> Both:
        """The measures on the test part, or on all of another dataset."""
        return Both(self.probe, self.tuned) if dataset is None else self.elsewhere[dataset]

    def judged_by(self, judges: Judges) -> bool:
        """Whether nothing that ``judges`` would say is missing, or of other photos or scores."""
        return self.judged_on.items() >= judges.digests.items()


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

    def line(self, share: float, dataset: str | None = None) -> str:
        """For people; ``dataset`` is another one that all of was predicted."""
        where = f" on {dataset}" if dataset else ""
        joint = "," if dataset else " on"
        part = "" if share == 1 else f"{joint} {share:.0%} of the training part"
        doubt = "" if math.isnan(self.p) else f", Wilcoxon p {self.p:.2g}"
        return (
            f"fine-tuned minus linear probe{where}{part}: SRCC {self.mean:+.3f}, "
            f"ahead in {self.ahead} of {self.splits}{doubt}"
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
    judges: Judges = NONE_ELSE,
) -> Iterator[Outcome]:
    """Fine-tune on every split and share; ends early where a signal stops a run.

    Each has a folder in ``out``. A split that is finished there is not trained again, and a
    UsageError if it is of another run.

    Parameters
    ----------
    shares : of the training part, whole percents: their folders are named so.
    judges : of each kept state, beside the test part.
    """
    kept = keep_early(frozen, found, config)
    for share in shares:
        for number, split in enumerate(splits):
            folder = out / f"share-{round(100 * share):03d}" / f"split-{number:02d}"
            some, ladders = smaller(split, share, config.seed, number), judges.ladders
            outcome = finished(folder, run_facts(frozen, found, some, config, ladders))
            if outcome is None or not outcome.judged_by(judges):
                made = finetune_split(frozen, found, some, config, folder, on_step, ladders, kept)
                outcome = Outcome(
                    number,
                    share,
                    made.best,
                    made.checks,
                    made.probe.strength,
                    made.probe.measures,
                    made.measures,
                    judges.on_datasets(made, frozen, found, some),
                    judges.on_ladders(made, frozen, found, some),
                    judges.digests,
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


def finished(folder: Path, facts: dict[str, Any]) -> Outcome | None:
    """What the run in ``folder`` came to, if it has ended; a UsageError if ``facts`` differ."""
    outcome = read_outcome(folder / RESULT)
    if outcome is not None:
        check_same_run(folder, facts)
    return outcome


def read_outcome(path: Path) -> Outcome | None:
    """What a finished split came to; None if it is not finished, or the file is torn."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        checks = [Check(**check) for check in values.pop("checks")]
        judged, ladders = values.pop("elsewhere", {}), values.pop("ladders", None)
        elsewhere = {name: Both(**both) for name, both in judged.items()}
        on_ladders = Both(**ladders) if ladders else None
        return Outcome(**values, checks=checks, elsewhere=elsewhere, ladders=on_ladders)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
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


def paired(outcomes: Sequence[Outcome], dataset: str | None = None) -> Paired:
    """The differences in SRCC of ``outcomes`` on the same share: test part, or another dataset."""
    both = [each.on(dataset) for each in outcomes]
    gains = np.array([each.tuned["srcc"] - each.probe["srcc"] for each in both])
    ahead, p = int((gains > 0).sum()), signed_rank_p(gains)
    return Paired(float(gains.mean()), ahead, len(gains), p)


def by_share(outcomes: Sequence[Outcome]) -> dict[float, list[Outcome]]:
    """``outcomes`` by the share of the training part that they used, in their order."""
    found: dict[float, list[Outcome]] = {}
    for each in outcomes:
        found.setdefault(each.share, []).append(each)
    return found


def ladder_line(outcomes: Sequence[Outcome], part: LadderPart) -> str:
    """For people: how much of the ladders of photos held out is in order, a mean over the splits.

    ``outcomes`` are on the same share of the training part, and not none.
    """
    share = outcomes[0].share
    on = "" if share == 1 else f", {share:.0%} of the training part"
    return in_order_line([each.ladders for each in outcomes if each.ladders], part, on)


def study_rows(
    name: str,
    found: DatasetFeatures,
    method: str,
    outcomes: Sequence[Outcome],
    others: Sequence[DatasetFeatures] = (),
) -> list[ReportRow]:
    """For each share a row of the linear probe and one of ``method``, here and on ``others``."""
    tests = [(found, None), *((other, other.dataset.info.name) for other in others)]
    grouped = by_share(outcomes).items()
    rows = []
    for (tested, elsewhere), (share, some) in itertools.product(tests, grouped):
        part = "" if share == 1 else f", {share:.0%} of the training part"
        strength = float(np.median([each.strength for each in some]))
        both = [each.on(elsewhere) for each in some]
        for note, measures in (
            ("linear probe", [each.probe for each in both]),
            (method, [each.tuned for each in both]),
        ):
            on, fitted_on = tested.dataset.info.name, found.dataset.info.name
            facts = name, on, fitted_on, len(tested.dataset.images), len(some), strength
            rows.append(ReportRow(*facts, summaries(measures), note + part))
    return rows
