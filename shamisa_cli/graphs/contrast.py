"""InfoNCE over an attraction and a repulsion graph, as pure functions (docs/objectives.md).

Its roots: van den Oord, Li, Vinyals, "Representation Learning with Contrastive Predictive Coding",
2018. Everything is computed in float32 (or float64 for float64 input), also under mixed precision.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """(K, M) cosine similarities in [-1, 1] of the rows of (K, D) and (M, D); 0 for a zero row."""
    with torch.autocast(a.device.type, enabled=False):
        return F.normalize(_precise(a), dim=1) @ F.normalize(_precise(b), dim=1).T


def infonce(
    similarity: Tensor,
    attraction: Tensor,
    repulsion: Tensor,
    temperature: float,
    *,
    other_positives: bool = False,
) -> Tensor:
    """Mean of :func:`anchor_losses` over the anchors that have an attraction; 0 without any."""
    losses = anchor_losses(
        similarity, attraction, repulsion, temperature, other_positives=other_positives
    )
    attracted = (attraction > 0).any(1)
    return losses.sum() / attracted.sum().clamp_min(1)


def anchor_losses(
    similarity: Tensor,
    attraction: Tensor,
    repulsion: Tensor,
    temperature: float,
    *,
    other_positives: bool = False,
) -> Tensor:
    """(K,) l_i ≥ 0 of each anchor i; 0 for one that nothing attracts.

    With s the similarity, τ the temperature, A⁺ the attraction and A⁻ the repulsion,

        l_i = −(1/Σ_j A⁺_ij)·Σ_j A⁺_ij·log[ e^(s_ij/τ) / (e^(s_ij/τ) + Σ_k A⁻_ik·e^(s_ik/τ)) ]

    The rows are anchors and the columns are whatever they are compared with. Both may hold
    embeddings without gradient, such as a teacher's. A row of A⁺ that is zero is no anchor.

    Parameters
    ----------
    similarity : (K, M) float.
    attraction, repulsion : (K, M) float, ≥ 0; 0 where a node would meet itself.
    temperature : > 0.
    other_positives : the anchor's other positives stand in the denominator too, with weight 1, as
        in CONTRIQUE and supervised contrastive learning. With one positive it changes nothing.
    """
    with torch.autocast(similarity.device.type, enabled=False):
        logits = _precise(similarity) / temperature
        attraction, repulsion = attraction.to(logits), repulsion.to(logits)
        if other_positives:
            # Every positive has the same denominator; its own term is one of its sum's.
            weights = repulsion + (attraction > 0)
            each = _log_sum(logits, weights)[:, None] - logits
        else:
            each = -F.logsigmoid(logits - _log_sum(logits, repulsion)[:, None])
        each = each.masked_fill(attraction == 0, 0)
        total = attraction.sum(1)
        return (attraction * each).sum(1) / total.masked_fill(total == 0, 1)


def _log_sum(logits: Tensor, weights: Tensor) -> Tensor:
    """(K,) log Σ_k w_ik·e^(logit_ik), −∞ for a row without weight; its gradients are finite."""
    none = weights == 0
    empty = none.all(1)
    terms = logits + weights.masked_fill(none, 1).log()
    terms = terms.masked_fill(none & ~empty[:, None], -torch.inf)
    return terms.logsumexp(1).masked_fill(empty, -torch.inf)


def _precise(x: Tensor) -> Tensor:
    """``x`` in float32 at least."""
    return x if x.dtype == torch.float64 else x.float()
