"""Devices and number formats: what this machine really has, detected, not assumed."""

from __future__ import annotations

import functools
from typing import Any, Literal, TypeVar, cast

import torch
from torch import Tensor, nn

from shamisa_cli.errors import UsageError

Precision = Literal["auto", "fp32", "bf16"]
E = TypeVar("E", bound=nn.Module)


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
        raise UsageError(f"no {kind} device on this machine; use auto or cpu")
    return torch.device(name)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 has instructions of its own there (emulation is slower than float32)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, bool)() for name in checks)


def computes_in_bf16(precision: str, model: nn.Module, device: torch.device) -> bool:
    """Whether ``model`` computes in bfloat16 at ``precision``.

    ``auto`` is where it pays: where the device has instructions for it, but on a CPU not for
    networks of depthwise convolutions. There it saves a tenth of the time (measured), and in
    float32 scores are the same on every CPU.
    """
    if precision != "auto":
        return precision == "bf16"
    pays = device.type != "cpu" or not depthwise_convolutions(model)
    return pays and has_fast_bf16(device)


def training_autocast(precision: str, model: nn.Module, device: torch.device) -> torch.dtype | None:
    """What autocast makes of ``model`` in training at ``precision``; None is float32.

    ``auto`` is bfloat16 where the device has instructions for it. On a CPU depthwise convolutions
    are then made to stay in float32: the gradients of their weights have no fast way in bfloat16
    (with tf_efficientnet_lite0 at 512 px 88 ms a photo in the backward pass, where float32 takes
    47, and both together 32).
    """
    if precision == "fp32" or (precision == "auto" and not has_fast_bf16(device)):
        return None
    if device.type == "cpu":
        for name in depthwise_convolutions(model):
            stay_in_float32(model.get_submodule(name))
    return torch.bfloat16


def stay_in_float32(layer: nn.Module) -> None:
    """Let ``layer`` compute in float32 whatever autocast is around it, where it is.

    Its class is changed, as torch's parametrizations do, so that its parameters keep their names.
    """
    if not getattr(layer, "stays_in_float32", False):
        layer.__class__ = _in_float32(cast(Any, type(layer)))


@functools.cache
def _in_float32(kind: Any) -> Any:
    """A class of layers like ``kind`` that compute in float32."""

    class Exact(kind):
        stays_in_float32 = True

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast(x.device.type, enabled=False):
                return super().forward(x.float())

    return Exact


def to_mixed_precision(model: E, example: Tensor, early: float = 0.5) -> E:
    """Make ``model`` ready for bfloat16 autocast; it is changed, and returned.

    The weights of convolutions and linear layers are rounded once, here. Convolutions that see the
    picture at the share ``early`` of its size or more stay in float32: the rounding of their few
    weights shifts all that follows in the same direction. Measured with mobilenetv4_conv_small and
    a head on CLIVE, over 120 of its photos: 1.27 points at most without that exception, 0.18 with
    it, for 5 % of the time. So do depthwise convolutions, which gain no time by bfloat16.

    Parameters
    ----------
    example : (N, 3, H, W) float32 on the model's device; run once, to see sizes.
    early : ½ for heads that read the last maps. Those that read every map (``regions``) see the
        rounding itself: with tf_efficientnet_lite0 1.31 points at most with ½, 0.60 with ⅛.
    """
    exact = _early_convolutions(model, example, early) | depthwise_convolutions(model)
    for name, module in list(model.named_modules()):
        if name in exact:
            stay_in_float32(module)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            module.to(torch.bfloat16)
    return model


def depthwise_convolutions(model: nn.Module) -> set[str]:
    """Names of the convolutions that see one channel each."""
    return {
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels
    }


def _early_convolutions(model: nn.Module, example: Tensor, share: float) -> set[str]:
    """Names of the convolutions whose input has at least ``share`` of the sides of ``example``."""
    least = min(example.shape[-2:]) * share
    early: set[str] = set()

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if min(inputs[0].shape[-2:]) >= least:
                early.add(name)

        return module.register_forward_hook(hook)

    convolutions = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    handles = [watch(name, module) for name, module in convolutions]
    with torch.no_grad():
        model(example)
    for handle in handles:
        handle.remove()
    return early
