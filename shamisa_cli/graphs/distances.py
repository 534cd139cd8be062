"""Euclidean distances between the rows of a matrix."""

from __future__ import annotations

from torch import Tensor


def squared_distances(x: Tensor) -> Tensor:
    """‖x_i − x_j‖² for every pair of rows, by the Gram matrix of the centered rows.

    Distances do not change when the mean row is subtracted, but the cancellation in
    ‖x_i‖² + ‖x_j‖² − 2·x_i·x_j does: features of unit length, almost equal, keep their digits.

    Parameters
    ----------
    x : (N, d) float.

    Returns
    -------
    Tensor
        (N, N), symmetric, ≥ 0, with a zero diagonal.
    """
    centered = x - x.mean(0)
    gram = centered @ centered.T
    norms = gram.diagonal()
    squared = norms[:, None] + norms[None, :] - 2 * gram
    squared = (squared + squared.T) / 2
    return squared.clamp_min(0).fill_diagonal_(0)
