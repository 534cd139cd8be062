"""What is trained: encoder, projector, graph combination; and the loss of one mini-batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.distortions.metadata import BatchMetadata
from shamisa_cli.encoders.encoder import Encoder, Projector
from shamisa_cli.errors import UsageError
from shamisa_cli.graphs.combine import Combined, GraphCombination
from shamisa_cli.graphs.registry import create_source
from shamisa_cli.graphs.source import engine_inputs
from shamisa_cli.pretraining.batches import global_order
from shamisa_cli.pretraining.config import GraphsConfig, PretrainConfig
from shamisa_cli.pretraining.initial import initial_encoder, resumed_encoder
from shamisa_cli.pretraining.objective import LossTerms, objective
from shamisa_cli.seeds import derived_seed, generator
from shamisa_cli.training.checkpoint import Checkpoint
from shamisa_cli.training.parallel import Ranks, gather_rows

GRAPHS = 4
"""The random stream of the graph sources' parameters (see ``batches`` for those of a step)."""


class PretrainModel(nn.Module):
    """Encoder, projector and graph combination; only the encoder outlives pre-training."""

    def __init__(self, encoder: Encoder, config: PretrainConfig) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = Projector(
            encoder.feature_size,
            config.projector.hidden,
            config.projector.out,
            batch_norm=config.projector_batch_norm,
        )
        self.graphs = make_combination(config.graphs)
        self.graphs.prepare(encoder.feature_size, generator(config.seed, GRAPHS))

    def own_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters whose gradients come from the crops of this rank alone."""
        return self.encoder.parameters()


@dataclass(frozen=True)
class Step:
    """One mini-batch seen by the model: the loss, and what it was made of."""

    loss: LossTerms
    combined: Combined
    h: Tensor
    z: Tensor


def make_model(config: PretrainConfig, checkpoint: Checkpoint | None = None) -> PretrainModel:
    """The model to train, on the CPU; random weights are a pure function of the config's seed.

    With ``checkpoint`` it has the shapes and the preprocessing of that one's, not its weights yet.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(config.seed))
        if checkpoint is not None:
            return PretrainModel(resumed_encoder(config, checkpoint.encoder), config)
        return PretrainModel(initial_encoder(config), config)


def make_combination(config: GraphsConfig) -> GraphCombination:
    """The graph sources that the config names, with their coefficients."""
    sources = {}
    for name, options in config.sources.items():
        parameters = {key: value for key, value in options.items() if key != "coeff"}
        source = create_source(name, **parameters)
        coeff = options.get("coeff", source.coeff)
        if isinstance(coeff, bool) or not isinstance(coeff, (int, float)):
            raise UsageError(f"graph source {name!r}: coeff: expected float, got {coeff!r}")
        sources[name] = (source, float(coeff))
    return GraphCombination(sources, alpha=config.alpha)


def forward_loss(
    model: PretrainModel,
    crops: Tensor,
    metadata: BatchMetadata,
    config: PretrainConfig,
    ranks: Ranks,
    autocast: torch.dtype | None,
) -> Step:
    """The loss of one mini-batch, the same on all ranks, from this rank's ``crops`` (n, 3, s, s).

    Only the encoder runs under mixed precision; embeddings, graphs and all terms are float32.

    Raises
    ------
    FloatingPointError
        if representations or loss are not finite.
    """
    layout = config.batch
    with torch.autocast(crops.device.type, autocast, enabled=autocast is not None):
        own = model.encoder(crops)
    h = all_crops(own, layout, ranks)
    if not bool(torch.isfinite(h).all()):
        raise FloatingPointError("the representations are not finite")
    z = model.projector(h)
    inputs = engine_inputs(layout, metadata, h.detach(), z.detach())
    combined = model.graphs(inputs)
    auxiliary = model.graphs.auxiliary_losses(h, inputs)
    loss = objective(z, combined.graph, inputs.view, auxiliary, config.weights)
    if not bool(torch.isfinite(loss.total)):
        raise FloatingPointError("the loss is not finite")
    return Step(loss, combined, h, z)


def all_crops(own: Tensor, layout: BatchLayout, ranks: Ranks) -> Tensor:
    """(N, …) in the order of ``layout`` from what each rank has of its own crops (n, …)."""
    if ranks.world == 1:
        return own
    rows = gather_rows(own, ranks)
    order = global_order(layout, ranks.shares(layout.tiny_batches)).to(rows.device)
    return torch.zeros_like(rows).index_copy(0, order, rows)
