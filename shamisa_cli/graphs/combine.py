"""The combined graph A = Σ_g α_g·c_g·A_g (method.md §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from shamisa_cli.errors import UsageError
from shamisa_cli.graphs.edges import coalesce
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.mixture import Mixture
from shamisa_cli.graphs.source import GraphInputs, GraphSource

AlphaMode = Literal["learned", "fixed"]


@dataclass(frozen=True)
class Combined:
    """What the sources made of one mini-batch.

    Attributes
    ----------
    graph : A; its weights carry gradients to α when α is learned.
    alpha : (G,) float, > 0, sums to 1, in the order of the sources.
    statistics : (G, 2) float: number of undirected edges, and sum of their weights, of each source.
    names : the G sources.
    """

    graph: Graph
    alpha: Tensor
    statistics: Tensor
    names: tuple[str, ...]


class GraphCombination(nn.Module):
    """The sources in use, their coefficients and their shares α.

    Parameters
    ----------
    sources : name → (source, coefficient c), in order.
    alpha : "learned", by :class:`~shamisa_cli.graphs.mixture.Mixture`; or "fixed", 1/G each, which
        is the softmax of zeros and where the learned α starts.
    """

    def __init__(
        self,
        sources: Mapping[str, tuple[GraphSource, float]],
        alpha: AlphaMode = "learned",
    ) -> None:
        super().__init__()
        if not sources:
            raise UsageError("no graph source is left: keep or add at least one")
        if alpha not in ("learned", "fixed"):
            raise UsageError(f"alpha: expected learned or fixed, got {alpha!r}")
        self.names = tuple(sources)
        self.sources = nn.ModuleDict({name: source for name, (source, _) in sources.items()})
        self.coefficients = tuple(coeff for _, coeff in sources.values())
        self.alpha_mode = alpha
        self.mixture: Mixture | None = None

    def prepare(self, feature_size: int, generator: torch.Generator) -> None:
        """Make every parameter, of the sources and of α, once before training."""
        for source in self._sources():
            source.prepare(feature_size, generator)
        if self.alpha_mode == "learned":
            self.mixture = Mixture(len(self.names), generator)

    def forward(self, inputs: GraphInputs) -> Combined:
        """Build every source's graph from ``inputs`` and combine them, in float32."""
        with torch.autocast(inputs.h.device.type, enabled=False):
            with torch.no_grad():
                graphs = [source.build(inputs) for source in self._sources()]
            for name, graph in zip(self.names, graphs, strict=True):
                _check(name, graph, inputs.layout.n)
            statistics = torch.stack(
                [torch.stack([g.weight.new_tensor(g.n_edges), g.weight.sum()]) for g in graphs]
            ).float()
            alpha = self._alpha(statistics)
            weight = torch.cat(
                [
                    share * coeff * graph.weight
                    for share, coeff, graph in zip(alpha, self.coefficients, graphs, strict=True)
                ]
            )
        i = torch.cat([graph.i for graph in graphs])
        j = torch.cat([graph.j for graph in graphs])
        return Combined(coalesce(inputs.layout.n, i, j, weight), alpha, statistics, self.names)

    def auxiliary_losses(self, h: Tensor, inputs: GraphInputs) -> dict[str, Tensor]:
        """The auxiliary loss of each source that has one, in float32; ``h`` carries gradients."""
        losses = {}
        with torch.autocast(h.device.type, enabled=False):
            for name, source in zip(self.names, self._sources(), strict=True):
                loss = source.auxiliary_loss(h.float(), inputs)
                if loss is not None:
                    losses[name] = loss
        return losses

    def _sources(self) -> list[GraphSource]:
        """In the order of ``names``."""
        return [cast(GraphSource, self.sources[name]) for name in self.names]

    def _alpha(self, statistics: Tensor) -> Tensor:
        if self.alpha_mode == "fixed":
            return statistics.new_full((len(self.names),), 1 / len(self.names))
        if self.mixture is None:
            raise RuntimeError("call prepare() before the first forward()")
        return self.mixture(statistics)


def _check(name: str, graph: Graph, n: int) -> None:
    """Refuse a source's graph that is none, naming the source."""
    try:
        graph.validate(n)
    except ValueError as error:
        raise UsageError(f"graph source {name!r} returned a wrong graph: {error}") from error
