"""The combined graph A = Σ_g α_g·c_g·A_g, and the shares α (docs/method.md §4); and what repels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.graphs.graph import Graph, binarized, coalesce, keep_largest_each, unattracted
from shamisa_cli.graphs.registry import available_sources
from shamisa_cli.graphs.shares import (
    AlphaMode,
    Balance,
    Mixture,
    balance_loss,
    check_alpha,
    constant_share,
    make_mixture,
    relation_distances,
)
from shamisa_cli.graphs.source import GraphInputs, GraphSource

Negatives = Literal["sources", "rest"]


@dataclass(frozen=True)
class Combined:
    """What the sources made of one mini-batch.

    Attributes
    ----------
    graph : A; its weights carry gradients to α when α is learned.
    alpha : (G,) float, ≥ 0, in the order of the sources; 0 for a source with c = 0. It sums to 1,
        but for ``ones``.
    statistics : (G, 2) float: number of undirected edges, and sum of their weights, of each source.
    names : the G sources.
    repulsion : Σ_g c_g·A⁻_g of the sources that repel, without gradient and without α: α shares
        out the attraction, and a further source must not weaken what the others hold apart. With
        ``negatives = "rest"``, also 1 for every pair that A does not join.
    graphs : (G) each source's own graph A_g, before α and c.
    balance : J(α), a scalar that only α learns from; None unless α is ``balanced``.
    """

    graph: Graph
    alpha: Tensor
    statistics: Tensor
    names: tuple[str, ...]
    repulsion: Graph
    graphs: tuple[Graph, ...]
    balance: Tensor | None = None


class GraphCombination(nn.Module):
    """The sources in use, their coefficients and their shares α.

    Parameters
    ----------
    sources : name → (source, coefficient c ≥ 0), in order. A source with c = 0 brings only its
        auxiliary loss: its graph is not built and it has no share of α.
    alpha : how the shares are made.
    balance, balance_temperature : of the ``balanced`` α, see :func:`shares.balance_loss`.
    binary : every positive weight of a source's graph becomes 1, before α and c.
    topk_each : each node keeps its so many largest edges of A; None keeps all.
    negatives : what repels: what the sources say, or also every pair that A does not join.
    """

    def __init__(
        self,
        sources: Mapping[str, tuple[GraphSource, float]],
        alpha: AlphaMode = "fixed",
        *,
        balance: Balance = "unmet",
        balance_temperature: float = 0.5,
        binary: bool = False,
        topk_each: int | None = None,
        negatives: Negatives = "sources",
    ) -> None:
        super().__init__()
        check_alpha(alpha, balance, balance_temperature)
        for name, (_, coeff) in sources.items():
            if not 0 <= coeff < float("inf"):
                raise UsageError(f"graph source {name!r}: coeff must be at least 0, got {coeff}")
        if not any(coeff > 0 for _, coeff in sources.values()):
            raise UsageError("no graph source with coeff above 0 is left: keep or add one")
        self.names = tuple(sources)
        self.sources = nn.ModuleDict({name: source for name, (source, _) in sources.items()})
        self.coefficients = tuple(coeff for _, coeff in sources.values())
        self.alpha_mode = alpha
        self.balance, self.temperature = balance, balance_temperature
        self.binary, self.topk_each, self.negatives = binary, topk_each, negatives
        self.mixture: Mixture | None = None

    @property
    def repelling(self) -> tuple[str, ...]:
        """The names of the sources that give a repulsion graph."""
        return tuple(self.names[g] for g in self._mixed() if self._source(self.names[g]).repels)

    def prepare(self, feature_size: int, generator: torch.Generator) -> None:
        """Make every parameter, of the sources and of α, once before training."""
        for name in self.names:
            with _named(name):
                self._source(name).prepare(feature_size, generator)
        self.mixture = make_mixture(self.alpha_mode, len(self._mixed()), generator)

    def forward(self, inputs: GraphInputs) -> Combined:
        """Build every source's graph from ``inputs`` and combine them, in float32.

        Raises
        ------
        UsageError
            where ``inputs`` lacks what a source needs, or a source returns a wrong graph.
        """
        self._check_needs(inputs)
        with torch.autocast(inputs.h.device.type, enabled=False):
            with torch.set_grad_enabled(inputs.h.requires_grad):  # detached, but for comparisons
                graphs = [self._attraction(g, inputs) for g in range(len(self.names))]
            rows = [
                [graph.weight.new_tensor(graph.n_edges), graph.weight.sum()] for graph in graphs
            ]
            statistics = torch.stack([torch.stack(row) for row in rows]).float()
            alpha = self._alpha(statistics)
            shares = alpha if self.alpha_mode == "learned" else alpha.detach()
            weights = [
                share * coeff * graph.weight
                for share, coeff, graph in zip(shares, self.coefficients, graphs, strict=True)
            ]
            combined = _joined(inputs, graphs, weights)
            if self.topk_each is not None:
                combined = keep_largest_each(combined, self.topk_each)
            repulsion = self._repulsion(inputs, combined)
            balance = self._balance(inputs.z, alpha, graphs)
        return Combined(combined, alpha, statistics, self.names, repulsion, tuple(graphs), balance)

    def auxiliary_losses(self, h: Tensor, inputs: GraphInputs) -> dict[str, Tensor]:
        """The auxiliary loss of each source that has one, in float32; ``h`` carries gradients."""
        losses = {}
        with torch.autocast(h.device.type, enabled=False):
            for name in self.names:
                with _named(name):
                    loss = self._source(name).auxiliary_loss(h.float(), inputs)
                if loss is None:
                    continue
                if not isinstance(loss, Tensor) or loss.dim():
                    raise UsageError(f"graph source {name!r}: its loss is not a scalar tensor")
                losses[name] = loss
        return losses

    def _source(self, name: str) -> GraphSource:
        return cast(GraphSource, self.sources[name])

    def _check_needs(self, inputs: GraphInputs) -> None:
        """Refuse, by name, a source that needs what ``inputs`` lacks."""
        for name in self.names:
            missing = self._source(name).needs - inputs.has
            if missing:
                working = (
                    entry.name
                    for entry in available_sources().values()
                    if entry.plugin and not entry.plugin.needs - inputs.has
                )
                raise UsageError(
                    f"graph source {name!r} needs {' and '.join(sorted(missing))}, which this "
                    f"mini-batch lacks. Sources that work with it: {', '.join(working)}"
                )

    def _mixed(self) -> list[int]:
        """The places of the sources with c > 0."""
        return [g for g, coeff in enumerate(self.coefficients) if coeff > 0]

    def _attraction(self, g: int, inputs: GraphInputs) -> Graph:
        """The g-th source's graph; empty for one that has no coefficient."""
        if self.coefficients[g] == 0:
            return Graph.empty(inputs.n, inputs.h.device)
        name = self.names[g]
        graph = _built(name, "graph", self._source(name).build, inputs)
        return binarized(graph) if self.binary else graph

    def _balance(self, z: Tensor, alpha: Tensor, graphs: Sequence[Graph]) -> Tensor | None:
        """J(α) of the sources that have a share."""
        if self.alpha_mode != "balanced":
            return None
        mixed = self._mixed()
        apart = relation_distances(z, [graphs[g] for g in mixed])
        return balance_loss(alpha[mixed], apart, self.balance, self.temperature)

    @torch.no_grad()
    def _repulsion(self, inputs: GraphInputs, attraction: Graph) -> Graph:
        """Σ_g c_g·A⁻_g, and the pairs that ``attraction`` does not join where they repel."""
        coefficients = dict(zip(self.names, self.coefficients, strict=True))
        graphs = {
            name: _built(name, "repulsion graph", self._source(name).build_repulsion, inputs)
            for name in self.repelling
        }
        weights = [coefficients[name] * graph.weight for name, graph in graphs.items()]
        made = list(graphs.values())
        if self.negatives == "rest":
            rest = unattracted(attraction, torch.ones_like(inputs.role, dtype=torch.bool))
            made, weights = [*made, rest], [*weights, rest.weight]
        if not made:
            return Graph.empty(inputs.n, inputs.h.device)
        return _joined(inputs, made, weights)

    def _alpha(self, statistics: Tensor) -> Tensor:
        """(G,) α from (G, 2) statistics."""
        mixed = torch.tensor(self._mixed(), device=statistics.device)
        if self.mixture is not None:
            shares = self.mixture(statistics[mixed].detach())
        elif self.alpha_mode in ("fixed", "ones"):
            share = constant_share(self.alpha_mode, len(mixed))
            shares = statistics.new_full((len(mixed),), share)
        else:
            raise RuntimeError("call prepare() before the first forward()")
        return statistics.new_zeros(len(self.names)).index_copy(0, mixed, shares)


def _built(
    name: str, what: str, build: Callable[[GraphInputs], Graph], inputs: GraphInputs
) -> Graph:
    """What source ``name`` builds; refused, naming the source, where it is not a valid graph."""
    with _named(name):
        graph = build(inputs)
    try:
        if not isinstance(graph, Graph):
            raise ValueError(f"expected a Graph, got {type(graph).__name__}")
        graph.validate(inputs.n)
    except ValueError as error:
        raise UsageError(f"graph source {name!r} returned a wrong {what}: {error}") from error
    return graph


def _joined(inputs: GraphInputs, graphs: Sequence[Graph], weights: Sequence[Tensor]) -> Graph:
    """One graph of the edges of all ``graphs``, with ``weights`` in place of theirs."""
    i, j = torch.cat([graph.i for graph in graphs]), torch.cat([graph.j for graph in graphs])
    return coalesce(inputs.n, i, j, torch.cat(list(weights)))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Any exception of a source, which may be a plugin's, is raised again with its name."""
    try:
        yield
    except ShamisaError:
        raise
    except Exception as error:
        raise ShamisaError(
            f"graph source {name!r} failed: {type(error).__name__}: {error}. "
            "Fix it, or leave it out"
        ) from error
