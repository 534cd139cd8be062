"""Balanced soft assignments by Sinkhorn–Knopp."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def balanced_codes(logits: Tensor, epsilon: float, rounds: int) -> Tensor:
    """Entropy-regularized transport of N nodes onto K prototypes of equal mass.

    Sinkhorn–Knopp in the log domain (Cuturi, "Sinkhorn Distances", NeurIPS 2013), used as in SwAV
    (Caron et al., NeurIPS 2020): each round gives every prototype the same mass, then every node.

    Parameters
    ----------
    logits : (N, K) float; without gradient.
    epsilon : > 0, the regularization; the smaller, the harder the codes.
    rounds : ≥ 1.

    Returns
    -------
    Tensor
        (N, K), ≥ 0; rows sum to 1, columns to nearly N/K.
    """
    log_q = logits / epsilon
    for _ in range(rounds):
        log_q = log_q - log_q.logsumexp(0, keepdim=True)
        log_q = log_q - log_q.logsumexp(1, keepdim=True)
    return log_q.exp()
