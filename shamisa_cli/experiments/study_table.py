"""The table of a study: one line a variant, with its runs, its difference and two tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shamisa_cli.evaluation.measures import MEASURES
from shamisa_cli.evaluation.report import Cells, csv_text, markdown_table, text_table
from shamisa_cli.experiments.comparison import (
    Comparison,
    Spread,
    compare,
    corrected,
    smallest_p,
    spread,
)
from shamisa_cli.experiments.study import RANDOM, START
from shamisa_cli.experiments.study_file import StudySettings
from shamisa_cli.experiments.study_results import RunResult

SHOWN = ("srcc", "plcc")
"""The measures of the table; the first one is compared."""

Results = Mapping[str, Sequence[RunResult]]
"""Results by the title of their variant or control."""


@dataclass(frozen=True)
class StudyLine:
    """One variant or control.

    Attributes
    ----------
    title, change : what it is, and how it differs.
    measures : by name, over its runs; the value of a run is the mean over its splits.
    failed : runs that failed.
    steps, crops, seconds : of a run's training, the mean.
    comparison : with the baseline; None for that itself, and where nothing can be compared.
    errors : why runs failed.
    """

    title: str
    change: str
    measures: dict[str, Spread]
    failed: int
    steps: float
    crops: float
    seconds: float
    comparison: Comparison | None
    errors: tuple[str, ...] = ()


def study_lines(study: StudySettings, results: Sequence[RunResult]) -> list[StudyLine]:
    """The lines of the table: controls, then the variants in their order, as far as they are run.

    Holm's correction is over all comparisons of the table, controls included.
    """
    changes = {START: "no training", RANDOM: "no training, no weights"}
    changes |= {variant.title: variant.change() for variant in study.variants}
    groups = {title: [each for each in results if each.title == title] for title in changes}
    groups = {title: runs for title, runs in groups.items() if runs}
    base = study.compared_with
    found = corrected([_compared(groups, title, base) for title in groups])
    return [
        _line(title, changes[title], runs, comparison)
        for (title, runs), comparison in zip(groups.items(), found, strict=True)
    ]


def _compared(groups: Results, title: str, base: str) -> Comparison | None:
    """``title`` minus the baseline; what has no seed stands against each of its seeds."""
    if title == base or base not in groups:
        return None
    against = _by_seed(groups[base])
    own = _by_seed(groups[title])
    if None in own:
        own = dict.fromkeys(against, own[None])
    known = {seed: values for seed, values in own.items() if seed is not None}
    return compare(known, {seed: values for seed, values in against.items() if seed is not None})


def _by_seed(runs: Sequence[RunResult]) -> dict[int | None, list[float]]:
    return {run.seed: run.values(SHOWN[0]) for run in runs if run.splits}


def _line(
    title: str, change: str, runs: Sequence[RunResult], comparison: Comparison | None
) -> StudyLine:
    whole = [run for run in runs if not run.error]
    errors = (
        run.error if run.seed is None else f"seed {run.seed}: {run.error}"
        for run in runs
        if run.error
    )
    return StudyLine(
        title,
        change,
        {name: spread([spread(run.values(name)).mean for run in whole]) for name in SHOWN},
        len(runs) - len(whole),
        spread([run.steps for run in whole]).mean,
        spread([run.crops for run in whole]).mean,
        spread([run.seconds for run in whole]).mean,
        comparison,
        tuple(errors),
    )


def table_cells(lines: Sequence[StudyLine]) -> Cells:
    """The table for people."""
    header = ["variant", "what differs", "runs", "crops", "SRCC", "PLCC", "SRCC − baseline"]
    cells = [[*header, "ahead", "p runs", "p pairs"]]
    for line in lines:
        count = str(line.measures[SHOWN[0]].n)
        runs = f"{count}, {line.failed} failed" if line.failed else count
        facts = [line.title, line.change or "nothing", runs, _whole(line.crops)]
        values = [_spread(line.measures[name], "") for name in SHOWN]
        cells.append([*facts, *values, *_comparison_cells(line.comparison)])
    return cells


def _comparison_cells(found: Comparison | None) -> list[str]:
    if found is None:
        return ["–"] * 4
    ahead = f"{found.ahead} of {found.difference.n}"
    return [_spread(found.difference, "+"), ahead, _p(found.holm_runs), _p(found.holm_pairs)]


def _spread(found: Spread, sign: str) -> str:
    if math.isnan(found.mean):
        return "–"
    deviation = "" if math.isnan(found.std) else f" ± {found.std:.3f}"
    return f"{found.mean:{sign}.3f}{deviation}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def _whole(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.0f}"


def terminal_table(cells: Cells) -> str:
    """For the terminal: without what differs, which makes lines long."""
    return text_table([[title, *rest] for title, _, *rest in cells])


def study_text(
    study: StudySettings,
    lines: Sequence[StudyLine],
    images: int,
    of: int,
    draw: Callable[[Cells], str] = markdown_table,
) -> str:
    """The table, with what it says and what it cannot.

    Parameters
    ----------
    lines : of :func:`study_lines`.
    images : of the probe.
    of : runs of the whole study, controls included.
    draw : makes text of the table.
    """
    above = [study.about] if study.about else []
    done = sum(line.measures[SHOWN[0]].n + line.failed for line in lines)
    if done < of:
        above.append(f"**Not finished: {done} of {of} runs.**")
    errors = [f"- {line.title}, {error}" for line in lines for error in line.errors]
    failed = ["Runs that failed:", "\n".join(errors)] if errors else []
    parts = [*above, draw(table_cells(lines)).rstrip(), *_notes(study, lines, images)]
    return "\n\n".join([*parts, *failed]) + "\n"


def _notes(study: StudySettings, lines: Sequence[StudyLine], images: int) -> list[str]:
    """What the columns are, with n, and what the tests cannot say."""
    probe, compared = study.probe, [line.comparison for line in lines if line.comparison]
    notes = [
        f"SRCC and PLCC on {probe.dataset}, {images} images: a run's value is the mean over "
        f"{probe.splits} splits; then mean ± standard deviation over the runs (seeds)."
    ]
    if study.budget is not None:
        notes.append(
            f"Each run had {study.budget} of wall-clock time. What else the machine did decides "
            "how many steps that was: a budget in steps can be run again."
        )
    if not compared:
        return notes
    n, pairs = max(c.difference.n for c in compared), max(c.pairs for c in compared)
    return [
        *notes,
        f"Differences are to {study.compared_with}, same seed and same split; ± over the runs. "
        f"Both p are of Wilcoxon's signed-rank test, Holm-corrected over {len(compared)} rows.",
        f"p runs: n = {n} runs at most, which are independent. Before the correction it cannot be "
        f"under {smallest_p(n):.2g}.",
        f"p pairs: n = {pairs} pairs of seed and split at most. Splits of one run share its "
        "encoder, and their images overlap, so this p is too small. It says that these encoders "
        "differ on these images, not that those of other seeds would.",
    ]


def table_csv(lines: Sequence[StudyLine]) -> str:
    """The same for programs, with p before the correction, too."""
    header = ["variant", "change", "runs", "failed", "steps", "crops", "seconds"]
    header += [f"{name}_{part}" for name in SHOWN for part in ("mean", "std")]
    header += ["difference", "difference_std", "ahead", "paired_runs", "pairs"]
    header += ["p_runs", "holm_runs", "p_pairs", "holm_pairs", "errors"]
    rows: list[list[object]] = [list(header)]
    for line in lines:
        facts = [line.title, line.change, line.measures[SHOWN[0]].n, line.failed]
        means = [line.steps, line.crops, line.seconds]
        values = [v for name in SHOWN for v in (line.measures[name].mean, line.measures[name].std)]
        found = line.comparison
        compared: list[object] = [""] * 9
        if found is not None:
            apart = found.difference
            counts = [apart.mean, apart.std, found.ahead, apart.n, found.pairs]
            tests = [found.p_runs, found.holm_runs, found.p_pairs, found.holm_pairs]
            compared = [*counts, *tests]
        cells = [_plain(value) for value in [*facts, *means, *values, *compared]]
        rows.append([*cells, "; ".join(line.errors)])
    return csv_text(rows)


def splits_csv(results: Sequence[RunResult]) -> str:
    """Every figure that was measured: a line a run and split."""
    rows: list[list[object]] = [["variant", "seed", "split", *MEASURES]]
    for run in results:
        for at, measures in enumerate(run.splits):
            seed = "" if run.seed is None else run.seed
            rows.append([run.title, seed, at, *(_plain(measures[name]) for name in measures)])
    return csv_text(rows)


def _plain(value: object) -> object:
    """Nothing where a number is undefined."""
    return "" if isinstance(value, float) and math.isnan(value) else value
