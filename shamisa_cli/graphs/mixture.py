"""α, the share of each graph source in the combined graph (method.md §4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shamisa_cli.graphs.linear import seeded_linear


class Mixture(nn.Module):
    """α = softmax(MLP(LayerNorm(statistics))): two layers, PReLU, hidden = 2 × input.

    The last layer starts at zero, so training starts from equal shares, α_g = 1/G; its first
    gradients move that layer, and from the second step on the whole MLP.

    Parameters
    ----------
    n_sources : G.
    generator : draws the initial values.
    """

    def __init__(self, n_sources: int, generator: torch.Generator) -> None:
        super().__init__()
        size = 2 * n_sources
        last = seeded_linear(2 * size, n_sources, generator)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.LayerNorm(size), seeded_linear(size, 2 * size, generator), nn.PReLU(), last
        )

    def forward(self, statistics: Tensor) -> Tensor:
        """(G, 2) float, number of edges and sum of weights of each source → (G,) α, sums to 1."""
        return self.layers(statistics.flatten()).softmax(0)
