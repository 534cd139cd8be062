"""The degradation head's losses against loops, and where its gradients go."""

from __future__ import annotations

import math

import pytest
import torch

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_sources.degradation import Degradation

LAYOUT = BatchLayout(2, 2, 2, 2, 3)


def make(inputs, **options):
    source = Degradation(**options)
    source.prepare(inputs.h.shape[1], torch.Generator().manual_seed(0))
    return source


@pytest.mark.parametrize("hidden", [0, 8])
def test_loss_is_its_rule(hidden, make_graph_inputs):
    inputs = make_graph_inputs(LAYOUT)
    source = make(inputs, function=0.7, severity=0.3, hidden=hidden)
    loss = source.auxiliary_loss(inputs.h, inputs)

    h = inputs.h[LAYOUT.n_references :].double()
    x = (h - h.mean(0)) / (h.var(0, unbiased=False) + 1e-5).sqrt()
    out = source.head[1:].double()(x)
    entropies, errors = [], []
    composed = inputs.composition.severities[LAYOUT.n_references :].tolist()
    for row, severities in zip(out.tolist(), composed, strict=True):
        for k, λ in enumerate(severities):
            probability = 1 / (1 + math.exp(-row[k]))
            entropies.append(-math.log(1 - probability if math.isnan(λ) else probability))
            if not math.isnan(λ):
                errors.append((1 / (1 + math.exp(-row[26 + k])) - λ) ** 2)
    expected = 0.7 * sum(entropies) / len(entropies) + 0.3 * sum(errors) / len(errors)
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_gradients_reach_the_distorted_crops_and_the_head_only(make_graph_inputs):
    inputs = make_graph_inputs(BatchLayout(1, 1, 2, 2, 2))
    source = make(inputs, hidden=4).double()
    h = inputs.h.double().requires_grad_()
    source.auxiliary_loss(h, inputs).backward()
    assert h.grad[:2].abs().max() == 0  # the references
    assert (h.grad[2:].abs().sum(1) > 0).all()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in source.parameters())
    assert torch.autograd.gradcheck(lambda h: source.auxiliary_loss(h, inputs), h)
