"""The fidelity head's loss against loops, and MDSI against the paper's equations by scipy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_fidelity import Fidelity
from shamisa_fidelity.fidelity import distances
from shamisa_fidelity.mdsi import mdsi

LAYOUT = BatchLayout(2, 2, 2, 2, 3)


@pytest.fixture
def inputs(make_graph_inputs):
    """Crops that grow worse with their level, references first."""
    generator = torch.Generator().manual_seed(0)
    references = torch.rand(LAYOUT.n_references, 3, 16, 20, generator=generator)
    crops = [references]
    for row in LAYOUT.coordinates[LAYOUT.n_references :].tolist():
        b, v, r, _, level = row
        reference = references[(b * 2 + v) * 2 + r]
        noise = torch.randn(reference.shape, generator=generator)
        crops.append((reference + 0.02 * (level + 1) * noise).clamp(0, 1)[None])
    return dataclasses.replace(make_graph_inputs(LAYOUT), crops=torch.cat(crops))


def slow_mdsi(r: np.ndarray, d: np.ndarray) -> float:
    """The paper's equations on one pair (3, H, W) in [0, 1]; negative similarities count as 0."""

    def channels(x):
        x = x.astype(np.float64) * 255
        return (
            0.2989 * x[0] + 0.5870 * x[1] + 0.1140 * x[2],
            0.30 * x[0] + 0.04 * x[1] - 0.35 * x[2],
            0.34 * x[0] - 0.60 * x[1] + 0.17 * x[2],
        )

    def gradient(x):
        kernel = np.array([[1, 0, -1]] * 3) / 3
        x_part = ndimage.convolve(x, kernel, mode="constant")
        return np.hypot(x_part, ndimage.convolve(x, kernel.T, mode="constant"))

    (l_r, h_r, m_r), (l_d, h_d, m_d) = channels(r), channels(d)
    g_r, g_d, g_f = gradient(l_r), gradient(l_d), gradient((l_r + l_d) / 2)
    gs = (2 * g_r * g_d + 140) / (g_r**2 + g_d**2 + 140)
    gs_rf = (2 * g_r * g_f + 55) / (g_r**2 + g_f**2 + 55)
    gs_df = (2 * g_d * g_f + 55) / (g_d**2 + g_f**2 + 55)
    cs = (2 * (h_r * h_d + m_r * m_d) + 550) / (h_r**2 + h_d**2 + m_r**2 + m_d**2 + 550)
    gcs = np.maximum(0.6 * (gs + gs_df - gs_rf) + 0.4 * cs, 0) ** 0.25
    return np.abs(gcs - gcs.mean()).mean() ** 0.25


def test_mdsi_is_its_equations(inputs):
    references, others = inputs.crops[:8], inputs.crops[8:16]
    expected = [slow_mdsi(r, d) for r, d in zip(references.numpy(), others.numpy(), strict=True)]
    np.testing.assert_allclose(mdsi(references, others).numpy(), expected, atol=1e-4)


def test_mdsi_of_equal_pictures_is_nothing(inputs):
    assert mdsi(inputs.crops, inputs.crops).abs().max() < 0.02


def test_every_crop_is_compared_with_its_own_reference(inputs):
    found = distances(inputs.crops, LAYOUT)
    coordinates = LAYOUT.coordinates.tolist()
    assert found[: LAYOUT.n_references].abs().max() == 0
    for n in range(LAYOUT.n_references, LAYOUT.n):
        own = coordinates.index([*coordinates[n][:3], -1, -1])
        alone = mdsi(inputs.crops[own : own + 1], inputs.crops[n : n + 1])
        assert found[n].item() == pytest.approx(alone.item(), abs=1e-5)
    by_level = found[LAYOUT.n_references :].reshape(-1, LAYOUT.levels)
    assert (by_level.diff(dim=1) > 0).all()


def test_loss_is_its_rule_and_trains_h_and_the_head(inputs):
    source = Fidelity(weight=0.7)
    source.prepare(inputs.h.shape[1], torch.Generator().manual_seed(0))
    h = inputs.h.clone().requires_grad_()
    loss = source.auxiliary_loss(h, inputs)
    x = inputs.h.double()
    x = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()
    linear = source.head[1]
    guesses = (x @ linear.weight.double().T + linear.bias.double())[:, 0].tolist()
    errors = []
    for guess, target in zip(guesses, distances(inputs.crops, LAYOUT).tolist(), strict=True):
        off = abs(guess - target / 0.1)
        errors.append(off**2 / 2 if off < 1 else off - 0.5)
    assert loss.item() == pytest.approx(0.7 * sum(errors) / len(errors), rel=1e-4)
    loss.backward()
    assert (h.grad.abs().sum(1) > 0).all()
    assert all(p.grad.abs().max() > 0 for p in source.parameters())


def test_it_has_no_graph_and_needs_pixels(inputs):
    source = Fidelity()
    source.prepare(inputs.h.shape[1], torch.Generator().manual_seed(0))
    assert source.build(inputs).n_edges == 0
    assert source.uses_crops
    with pytest.raises(ValueError, match="crops"):
        source.auxiliary_loss(inputs.h, dataclasses.replace(inputs, crops=None))
    with pytest.raises(ValueError, match="weight"):
        Fidelity(weight=-1)
