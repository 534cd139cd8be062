"""Ridge regression in closed form: one decomposition serves every regularization strength.

The objective, with the intercept b unpenalized as in ``sklearn.linear_model.Ridge``, is

    Σ_i (x_i·w + b − y_i)²  +  s ‖w‖²

With X the centered rows, t the centered targets and s the strength,
w(s) = (XᵀX + sI)⁻¹ Xᵀt = Xᵀ(XXᵀ + sI)⁻¹ t. An eigendecomposition of the smaller of XᵀX and XXᵀ
gives w for every s at O(F) each. Sums are in float64, so the squared condition number does no
harm for s ≥ 1e-3 and features of unit length.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_ROWS = 4096
"""Rows converted to float64 at a time; bounds the memory beside the features themselves."""


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
    """The ridge solutions of one training set: w(s) = basis · (projection / (spectrum + s)).

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

    def coefficients(self, strengths: Tensor) -> Tensor:
        """(F, S) float64: w for each of ``strengths`` (S,)."""
        return self.basis @ (self.projection[:, None] / (self.spectrum[:, None] + strengths))

    def solution(self, strength: float) -> tuple[Tensor, float]:
        """(w, b) for one strength: (F,) float64 and a float."""
        w = self.coefficients(torch.tensor([strength], dtype=torch.float64))[:, 0]
        return w, self.target_mean - float(self.feature_mean @ w)

    def predict(self, features: Tensor, strengths: Tensor) -> Tensor:
        """(n, S) float64 predictions x·w + b of rows ``features`` (n, F) for each of ``strengths``.

        The prediction is linear: the mean over an image's crops is the prediction of their mean.
        """
        centered = features.double() - self.feature_mean
        return centered @ self.coefficients(strengths) + self.target_mean


def ridge_path(features: Tensor, targets: Tensor) -> RidgePath:
    """Decompose one training set.

    ``features`` (n, F) has a row an observation (here: a crop), ``targets`` is (n,). Costs
    O(n·F·r + r³) time with r = min(n, F), and a few matrices of r² or ``BLOCK_ROWS``·F float64.
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


def fit_ridge(features: Tensor, scores: Tensor, strength: float) -> tuple[Tensor, float]:
    """Weights (F,) float64 and bias, fitted on all images (n, K, F) with ``scores`` (n,)."""
    return ridge_path(*crop_rows(features, scores)).solution(strength)


def solve_ridge(features: Tensor, targets: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Several targets (n, T) of rows (n, F) at one strength > 0: (T, F) and (T,) float64.

    Solves for them together, without the decomposition that a whole path needs.
    """
    mean, level = _column_mean(features), targets.double().mean(0)
    rows, wanted = features.double() - mean, targets.double() - level
    if len(rows) >= rows.shape[1]:
        weights = _solve(rows.T @ rows, rows.T @ wanted, strength)
    else:
        weights = rows.T @ _solve(rows @ rows.T, wanted, strength)
    return weights.T, level - mean @ weights


def _solve(gram: Tensor, wanted: Tensor, strength: float) -> Tensor:
    """(gram + strength · I)⁻¹ wanted."""
    gram.diagonal().add_(strength)
    return torch.cholesky_solve(wanted, torch.linalg.cholesky(gram))


def crop_rows(features: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (n·K, F) and targets (n·K, …): every crop is a row with its image's ``scores``."""
    return features.flatten(0, 1), scores.repeat_interleave(features.shape[1], dim=0)


def image_features(features: Tensor) -> Tensor:
    """(n, F) float64, the mean over the crops of (n, K, F); its prediction is the crops' mean."""
    return features.mean(1, dtype=torch.float64)


def normal_equations(features: Tensor, targets: Tensor) -> NormalEquations:
    """The normal equations of rows ``features`` (n, F) and ``targets`` (n,), summed in float64."""
    mean, target_mean = _column_mean(features), float(targets.double().mean())
    size = features.shape[1]
    gram = torch.zeros(size, size, dtype=torch.float64)
    correlation = torch.zeros(size, dtype=torch.float64)
    blocks = zip(features.split(BLOCK_ROWS), targets.split(BLOCK_ROWS), strict=True)
    for block, wanted in blocks:
        rows = block.double() - mean
        gram.addmm_(rows.T, rows)
        correlation.addmv_(rows.T, wanted.double() - target_mean)
    return NormalEquations(gram, correlation, mean, target_mean)


def _column_mean(features: Tensor) -> Tensor:
    """(F,) float64."""
    total = torch.zeros(features.shape[1], dtype=torch.float64)
    for block in features.split(BLOCK_ROWS):
        total += block.sum(0, dtype=torch.float64)
    return total / len(features)
