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
    alpha : (G,) float, ≥ 0, sums to 1, in the order of the sources; 0 for a source with c = 0.
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
    sources : name → (source, coefficient c ≥ 0), in order. A source with c = 0 brings only its
        auxiliary loss: its graph is not built and it has no share of α.
    alpha : "learned", by :class:`~shamisa_cli.graphs.mixture.Mixture`; or "fixed", equal shares,
        which is the softmax of zeros and where the learned α starts.
    """

    def __init__(
        self,
        sources: Mapping[str, tuple[GraphSource, float]],
        alpha: AlphaMode = "learned",
    ) -> None:
        super().__init__()
        if alpha not in ("learned", "fixed"):
            raise UsageError(f"alpha: expected learned or fixed, got {alpha!r}")
        for name, (_, coeff) in sources.items():
            if not 0 <= coeff < float("inf"):
                raise UsageError(f"graph source {name!r}: coeff must be at least 0, got {coeff}")
        if not any(coeff > 0 for _, coeff in sources.values()):
            raise UsageError("no graph source with coeff above 0 is left: keep or add one")
        self.names = tuple(sources)
        self.sources = nn.ModuleDict({name: source for name, (source, _) in sources.items()})
        self.coefficients = tuple(coeff for _, coeff in sources.values())
        self.alpha_mode = alpha
        self.mixture: Mixture | None = None

    def prepare(self, feature_size: int, generator: torch.Generator) -> None:
        """Make every parameter, of the sources and of α, once before training."""
        for name in self.names:
            self._source(name).prepare(feature_size, generator)
        if self.alpha_mode == "learned":
            self.mixture = Mixture(len(self._mixed()), generator)

    def forward(self, inputs: GraphInputs) -> Combined:
        """Build every source's graph from ``inputs`` and combine them, in float32."""
        mixed = self._mixed()
        with torch.autocast(inputs.h.device.type, enabled=False):
            with torch.no_grad():
                graphs = [self._build(self.names[g], inputs) for g in mixed]
            statistics = torch.stack([_statistics(graph) for graph in graphs])
            alpha = self._alpha(statistics)
            weights = [
                share * self.coefficients[g] * graph.weight
                for share, g, graph in zip(alpha, mixed, graphs, strict=True)
            ]
            combined = coalesce(
                inputs.layout.n,
                torch.cat([graph.i for graph in graphs]),
                torch.cat([graph.j for graph in graphs]),
                torch.cat(weights),
            )
        rows = torch.tensor(mixed, device=alpha.device)
        n_sources = len(self.names)
        return Combined(
            combined,
            alpha.new_zeros(n_sources).index_copy(0, rows, alpha),
            statistics.new_zeros(n_sources, 2).index_copy(0, rows, statistics),
            self.names,
        )

    def auxiliary_losses(self, h: Tensor, inputs: GraphInputs) -> dict[str, Tensor]:
        """The auxiliary loss of each source that has one, in float32; ``h`` carries gradients."""
        losses = {}
        with torch.autocast(h.device.type, enabled=False):
            for name in self.names:
                loss = self._source(name).auxiliary_loss(h.float(), inputs)
                if loss is not None:
                    losses[name] = loss
        return losses

    def _source(self, name: str) -> GraphSource:
        return cast(GraphSource, self.sources[name])

    def _mixed(self) -> list[int]:
        """The places of the sources with c > 0."""
        return [g for g, coeff in enumerate(self.coefficients) if coeff > 0]

    def _build(self, name: str, inputs: GraphInputs) -> Graph:
        """A source's graph; refused, naming the source, where it is none."""
        graph = self._source(name).build(inputs)
        try:
            graph.validate(inputs.layout.n)
        except ValueError as error:
            raise UsageError(f"graph source {name!r} returned a wrong graph: {error}") from error
        return graph

    def _alpha(self, statistics: Tensor) -> Tensor:
        """The shares of the sources with c > 0."""
        if self.alpha_mode == "fixed":
            return statistics.new_full((len(statistics),), 1 / len(statistics))
        if self.mixture is None:
            raise RuntimeError("call prepare() before the first forward()")
        return self.mixture(statistics)


def _statistics(graph: Graph) -> Tensor:
    """(2,) float32: undirected edges, and the sum of their weights."""
    return torch.stack([graph.weight.new_tensor(graph.n_edges), graph.weight.sum()]).float()
