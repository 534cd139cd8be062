"""Several datasets at once: the protocol on each, and fits on all of one tested on the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.evaluation.cross_dataset import CrossFit, fit_on_all
from shamisa_cli.evaluation.evaluate import image_features
from shamisa_cli.evaluation.frozen_encoder import FeatureSource
from shamisa_cli.evaluation.probe import Probed, probe_features
from shamisa_cli.evaluation.report import ReportRow
from shamisa_cli.evaluation.splits import Split


def probe_together(
    source: FeatureSource,
    datasets: Mapping[str, Dataset],
    splits: Mapping[str, list[Split]],
    test_on: Sequence[str],
    full_reference: bool,
    take: Callable[[Probed, Tensor], object],
) -> tuple[list[Probed], list[ReportRow]]:
    """The results within each dataset that has splits, and their rows, then those across.

    Features of each dataset are made once. Those of one dataset at a time are in memory; of the
    others only the means over the crops, and these only if they are needed.

    Parameters
    ----------
    datasets : all that are needed, by name.
    splits : of those to fit on.
    test_on : names of those that every fit is tested on, save the one it was made on.
    full_reference : see :meth:`FeatureSource.dataset`.
    take : is given each result and its features (n, K, F) while they are there.
    """
    note = "full reference" if full_reference else ""
    probed: list[Probed] = []
    fits: dict[str, CrossFit] = {}
    means: dict[str, Tensor] = {}
    for name, dataset in datasets.items():
        features = source.dataset(dataset, full_reference)
        if name in test_on:
            means[name] = image_features(features)
        if name in splits:
            probed.append(probe_features(source.name, dataset, features, splits[name]))
            take(probed[-1], features)
            if test_on:
                fits[name] = fit_on_all(probed[-1], features)
    across = [
        fit.test(datasets[name], means[name], note)
        for fitted_on, fit in fits.items()
        for name in test_on
        if name != fitted_on
    ]
    return probed, [*(one.row(note) for one in probed), *across]
