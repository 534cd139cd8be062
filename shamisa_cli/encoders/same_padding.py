"""TensorFlow's ``same`` padding without a copy of the map, for inference.

timm's networks from TensorFlow (``tf_``) pad each map at run time, which takes a fresh map of that
size. A convolution of stride 1 pads alike on all sides, as torch's own does. One of stride 2 pads
one side more where a map's side is even; there the kernel gets a row of zeros instead.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

M = TypeVar("M", bound=nn.Module)


class PaddedConv2d(nn.Conv2d):
    """A ``Conv2dSame`` of odd kernel and stride 1 or 2, whatever the size of the map."""

    def forward(self, input: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return self._with_padded_map(input)
        rows, columns = (
            int(stride == 2 and kernel > 1 and side % 2 == 0)
            for stride, kernel, side in zip(
                self.stride, self.kernel_size, input.shape[-2:], strict=True
            )
        )
        weight = F.pad(self.weight, (columns, 0, rows, 0)) if rows or columns else self.weight
        return F.conv2d(
            input, weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def _with_padded_map(self, input: Tensor) -> Tensor:
        """The same without a decision that depends on the size, for graphs of any size."""
        pads: list[int] = []
        for stride, kernel, side in zip(
            self.stride[::-1], self.kernel_size[::-1], (input.shape[3], input.shape[2]), strict=True
        ):
            after = kernel // 2
            pads += [after - 1 + side % 2 if stride == 2 and kernel > 1 else after, after]
        return F.conv2d(
            F.pad(input, pads), self.weight, self.bias, self.stride, 0, self.dilation, self.groups
        )


def without_run_time_padding(model: M) -> M:
    """``model`` with the same outputs, in which no map is padded by a copy; it is changed.

    Convolutions of an even kernel, a larger stride or a dilation stay as they are.
    """
    from timm.layers.conv2d_same import Conv2dSame

    for name, module in list(model.named_modules()):
        if isinstance(module, Conv2dSame) and _can_be_padded(module):
            model.set_submodule(name, _padded(module))
    return model


def _can_be_padded(conv: nn.Conv2d) -> bool:
    odd = all(side % 2 == 1 for side in conv.kernel_size)
    return odd and set(conv.stride) <= {1, 2} and set(conv.dilation) == {1}


def _padded(conv: nn.Conv2d) -> PaddedConv2d:
    with torch.device("meta"):
        made = PaddedConv2d(
            conv.in_channels,
            conv.out_channels,
            (conv.kernel_size[0], conv.kernel_size[1]),
            (conv.stride[0], conv.stride[1]),
            (conv.kernel_size[0] // 2, conv.kernel_size[1] // 2),
            groups=conv.groups,
            bias=conv.bias is not None,
        )
    made.weight, made.bias = conv.weight, conv.bias
    return made.train(conv.training)
