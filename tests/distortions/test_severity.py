"""λ and the native parameter: monotone, invertible, exact at the five published levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shamisa_cli.distortions.registry import DISTORTIONS, Distortion
from shamisa_cli.distortions.severity import (
    applied_native,
    quantize_severity,
    to_native,
    to_severity,
)

distortions = st.sampled_from(list(DISTORTIONS.values()))
severities = st.floats(0, 1, allow_nan=False, width=32)
KNOTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def scalar(value: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(value, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distortion", DISTORTIONS.values(), ids=lambda d: d.name)
def test_is_exact_at_the_five_levels(distortion: Distortion, dtype: torch.dtype) -> None:
    native = to_native(distortion, torch.tensor(KNOTS, dtype=dtype))
    assert torch.equal(native, torch.tensor(distortion.levels, dtype=dtype))
    assert to_severity(distortion, native).tolist() == pytest.approx(KNOTS, abs=1e-7)
    assert len(set(np.sign(np.diff(distortion.levels)))) == 1  # strictly monotone


@given(distortions, st.lists(severities, min_size=1, max_size=20))
def test_agrees_with_numpys_interpolation(distortion: Distortion, values: list[float]) -> None:
    expected = np.interp(values, KNOTS, distortion.levels)
    ours = to_native(distortion, torch.tensor(values, dtype=torch.float64))
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-12, rtol=1e-12)


@given(distortions, severities)
def test_severity_inverts_native(distortion: Distortion, severity: float) -> None:
    native = to_native(distortion, scalar(severity))
    assert float(to_severity(distortion, native)) == pytest.approx(severity, abs=1e-9)


@given(distortions, severities, st.sampled_from([torch.float32, torch.float64]))
def test_quantized_severity_tells_the_truth(
    distortion: Distortion, severity: float, dtype: torch.dtype
) -> None:
    wanted = scalar(severity, dtype)
    truth = quantize_severity(distortion, wanted)
    if not distortion.integer:
        assert torch.equal(truth, wanted)
        return
    native = to_native(distortion, truth)
    assert float(native) == pytest.approx(round(float(native)), abs=1e-4)
    assert float(applied_native(distortion, truth)) == float(applied_native(distortion, wanted))
    assert abs(float(native) - float(to_native(distortion, wanted))) <= 0.5 + 1e-4
    torch.testing.assert_close(quantize_severity(distortion, truth), truth, atol=1e-6, rtol=0)
