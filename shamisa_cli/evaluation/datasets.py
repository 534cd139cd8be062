"""A frozen encoder on datasets: over splits, and fitted on one and tested on others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.evaluate import (
    STRENGTHS,
    SplitResult,
    Summary,
    evaluate,
    overall_strength,
    summarize,
)
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder, Skip
from shamisa_cli.evaluation.measures import measure_all
from shamisa_cli.evaluation.report import ReportRow
from shamisa_cli.evaluation.ridge import fit_ridge, image_features
from shamisa_cli.evaluation.splits import Split


@dataclass(frozen=True, eq=False)
class DatasetResult:
    """One model on one dataset.

    Attributes
    ----------
    model : its name.
    dataset : of the images that could be read.
    splits, results : one of each per split.
    strength : of the ridge, for a fit on all images.
    left_out : images that could not be read.
    """

    model: str
    dataset: Dataset
    splits: list[Split]
    results: list[SplitResult]
    strength: float
    left_out: int = 0

    def row(self, note: str = "") -> ReportRow:
        """The table's row."""
        return ReportRow(
            self.model,
            self.dataset.info.name,
            self.dataset.info.name,
            len(self.dataset.images),
            len(self.splits),
            float(np.median([result.strength for result in self.results])),
            summarize(self.results),
            note,
            self.left_out,
        )

    def split_facts(self) -> list[dict[str, object]]:
        """What was measured on each split, for JSON."""
        name = {"model": self.model, "dataset": self.dataset.info.name}
        return [{**name, "strength": result.strength, **result.measures} for result in self.results]


def evaluate_dataset(
    model: str, found: DatasetFeatures, splits: Sequence[Split], strengths: Tensor = STRENGTHS
) -> DatasetResult:
    """Fit and measure on each of ``splits`` of a whole dataset, without what cannot be read."""
    dataset, readable = found.dataset, readable_splits(found, splits)
    results = evaluate(found.features, dataset.scores, readable, strengths)
    strength = overall_strength(results, strengths)
    return DatasetResult(model, dataset, readable, results, strength, found.left_out)


def readable_splits(found: DatasetFeatures, splits: Sequence[Split]) -> list[Split]:
    """``splits`` of a whole dataset, without its images that cannot be read."""
    if not found.left_out:
        return list(splits)
    try:
        return [split.select(found.kept) for split in splits]
    except UsageError as error:
        raise UsageError(f"{found.dataset.info.name}: {error}") from error


def evaluate_datasets(
    frozen: FrozenEncoder,
    datasets: Mapping[str, Dataset],
    splits: Mapping[str, list[Split]],
    test_on: Sequence[str],
    skip: Skip,
    full_reference: bool = False,
) -> tuple[list[DatasetResult], list[ReportRow]]:
    """The results on each dataset that has splits, and their rows, then those across datasets.

    Features of each dataset are made once. Those of one dataset at a time are in memory; of the
    others only the means over the crops, and these only if they are needed.

    Parameters
    ----------
    datasets : all that are needed, by name.
    splits : of those to fit on.
    test_on : names of those that every fit is tested on, except the one it was made on.
    skip, full_reference : see :meth:`FrozenEncoder.dataset`.
    """
    note = "full reference" if full_reference else ""
    results: list[DatasetResult] = []
    fits: dict[str, tuple[DatasetResult, tuple[Tensor, float]]] = {}
    tests: dict[str, tuple[Dataset, int, Tensor]] = {}
    for name, dataset in datasets.items():
        found = frozen.dataset(dataset, skip, full_reference)
        if name in test_on:
            tests[name] = found.dataset, found.left_out, image_features(found.features)
        if name in splits:
            results.append(evaluate_dataset(frozen.name, found, splits[name]))
            if test_on:
                fit = fit_ridge(found.features, scores_to_100(found.dataset), results[-1].strength)
                fits[name] = results[-1], fit
    across = [
        _row_across(result, fit, *tests[name], note)
        for fitted_on, (result, fit) in fits.items()
        for name in test_on
        if name != fitted_on
    ]
    return results, [*(result.row(note) for result in results), *across]


def _row_across(
    fitted: DatasetResult,
    fit: tuple[Tensor, float],
    dataset: Dataset,
    left_out: int,
    means: Tensor,
    note: str,
) -> ReportRow:
    """How well a fit on all of one dataset predicts all of another, by mean features (n, F).

    Both sides' scores are on 0-100, so that RMSE has a meaning.
    """
    measures = measure_across(fit, dataset, means)
    return ReportRow(
        fitted.model,
        dataset.info.name,
        fitted.dataset.info.name,
        len(dataset.images),
        1,
        fitted.strength,
        {name: Summary(value, 0.0, value, value) for name, value in measures.items()},
        note,
        left_out,
    )


def measure_across(fit: tuple[Tensor, float], dataset: Dataset, means: Tensor) -> dict[str, float]:
    """Measures of a fit (w, b) to 0-100 on all of another dataset, by mean features (n, F)."""
    w, b = fit
    return measure_all((means @ w + b).numpy(), scores_to_100(dataset).numpy())


def fit_to_100(fit: tuple[Tensor, float], dataset: Dataset) -> tuple[Tensor, float]:
    """A fit (w, b) to the scores of ``dataset``, as one to 0-100."""
    w, b = fit
    low, high = dataset.info.score_range
    factor = 100 / (high - low)
    return w * factor, (b - low) * factor


def scores_to_100(dataset: Dataset) -> Tensor:
    """(n,) scores on 0-100, higher is better."""
    low, high = dataset.info.score_range
    return (dataset.scores - low) * (100 / (high - low))


def by_name(datasets: Iterable[Dataset]) -> dict[str, Dataset]:
    """Datasets by name; one that is there twice counts once, two of one name are refused."""
    found: dict[str, Dataset] = {}
    for dataset in datasets:
        name, title = dataset.info.name, dataset.info.title
        first = found.setdefault(name, dataset).info.title
        if first != title:
            raise UsageError(f"{first} and {title} are both called {name}; rename one")
    return found
