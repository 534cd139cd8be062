"""Ridge regression in closed form: one decomposition serves every regularization strength.

The objective, with the intercept b unpenalized as in ``sklearn.linear_model.Ridge``, is

    Σ_i (x_i·w + b − y_i)²  +  α ‖w‖²

With X the centered rows and t the centered targets, w(α) = (XᵀX + αI)⁻¹ Xᵀt = Xᵀ(XXᵀ + αI)⁻¹ t: an
eigendecomposition of the smaller of XᵀX and XXᵀ gives w for all α at O(F) each. Sums are in
float64, so the squared condition number does no harm for α ≥ 1e-3 and features of unit length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_ROWS = 4096
"""Rows that are turned to float64 at a time; bounds the memory beside the features themselves."""


@dataclass(frozen=True)
class NormalEquations:
    """XᵀX w = Xᵀt of centered rows.

    Attributes
    ----------
    gram : (F, F) float64, XᵀX.
    correlation : (F,) float64, Xᵀt.
    feature_mean : (F,) float64, what the rows were centered by.
    target_mean : what the targets were centered by.
    """

    gram: Tensor
    correlation: Tensor
    feature_mean: Tensor
    target_mean: float


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
        return self.basis @ (self.projection[:, None] / (self.spectrum[:, None] + alphas.double()))

    def solution(self, alpha: float) -> tuple[Tensor, float]:
        """(w, b) for one α: (F,) float64 and a float."""
        w = self.coefficients(torch.tensor([alpha], dtype=torch.float64))[:, 0]
        return w, self.target_mean - float(self.feature_mean @ w)

    def predict(self, features: Tensor, alphas: Tensor) -> Tensor:
        """(n, A) float64 predictions x·w + b of rows ``features`` (n, F) for each of ``alphas``.

        The prediction of an image is the mean over its crops; being linear, it is the prediction of
        the mean of its crops' features.
        """
        centered = features.double() - self.feature_mean
        return centered @ self.coefficients(alphas) + self.target_mean


def ridge_path(features: Tensor, targets: Tensor) -> RidgePath:
    """Decompose one training set.

    Parameters
    ----------
    features : (n, F) float32 or float64, one row an observation (here: a crop).
    targets : (n,) float.

    Notes
    -----
    Costs O(n·F·r + r³) time with r = min(n, F), and a few matrices of r² or ``BLOCK_ROWS``·F
    float64 beside the features.
    """
    if len(features) >= features.shape[1]:
        equations = normal_equations(features, targets)
        spectrum, basis = torch.linalg.eigh(equations.gram)
        projection = basis.T @ equations.correlation
        mean, target_mean = equations.feature_mean, equations.target_mean
    else:
        mean, target_mean = _column_mean(features), float(targets.double().mean())
        rows = features.double() - mean
        spectrum, u = torch.linalg.eigh(rows @ rows.T)
        basis, projection = rows.T @ u, u.T @ (targets.double() - target_mean)
    return RidgePath(basis, spectrum.clamp_min(0), projection, mean, target_mean)


def normal_equations(features: Tensor, targets: Tensor) -> NormalEquations:
    """The normal equations of rows ``features`` (n, F) and ``targets`` (n,), summed in float64."""
    mean, target_mean = _column_mean(features), float(targets.double().mean())
    size = features.shape[1]
    gram = torch.zeros(size, size, dtype=torch.float64)
    correlation = torch.zeros(size, dtype=torch.float64)
    for here in _blocks(len(features)):
        rows = features[here].double() - mean
        gram.addmm_(rows.T, rows)
        correlation.addmv_(rows.T, targets[here].double() - target_mean)
    return NormalEquations(gram, correlation, mean, target_mean)


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK_ROWS) for start in range(0, n, BLOCK_ROWS))


def _column_mean(features: Tensor) -> Tensor:
    """(F,) float64."""
    total = torch.zeros(features.shape[1], dtype=torch.float64)
    for here in _blocks(len(features)):
        total += features[here].sum(0, dtype=torch.float64)
    return total / len(features)
