"""From many dimensions to two: t-SNE and UMAP, which keep near things near, and PCA."""

from __future__ import annotations

import importlib.util
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from torch import Tensor

from shamisa_cli.errors import UsageError

Method = Literal["tsne", "umap", "pca"]

MIN_POINTS = 4
"""Fewer have no neighborhoods."""

_PERPLEXITY = 30.0
_NEIGHBORS = 15
_COMPONENTS = 50
"""Principal components that are kept first, as the authors of both methods do."""


def project(features: Tensor, method: Method = "tsne", seed: int = 0) -> NDArray[np.float64]:
    """(n, 2) places of n points on a map; only which are near which has a meaning, but for PCA.

    PCA: along the two directions in which the features differ most; distances have a meaning.
    t-SNE: van der Maaten & Hinton, "Visualizing data using t-SNE", JMLR 9, 2008, with a perplexity
    of 30, or a third of the points if that is less. UMAP: McInnes, Healy & Melville, arXiv
    1802.03426, with 15 neighbors.

    Parameters
    ----------
    features : (n, F).
    seed : same points and seed, same map: one thread adds in one order.

    Raises
    ------
    UsageError
        for fewer than :data:`MIN_POINTS`, or if UMAP is not installed.
    """
    check_method(method)
    n = len(features)
    if n < MIN_POINTS:
        raise UsageError(f"{n} pictures; a map needs at least {MIN_POINTS}")
    rows = features.double().numpy()
    with threadpool_limits(limits=1):
        if method == "pca":
            return PCA(2, svd_solver="full").fit_transform(rows)
        reduced = PCA(min(_COMPONENTS, *rows.shape), random_state=seed).fit_transform(rows)
        places = (_tsne if method == "tsne" else _umap)(reduced, seed).astype(np.float64)
        return PCA(2).fit_transform(places)  # a map has no directions: its longest lies across


def check_method(method: Method) -> None:
    """Refuse UMAP where it is not installed."""
    if method == "umap" and importlib.util.find_spec("umap") is None:
        raise UsageError("the method umap needs umap-learn: pip install 'shamisa[umap]'")


def _tsne(rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    perplexity = min(_PERPLEXITY, (len(rows) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(rows)


def _umap(rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from umap import UMAP

    neighbors = min(_NEIGHBORS, len(rows) - 1)
    init = "spectral" if len(rows) > _COMPONENTS else "random"  # spectral needs enough points
    return UMAP(n_neighbors=neighbors, init=init, random_state=seed, n_jobs=1).fit_transform(rows)
