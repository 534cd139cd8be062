"""Batch normalization folded into the convolution before it, for inference.

With fixed statistics y = γ·(Wx + b − μ)/√(σ² + ε) + β is itself a convolution with other weights:
one pass over memory less for each layer.
"""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_TOLERANCE = 1e-3
"""Folding rounds differently (about 1e-6 of the outputs); more than this means it was not right."""


M = TypeVar("M", bound=nn.Module)


def fold_batch_norm(model: M, example: Tensor) -> M:
    """A copy of ``model`` in eval mode with the same outputs and fewer layers.

    Which normalization follows which convolution is seen by running ``example`` once, so that
    nothing is guessed from names. An activation inside the normalization (timm's
    ``BatchNormAct2d``) stays in its place. If the outputs for ``example`` then differ (an
    architecture that uses a convolution's output twice), nothing is folded.

    Parameters
    ----------
    model : takes ``example``; it is not changed.
    example : (N, 3, H, W) float32 on the model's device.
    """
    folded = copy.deepcopy(model).eval()
    with torch.no_grad():
        expected = folded(example)
        for conv_name, norm_name in _pairs(folded, example):
            conv = cast(nn.Conv2d, folded.get_submodule(conv_name))
            norm = cast(nn.BatchNorm2d, folded.get_submodule(norm_name))
            folded.set_submodule(conv_name, fuse_conv_bn_eval(conv, norm))
            folded.set_submodule(norm_name, _without_statistics(norm))
        got = folded(example)
    same = torch.allclose(got, expected, rtol=0, atol=_TOLERANCE * float(expected.abs().max()))
    return folded if same else copy.deepcopy(model).eval()


def _pairs(model: nn.Module, example: Tensor) -> list[tuple[str, str]]:
    """Names (convolution, normalization): each runs once, and the one reads the other's output."""
    from timm.layers.norm_act import BatchNormAct2d

    runs: list[str] = []
    outputs: dict[int, tuple[str, Tensor]] = {}  # the tensor is kept so that its id stays taken
    reads: dict[str, str] = {}

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            runs.append(name)
            if isinstance(module, nn.Conv2d):
                outputs[id(output)] = (name, output)
            elif id(inputs[0]) in outputs:
                reads[name] = outputs[id(inputs[0])][0]

        return module.register_forward_hook(hook)

    handles = [
        watch(name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
        or (type(module) in (nn.BatchNorm2d, BatchNormAct2d) and module.running_var is not None)
    ]
    with torch.no_grad():
        model(example)
    for handle in handles:
        handle.remove()
    return [
        (conv, norm) for norm, conv in reads.items() if runs.count(norm) == runs.count(conv) == 1
    ]


def _without_statistics(norm: nn.BatchNorm2d) -> nn.Module:
    """What a normalization does besides normalizing."""
    from timm.layers.norm_act import BatchNormAct2d

    return nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
