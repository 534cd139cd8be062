"""The shares α of the graph sources, and what they learn from (docs/method.md §4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from shamisa_cli.errors import UsageError
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import seeded_linear

AlphaMode = Literal["fixed", "random", "ones", "learned", "balanced"]
"""``fixed``: 1/G each. ``random``: a frozen random softmax. ``ones``: 1 each. ``learned``: by the
objective. ``balanced``: by :func:`balance_loss` alone."""

Balance = Literal["unmet", "met"]


class Mixture(nn.Module):
    """α = softmax(MLP(LayerNorm(statistics))): two layers, PReLU, hidden = 2 × input.

    Parameters
    ----------
    n_sources : G.
    generator : draws the initial values.
    frozen : as drawn, α is a random softmax, and it stays so. Else the last layer starts at zero,
        so training starts from equal shares, α_g = 1/G; its first gradients move that layer, and
        from the second step on the whole MLP.
    """

    def __init__(self, n_sources: int, generator: torch.Generator, *, frozen: bool = False) -> None:
        super().__init__()
        size = 2 * n_sources
        last = seeded_linear(2 * size, n_sources, generator)
        if not frozen:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.LayerNorm(size), seeded_linear(size, 2 * size, generator), nn.PReLU(), last
        )
        self.requires_grad_(not frozen)

    def forward(self, statistics: Tensor) -> Tensor:
        """(G, 2) float, number of edges and sum of weights of each source → (G,) α, sums to 1."""
        return self.layers(statistics.flatten()).softmax(0)


def make_mixture(mode: AlphaMode, n_sources: int, generator: torch.Generator) -> Mixture | None:
    """What makes α of ``n_sources``; None where it is constant, see :func:`constant_share`."""
    if mode in ("fixed", "ones"):
        return None
    return Mixture(n_sources, generator, frozen=mode == "random")


def constant_share(mode: AlphaMode, n_sources: int) -> float:
    """α of each source under ``fixed`` and ``ones``."""
    return 1 / n_sources if mode == "fixed" else 1.0


def check_alpha(mode: AlphaMode, balance: Balance, temperature: float) -> None:
    """Refuse what is no mode, no balance, or no temperature."""
    for name, value, known in (("alpha", mode, AlphaMode), ("balance", balance, Balance)):
        if value not in get_args(known):
            raise UsageError(f"{name}: expected {', '.join(get_args(known))}, got {value!r}")
    if not 0 < temperature < math.inf:
        raise UsageError(f"balance_temperature must be above 0, got {temperature}")


def balance_loss(alpha: Tensor, apart: Tensor, balance: Balance, temperature: float) -> Tensor:
    """J(α) = ∓ Σ_g α_g·ē_g + τ·KL(α‖uniform), whose minimum lies inside the simplex.

    It is at α = softmax(±ē/τ), the upper sign being that of ``unmet``: more of the relations that
    the embeddings do not satisfy yet. ``met`` has more of those that they satisfy.

    Parameters
    ----------
    alpha : (G,), > 0, sums to 1.
    apart : (G,) ē, how far apart each source's edges are, see :func:`relation_distances`.
    balance : which relations get more.
    temperature : τ > 0; the larger, the nearer α stays to equal shares.
    """
    sign = -1 if balance == "unmet" else 1
    logs = alpha.clamp_min(torch.finfo(alpha.dtype).tiny).log()
    divergence = (alpha * (logs + math.log(len(alpha)))).sum()
    return sign * (alpha * apart).sum() + temperature * divergence


@torch.no_grad()
def relation_distances(z: Tensor, graphs: Sequence[Graph]) -> Tensor:
    """ē (G,): the mean of ‖z_i − z_j‖² over each graph's edges, by that over all pairs i ≠ j.

    1 is what random pairs have, and so a graph without an edge. ``z`` is (N, D).
    """
    with torch.autocast(z.device.type, enabled=False):
        centered = z.float() - z.float().mean(0)
        gram = centered @ centered.T
        norms = gram.diagonal()
        over_pairs = 2 * norms.sum() / max(1, len(z) - 1)
        found = []
        for graph in graphs:
            squared = norms[graph.i] + norms[graph.j] - 2 * gram[graph.i, graph.j]
            near = squared.clamp_min(0).mean() if graph.n_edges else over_pairs
            found.append(near / over_pairs.clamp_min(torch.finfo(gram.dtype).tiny))
        return torch.stack(found)
