"""What is trained: encoder, projector, graphs, objective; and the loss of one mini-batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from shamisa_cli.distortions.layout import BatchLayout, BatchMetadata
from shamisa_cli.encoders.encoder import (
    Encoder,
    Projector,
    freeze_batch_norm,
    freeze_untrained,
    train_last,
)
from shamisa_cli.graphs.combine import Combined, GraphCombination
from shamisa_cli.graphs.registry import create_sources
from shamisa_cli.graphs.source import engine_inputs
from shamisa_cli.pretraining.config import GraphsConfig, PretrainConfig
from shamisa_cli.pretraining.objective import (
    ObjectiveInputs,
    check_graphs,
    create_objective,
    loss_of,
)
from shamisa_cli.seeds import generator
from shamisa_cli.training.parallel import Ranks, gather_rows
from shamisa_cli.training.task import Loss

GRAPHS = 4
"""The random stream of the graph sources' parameters (see ``batches`` for those of a step)."""

DISTILLED = "self_distillation"
"""The term that keeps representations near those of the start, in the log."""


class PretrainModel(nn.Module):
    """Encoder, projector, graph combination, objective; only the encoder outlives pre-training."""

    def __init__(self, encoder: Encoder, config: PretrainConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.start = (
            copy.deepcopy(encoder).requires_grad_(False) if config.self_distillation else None
        )
        train_last(encoder.backbone, config.trained)
        self.projector = Projector(
            encoder.feature_size,
            config.projector.hidden,
            config.projector.out,
            batch_norm=config.projector_batch_norm,
        )
        self.graphs = make_combination(config.graphs)
        self.graphs.prepare(encoder.feature_size, generator(config.seed, GRAPHS))
        self.objective = create_objective(config.objective)
        check_graphs(config.objective["name"], self.objective, self.graphs, config.graphs.detach)

    def train(self, mode: bool = True) -> PretrainModel:
        """As torch's; batch norms of the backbone stay as they are where the config says so."""
        super().train(mode)
        freeze_untrained(self.encoder.backbone)
        if self.config.batch_norm == "frozen":
            freeze_batch_norm(self.encoder)
        if self.start is not None:
            self.start.eval()
        return self

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the terms that the loss is made of, as the log has them."""
        return (*self.objective.terms, *((DISTILLED,) if self.start is not None else ()))

    def forward(
        self,
        crops: Tensor,
        metadata: BatchMetadata,
        ranks: Ranks,
        autocast: torch.dtype | None = None,
    ) -> PretrainLoss:
        """The loss of one mini-batch, the same on all ranks.

        ``crops`` (n, 3, s, s) are this rank's, ``metadata`` that of the whole mini-batch. Only the
        encoder runs in ``autocast``; embeddings, graphs and all terms are float32.

        Raises
        ------
        FloatingPointError
            if representations or loss are not finite.
        """
        layout = self.config.batch
        with torch.autocast(crops.device.type, autocast, enabled=autocast is not None):
            own = self.encode(crops, layout.n_references // ranks.world)
            before = self.before_training(crops)
        h = all_crops(own, layout, ranks)
        if not bool(torch.isfinite(h).all()):
            raise FloatingPointError("the representations are not finite")
        z = self.projector(h)
        inputs = engine_inputs(layout, metadata, h.detach(), z.detach())
        detached = self.config.graphs.detach
        combined = self.graphs(inputs if detached else engine_inputs(layout, metadata, h, z))
        auxiliary = self.graphs.auxiliary_losses(h, inputs)
        graph = combined.graph if detached else combined.graph.detach()
        seen = ObjectiveInputs(z, inputs, graph, combined.repulsion, auxiliary, combined.graph)
        loss = loss_of(self.config.objective["name"], self.objective, seen)
        total, terms = loss.total, dict(loss.terms)
        if before is not None:
            moved = (own - before).square().sum(dim=1)
            terms[DISTILLED] = gather_rows(moved, ranks).mean()
            total = total + self.config.self_distillation * terms[DISTILLED]
        if combined.balance is not None:  # α learns from it; the loss stays what it is
            total = total + (combined.balance - combined.balance.detach())
        return PretrainLoss(total, terms, crops.shape[-1], combined, h, z)

    def encode(self, crops: Tensor, references: int) -> Tensor:
        """Representations (n, d) of ``crops``, the first ``references`` of which are references."""
        if self.config.batch_norm != "apart":
            return cast(Tensor, self.encoder(crops))
        return torch.cat([self.encoder(crops[:references]), self.encoder(crops[references:])])

    @torch.no_grad()
    def before_training(self, crops: Tensor) -> Tensor | None:
        """h₀ (n, d), what the start makes of ``crops``; None where nothing asks for it."""
        return None if self.start is None else cast(Tensor, self.start(crops))


@dataclass(frozen=True)
class PretrainLoss(Loss):
    """The loss of one mini-batch, and what it was made of; ``side`` is that of its crops, px.

    ``pulls`` : the norms of the terms' gradients by z, of a mini-batch that is measured.
    """

    side: int
    combined: Combined
    h: Tensor
    z: Tensor
    pulls: Mapping[str, float] = field(default_factory=dict)


def make_combination(config: GraphsConfig) -> GraphCombination:
    """The graph sources that the config names, with their coefficients."""
    return GraphCombination(
        create_sources(config.sources),
        alpha=config.alpha,
        balance=config.balance,
        balance_temperature=config.balance_temperature,
        binary=config.binary,
        topk_each=config.topk_each,
        negatives=config.negatives,
    )


def all_crops(own: Tensor, layout: BatchLayout, ranks: Ranks) -> Tensor:
    """(N, …) in the order of ``layout`` from what each rank has of its own crops (n, …)."""
    if ranks.world == 1:
        return own
    rows = gather_rows(own, ranks)
    order = global_order(layout, ranks.world).to(rows.device)
    return torch.zeros_like(rows).index_copy(0, order, rows)


def global_order(layout: BatchLayout, world: int) -> Tensor:
    """(N,) int64: where the crops of the ranks' shares, one after another, stand in ``layout``."""
    rank = layout.coordinates[:, 0] * world // layout.tiny_batches
    return rank.argsort(stable=True)
