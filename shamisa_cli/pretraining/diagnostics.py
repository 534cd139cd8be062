"""How alive the representations are: collapse shows in their rank and spread (method.md §5)."""

from __future__ import annotations

import torch
from torch import Tensor


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
