"""MDSI against the paper's equations by scipy."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from shamisa_cli.evaluation.mdsi import mdsi


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


def test_mdsi_is_its_equations_and_nothing_for_equal_pictures() -> None:
    """Of eight noise pictures, each with more noise than the one before."""
    generator = torch.Generator().manual_seed(0)
    references = torch.rand(8, 3, 16, 20, generator=generator)
    noise = torch.randn(references.shape, generator=generator)
    strength = torch.linspace(0.01, 0.2, 8)[:, None, None, None]
    others = (references + strength * noise).clamp(0, 1)
    expected = [slow_mdsi(r, d) for r, d in zip(references.numpy(), others.numpy(), strict=True)]
    np.testing.assert_allclose(mdsi(references, others).numpy(), expected, atol=1e-4)
    assert mdsi(references, references).abs().max() < 0.02
