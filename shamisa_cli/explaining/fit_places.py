"""The network that reads places, fitted to damaged photos."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.explaining.examples import Examples
from shamisa_cli.explaining.fit_kinds import center_and_deviation
from shamisa_cli.explaining.places import PlaceHead, beside_mean, standard

HIDDEN = 32
EPOCHS = 8
POINTS = 20.0
"""Points in which losses are counted; an error of so many is no longer squared."""

_BATCH, _RATE, _DECAY, _DROPPED, _WARMUP = 256, 1e-3, 0.3, 0.3, 0.1


def fit_places(examples: Examples, *, seed: int, epochs: int = EPOCHS) -> PlaceHead:
    """A network for :meth:`Examples.drops`; beside them it learns which cells are damaged at all.

    The second task keeps it from overlooking damage that the head hardly counts; its output is not
    kept. AdamW with one cycle of the rate; a random three in ten inputs are 0 at every step.
    """
    draws = torch.Generator().manual_seed(seed)
    center, deviation = center_and_deviation(examples.cells.float())
    network = _network(2 * len(center), draws)
    drops, count = examples.drops() / POINTS, len(examples.cells)
    steps = max(1, epochs * (count // _BATCH))
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(order) < _BATCH:
            order = torch.randperm(count, generator=draws)
        rows, order = order[:_BATCH], order[_BATCH:]
        means = examples.context[examples.picture[rows]]
        x = beside_mean(*(standard(v, center, deviation) for v in (examples.cells[rows], means)))
        x = x * (torch.rand(x.shape, generator=draws) >= _DROPPED) / (1 - _DROPPED)
        for group in optimizer.param_groups:
            group["lr"] = _RATE * one_cycle(step / steps)
        loss = _loss(network(x), drops[rows], examples.cover[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    untouched = examples.shows("as it is")
    return _as_head(network, center, deviation, float(examples.scores[untouched].mean()))


def one_cycle(progress: float) -> float:
    """Share of the peak rate at ``progress`` in [0, 1]: up in a straight line, down by a cosine."""
    if progress < _WARMUP:
        return (progress + 1e-3) / (_WARMUP + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARMUP) / (1 - _WARMUP)))


def _network(inputs: int, draws: torch.Generator) -> nn.Sequential:
    """Two layers, with weights drawn as PyTorch does, but from ``draws``."""
    layers = nn.Linear(inputs, HIDDEN), nn.Linear(HIDDEN, 2)
    with torch.no_grad():
        for layer in layers:
            bound = layer.in_features**-0.5
            for parameter in layer.parameters():
                parameter.copy_((2 * torch.rand(parameter.shape, generator=draws) - 1) * bound)
    return nn.Sequential(layers[0], nn.ReLU(), layers[1])


def _loss(found: Tensor, drops: Tensor, cover: Tensor) -> Tensor:
    damaged = F.binary_cross_entropy_with_logits(found[:, 1], cover.clamp(0, 1))
    return F.smooth_l1_loss(found[:, 0], drops) + damaged


def _as_head(network: nn.Sequential, center: Tensor, deviation: Tensor, base: float) -> PlaceHead:
    first, _, second = network
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    hidden = torch.cat([first.weight, first.bias[:, None]], dim=1).detach()
    output = torch.cat([second.weight[0], second.bias[:1]]).detach() * POINTS
    return PlaceHead(center, deviation, hidden, output, base)
