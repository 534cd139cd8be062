"""Devices and number formats: what this machine really has, detected, not assumed."""

from __future__ import annotations

from typing import Literal

import torch

from shamisa_cli.errors import UsageError

Precision = Literal["auto", "fp32", "bf16"]


def choose_device(name: str = "auto") -> torch.device:
    """The torch device of ``auto``, ``cpu``, ``cuda`` or ``mps``; one that is absent is refused."""
    present = {"cpu": True, "cuda": torch.cuda.is_available()}
    present["mps"] = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    kind = name.split(":")[0]
    if kind not in present:
        raise UsageError(f"unknown device {name!r}: expected auto, cpu, cuda or mps")
    if not present[kind]:
        raise UsageError(f"no {kind} device on this machine; use --device auto or cpu")
    return torch.device(name)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 has instructions of its own there (emulation is slower than float32)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, bool)() for name in checks)
