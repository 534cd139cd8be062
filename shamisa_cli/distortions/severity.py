"""Severity λ in [0, 1] to a distortion's native parameter and back (docs/method.md §2).

native(λ) is piecewise linear through the five published levels, placed at λ = 0, ¼, ½, ¾, 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.distortions.registry import Distortion, Entry

_INTERVALS = 4


def to_native(distortion: Distortion, severity: Tensor) -> Tensor:
    """The native parameter at each ``severity`` in [0, 1], not rounded; same shape and dtype."""
    levels = torch.tensor(distortion.levels, dtype=torch.float64, device=severity.device)
    position = severity.double() * _INTERVALS
    interval = position.floor().clamp(0, _INTERVALS - 1).long()
    native = torch.lerp(levels[interval], levels[interval + 1], position - interval)
    return native.to(severity.dtype)


def to_severity(distortion: Distortion, native: Tensor) -> Tensor:
    """The severity at which :func:`to_native` gives ``native``; outside the levels, 0 or 1."""
    levels = torch.tensor(distortion.levels, dtype=torch.float64, device=native.device)
    direction = 1.0 if levels[-1] > levels[0] else -1.0
    rising, value = levels * direction, native.double() * direction
    interval = (torch.searchsorted(rising, value, right=True) - 1).clamp(0, _INTERVALS - 1)
    low, high = rising[interval], rising[interval + 1]
    severity = (interval + (value - low) / (high - low)) / _INTERVALS
    return severity.clamp(0, 1).to(native.dtype)


def quantize_severity(distortion: Distortion, severity: Tensor) -> Tensor:
    """The severity that is really applied: an integer parameter is rounded and λ recomputed."""
    if not distortion.integer:
        return severity
    native = to_native(distortion, severity.double()).round()
    return to_severity(distortion, native).to(severity.dtype)


def applied_native(distortion: Distortion, severity: Tensor) -> Tensor:
    """The native parameter that is really applied at ``severity``, rounded where it must be."""
    native = to_native(distortion, severity)
    return native.round() if distortion.integer else native


def native_value(entry: Entry, severity: float) -> float:
    """The native parameter that ``entry`` applies at ``severity``, with its sign."""
    native = applied_native(entry.distortion, torch.tensor(severity, dtype=torch.float64))
    return entry.sign * float(native) + 0.0  # no minus zero


def native_text(entry: Entry, severity: float) -> str:
    """The same with its unit, for people: "σ 2.1 px"."""
    value = f"{native_value(entry, severity):.3g}".replace("-", "−")
    return entry.distortion.label.format(value)
