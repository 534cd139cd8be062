"""`graph_vicreg`: the graph-weighted objective (docs/method.md §4, §5; its roots: VICReg).

Bardes, Ponce, LeCun, "VICReg: Variance-Invariance-Covariance Regularization", ICLR 2022.
Everything is computed in float32 (or float64 for float64 input), also under mixed precision.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.graphs.graph import Graph
from shamisa_cli.pretraining.objective import Objective, ObjectiveInputs
from shamisa_cli.training.task import Loss


class GraphVicReg(Objective):
    """w_var·L_var + w_inv·L_inv + w_cov·L_cov, as published. No negatives (docs/method.md §5).

    The terms are before their weights: invariance, variance, covariance, auxiliary (the sum of the
    sources' own losses), regularizer. L_inv = invariance + auxiliary + regularizer.

    Parameters
    ----------
    variance, invariance, covariance : the weights w.
    regularizer : the size of the negative factor of Σ A².
    """

    terms = ("invariance", "variance", "covariance", "auxiliary", "regularizer")
    regularizes = True

    def __init__(
        self,
        variance: float = 11.976,
        invariance: float = 88.369,
        covariance: float = 57.212,
        regularizer: float = 0.0342,
    ) -> None:
        super().__init__()
        self.variance = variance
        self.invariance = invariance
        self.covariance = covariance
        self.regularizer = regularizer

    def forward(self, inputs: ObjectiveInputs) -> Loss:
        z, views = inputs.z, inputs.nodes.view
        with torch.autocast(z.device.type, enabled=False):
            if z.dtype != torch.float64:
                z = z.float()
            terms = {
                "invariance": invariance(z, inputs.attraction),
                "variance": variance(z, views),
                "covariance": covariance(z, views),
                "auxiliary": sum(inputs.auxiliary.values(), start=z.new_zeros(())),
                "regularizer": regularizer(inputs.regularized, self.regularizer),
            }
            l_inv = terms["invariance"] + terms["auxiliary"] + terms["regularizer"]
            total = (
                self.variance * terms["variance"]
                + self.invariance * l_inv
                + self.covariance * terms["covariance"]
            )
        return Loss(total, terms)


def invariance(z: Tensor, graph: Graph) -> Tensor:
    """(2/(N·D))·Σ_{i<j} A_ij·‖z_i − z_j‖², ≥ 0 (up to rounding).

    Computed as the Laplacian form Σ_i deg_i·‖z_i‖² − Σ_ij A_ij·z_i·z_j: one N×N×D product instead
    of E rows of D. It does not change when the mean embedding is subtracted, which is done so that
    the two sums stay small and keep their digits.
    """
    n, size = z.shape
    z = z - z.mean(0)
    adjacency = graph.dense().to(z.dtype)
    degree = adjacency.sum(1)
    energy = (z * (degree[:, None] * z - adjacency @ z)).sum()
    return 2 / (n * size) * energy


def variance(z: Tensor, views: Tensor) -> Tensor:
    """Σ_views mean_d max(0, 1 − sqrt(Var_d(z) + 1e-4)) / 2, in [0, 1] for two views.

    Var is the unbiased variance over the nodes of a view. Near 1 the embeddings are constant. With
    another number of views than two it is their mean, so that the balance of the terms stays.
    """
    hinges = [torch.relu(1 - torch.sqrt(part.var(0) + 1e-4)).mean() for part in _by_view(z, views)]
    return torch.stack(hinges).sum() / len(hinges)


def covariance(z: Tensor, views: Tensor) -> Tensor:
    """Σ_views (1/D)·Σ_{a≠b} Cov_ab(z)², ≥ 0; Cov is unbiased, over the nodes of a view.

    With another number of views than two it is twice their mean, as :func:`variance` is the mean.
    """
    terms = []
    for part in _by_view(z, views):
        centered = part - part.mean(0)
        cov = centered.T @ centered / (len(part) - 1)
        off_diagonal = cov.square().sum() - cov.diagonal().square().sum()
        terms.append(off_diagonal / z.shape[1])
    return torch.stack(terms).sum() * (2 / len(terms))


def regularizer(graph: Graph, weight: float) -> Tensor:
    """−weight·Σ A_ij² over the full symmetric matrix, each undirected edge twice; ≤ 0.

    It keeps A from vanishing when α is learned.
    """
    return -weight * 2 * graph.weight.square().sum()


def _by_view(z: Tensor, views: Tensor) -> list[Tensor]:
    """The rows of each view, in float32 at least."""
    z = z if z.dtype == torch.float64 else z.float()
    parts = [z[views == view] for view in torch.unique(views)]
    if min(len(part) for part in parts) < 2:
        raise ValueError("variance and covariance need at least two crops in every view")
    return parts
