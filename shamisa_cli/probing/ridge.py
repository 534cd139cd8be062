"""Ridge regression in closed form: one decomposition serves every regularisation strength.

The objective, with the intercept b unpenalised as in ``sklearn.linear_model.Ridge``, is

    Σ_i (x_i·w + b − y_i)²  +  Σ_j ω (d_j·w − g_j)²  +  α ‖w‖²

where the second sum is optional (rows without intercept, see :mod:`shamisa_cli.probing.head_fit`).
Writing A for all rows (the x_i centred, the d_j times √ω) and t for their targets,
w(α) = (AᵀA + αI)⁻¹ Aᵀt = Aᵀ(AAᵀ + αI)⁻¹ t: an eigendecomposition of the smaller of AᵀA and AAᵀ
gives w for all α at O(F) each. Sums are in float64, so the squared condition number does no harm
for α ≥ 1e-3 and features of unit length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_ROWS = 4096
"""Rows that are turned to float64 at a time; bounds the memory beside the features themselves."""


@dataclass(frozen=True)
class LinearRows:
    """Rows d·w ≈ g that take no part in the intercept.

    Attributes
    ----------
    features : (m, F) float.
    targets : (m,) float, the g.
    weight : ω ≥ 0, of each row relative to one row of the main sum.
    """

    features: Tensor
    targets: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class RidgePath:
    """The ridge solutions of one training set: w(α) = basis · (projection / (spectrum + α)).

    Attributes
    ----------
    basis : (F, r) float64.
    spectrum : (r,) float64, ≥ 0.
    projection : (r,) float64.
    feature_mean : (F,) float64, mean of the training rows.
    target_mean : mean of their targets.
    """

    basis: Tensor
    spectrum: Tensor
    projection: Tensor
    feature_mean: Tensor
    target_mean: float

    def coefficients(self, alphas: Tensor) -> Tensor:
        """(F, A) float64: w for each of ``alphas`` (A,)."""
        return self.basis @ self._shrunk(alphas)

    def solution(self, alpha: float) -> tuple[Tensor, float]:
        """(w, b) for one α: (F,) float64 and a float."""
        w = self.coefficients(torch.tensor([alpha], dtype=torch.float64))[:, 0]
        return w, self.target_mean - float(self.feature_mean @ w)

    def predict(self, features: Tensor, alphas: Tensor) -> Tensor:
        """(n, A) float64 predictions x·w + b of rows ``features`` (n, F) for each of ``alphas``.

        The prediction of an image is the mean over its crops; being linear, it is the prediction of
        the mean of its crops' features.
        """
        centred = features.double() - self.feature_mean
        return centred @ self.coefficients(alphas) + self.target_mean

    def _shrunk(self, alphas: Tensor) -> Tensor:
        """(r, A) float64."""
        return self.projection[:, None] / (self.spectrum[:, None] + alphas.double())


def ridge_path(features: Tensor, targets: Tensor, extra: LinearRows | None = None) -> RidgePath:
    """Decompose one training set.

    Parameters
    ----------
    features : (n, F) float32 or float64, one row an observation (here: a crop).
    targets : (n,) float.
    extra : rows without intercept, or None.

    Notes
    -----
    Costs O(n·F·r + r³) time with r = min(n + m, F), and r² + ``BLOCK_ROWS``·F float64 of memory
    beside the features.
    """
    mean = _column_mean(features)
    target_mean = float(targets.double().mean())
    parts = [(features, mean, targets.double() - target_mean, 1.0)]
    if extra is not None:
        parts.append((extra.features, torch.zeros_like(mean), extra.targets.double(), extra.weight))
    n_rows = sum(len(part[0]) for part in parts)
    decompose = _by_columns if n_rows >= features.shape[1] else _by_rows
    basis, spectrum, projection = decompose(parts)
    return RidgePath(basis, spectrum, projection, mean, target_mean)


_Part = tuple[Tensor, Tensor, Tensor, float]
"""Rows (n, F), what is subtracted from each (F,), targets (n,), weight."""


def _by_columns(parts: list[_Part]) -> tuple[Tensor, Tensor, Tensor]:
    """By AᵀA = QΛQᵀ: basis Q, projection QᵀAᵀt; for at least as many rows as features."""
    size = parts[0][0].shape[1]
    gram = torch.zeros(size, size, dtype=torch.float64)
    correlation = torch.zeros(size, dtype=torch.float64)
    for rows, targets in _blocks(parts):
        gram.addmm_(rows.T, rows)
        correlation.addmv_(rows.T, targets)
    spectrum, basis = torch.linalg.eigh(gram)
    return basis, spectrum.clamp_min(0), basis.T @ correlation


def _by_rows(parts: list[_Part]) -> tuple[Tensor, Tensor, Tensor]:
    """By AAᵀ = UΛUᵀ: basis AᵀU, projection Uᵀt; for fewer rows than features."""
    blocks = list(_blocks(parts))
    rows = torch.cat([rows for rows, _ in blocks])
    targets = torch.cat([targets for _, targets in blocks])
    spectrum, u = torch.linalg.eigh(rows @ rows.T)
    return rows.T @ u, spectrum.clamp_min(0), u.T @ targets


def _blocks(parts: list[_Part]) -> Iterator[tuple[Tensor, Tensor]]:
    """The rows of A and the targets t in float64, ``BLOCK_ROWS`` at a time."""
    for features, offset, targets, weight in parts:
        for start in range(0, len(features), BLOCK_ROWS):
            here = slice(start, start + BLOCK_ROWS)
            rows = features[here].double() - offset
            yield rows * weight**0.5, targets[here] * weight**0.5


def _column_mean(features: Tensor) -> Tensor:
    """(F,) float64."""
    total = torch.zeros(features.shape[1], dtype=torch.float64)
    for block in features.split(BLOCK_ROWS):
        total += block.double().sum(0)
    return total / len(features)
