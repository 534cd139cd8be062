"""Across datasets: fit on all of one, test on all of another (method.md §6)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.evaluation.evaluate import Summary
from shamisa_cli.evaluation.measures import measure_all
from shamisa_cli.evaluation.probe import Probed
from shamisa_cli.evaluation.report import ReportRow
from shamisa_cli.ladders.fit import fit_head


@dataclass(frozen=True, eq=False)
class CrossFit:
    """A fit on all images of a dataset, its scores put on 0-100.

    Attributes
    ----------
    probed : the dataset, and the protocol's results on it, which chose the strength.
    weight : (F,) float64.
    bias : float.
    """

    probed: Probed
    weight: Tensor
    bias: float

    def test(self, dataset: Dataset, means: Tensor, note: str = "") -> ReportRow:
        """How well it predicts all of another dataset.

        Both sides' scores are on 0-100, so that RMSE means something.

        Parameters
        ----------
        means : (n, F) float64, mean features of the dataset's images.
        """
        predictions = (means @ self.weight + self.bias).numpy()
        measures = measure_all(predictions, percent(dataset).numpy())
        return ReportRow(
            self.probed.model,
            dataset.info.name,
            self.probed.dataset.info.name,
            len(dataset.images),
            1,
            self.probed.alpha,
            {name: Summary(value, 0.0, value, value) for name, value in measures.items()},
            note,
        )


def fit_on_all(probed: Probed, features: Tensor) -> CrossFit:
    """Fit on all images (n, K, F) of a dataset with the strength that the protocol chose."""
    return CrossFit(probed, *fit_head(features, percent(probed.dataset), probed.alpha))


def percent(dataset: Dataset) -> Tensor:
    """(n,) scores on 0-100, higher is better."""
    low, high = dataset.info.score_range
    return (dataset.scores - low) * (100 / (high - low))
