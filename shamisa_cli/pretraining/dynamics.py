"""What shows how a pre-training run goes, as pure functions of one mini-batch.

Alignment and uniformity: Wang & Isola, "Understanding Contrastive Representation Learning through
Alignment and Uniformity on the Hypersphere", ICML 2020 (arXiv 2005.10242). They see unit vectors.
Distances are given as a condensed vector: of N rows the N(N−1)/2 pairs i < j, row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from shamisa_cli.graphs.graph import Graph

TEMPERATURE = 2.0
"""t of the uniformity, as in the paper."""


def measure(h: Tensor, z: Tensor, graphs: Mapping[str, Graph]) -> dict[str, Any]:
    """Every measure of one mini-batch, by its key in the log.

    Parameters
    ----------
    h, z : (N, d) and (N, D) float, representations and embeddings.
    graphs : each source's own graph; one without weight has no alignment and is left out.
    """
    h, z = h.detach().float(), z.detach().float()
    near = squared_distances(z)
    graphs = {name: graph.detach() for name, graph in graphs.items()}
    graphs = {name: graph for name, graph in graphs.items() if bool(graph.weight.any())}
    return {
        "rank_h": effective_rank(h),
        "rank_z": effective_rank(z),
        "spread_h": spread(h),
        "spread_z": spread(z),
        "covariance_z": off_diagonal_covariance(z),
        "uniformity_h": uniformity(squared_distances(h)),
        "uniformity_z": uniformity(near),
        "distance_z": float(near.mean()),
        "alignment_z": {name: alignment(graph, near) for name, graph in graphs.items()},
        "satisfied_z": {name: satisfied(graph, near) for name, graph in graphs.items()},
    }


def effective_rank(rows: Tensor) -> float:
    """exp of the entropy of the normalized singular values of centered ``rows`` (n, d).

    Roy & Vetterli, "The effective rank", EUSIPCO 2007. In
    1 … min(n, d); it falls towards 1 when training collapses.
    """
    centered = rows.detach().float() - rows.detach().float().mean(0)
    singular = torch.linalg.svdvals(centered)
    share = singular / singular.sum().clamp_min(torch.finfo(singular.dtype).tiny)
    entropy = -(share * share.clamp_min(torch.finfo(share.dtype).tiny).log()).sum()
    return float(entropy.exp())


def spread(rows: Tensor) -> float:
    """Mean over the d columns of the standard deviation over the n rows; 0 when all are equal."""
    return float(rows.detach().float().std(0).mean())


def off_diagonal_covariance(rows: Tensor) -> float:
    """Root mean square over a ≠ b of Cov_ab, unbiased, of ``rows`` (n, d); ≥ 0, 0 for one column.

    In squared units of ``rows``: compare it with the square of :func:`spread`.
    """
    size = rows.shape[1]
    if size == 1:
        return 0.0
    covariance = rows.T.cov()
    off = covariance.square().sum() - covariance.diagonal().square().sum()
    return float((off.clamp_min(0) / (size * (size - 1))).sqrt())


def squared_distances(rows: Tensor) -> Tensor:
    """(N(N−1)/2,) squared distances, 0 … 4, of all pairs of ``rows`` (N, D) scaled to unit length.

    From differences, not from cosines: near a collapse these lose their digits.
    """
    return torch.pdist(F.normalize(rows, dim=1)).square()


def uniformity(squared: Tensor, t: float = TEMPERATURE) -> float:
    """log mean exp(−t·‖x − y‖²) over all pairs; 0 where all are at one place, at least −4t.

    Pairs at right angles, as almost all are on a sphere of many dimensions, have −2t.
    """
    return float((-t * squared).logsumexp(0) - torch.tensor(float(len(squared))).log())


def alignment(graph: Graph, squared: Tensor) -> float:
    """Mean squared distance over the edges of ``graph``, weighted by them; 0 … 4, 0: all aligned.

    The paper's with its exponent α = 2, and soft pairs in place of positive ones. ``squared`` are
    all pairs of the N nodes. NaN without weight.
    """
    return float((graph.weight * squared[_pairs(graph)]).sum() / graph.weight.sum())


def satisfied(graph: Graph, squared: Tensor) -> float:
    """Share of the edge weight that lies between pairs nearer than the median of all pairs.

    0 … 1; about a half where nothing is learned of ``graph``. A tie with the median, the lower of
    two, is not nearer, so a collapse satisfies nothing. NaN without weight.
    """
    nearer = squared[_pairs(graph)] < squared.median()
    return float(graph.weight[nearer].sum() / graph.weight.sum())


def _pairs(graph: Graph) -> Tensor:
    """(E,) where the edges stand in a condensed vector."""
    return graph.i * (2 * graph.n - graph.i - 1) // 2 + graph.j - graph.i - 1


def gradient_norms(total: Tensor, terms: Mapping[str, Tensor], z: Tensor) -> dict[str, float]:
    """‖(∂total/∂term)·(∂term/∂z)‖, Frobenius, of each term: how hard it pulls, its weight included.

    Terms that the total or ``z`` has no part in are left out. Only what lies between ``z`` and the
    total is differentiated; its graph stays for the backward pass to come.

    Parameters
    ----------
    total : scalar, of ``terms``.
    z : (N, D), embeddings, with gradients.
    """
    live = {name: term for name, term in terms.items() if term.requires_grad}
    if not live or not total.requires_grad:
        return {}
    weights = _gradients(total, list(live.values()))
    norms = {}
    for (name, term), weight in zip(live.items(), weights, strict=True):
        pull = None if weight is None else _gradients(term, [z], weight)[0]
        if pull is not None:
            norms[name] = float(pull.norm())
    return norms


def _gradients(
    of: Tensor, by: list[Tensor], weight: Tensor | None = None
) -> tuple[Tensor | None, ...]:
    """Of a scalar, times ``weight``; None for what it does not depend on."""
    return torch.autograd.grad(of, by, weight, retain_graph=True, allow_unused=True)
