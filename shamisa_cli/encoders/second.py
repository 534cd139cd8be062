"""A second end, ours: an EfficientNet whose first stages feed two pairs of last stages.

One end knows what a photo shows, the other was trained on something else, such as what was done to
it. Re-IQA (arXiv 2304.00451) has two encoders side by side for that; here they share what comes
first, which takes most of the time.
"""

from __future__ import annotations

import copy
from typing import Any, cast

from torch import nn

from shamisa_cli.encoders.backbones import is_efficientnet
from shamisa_cli.errors import UsageError


class LastStages(nn.Module):
    """The blocks of an EfficientNet from ``block`` on, and its head's convolution.

    State: their weights, a copy of those of ``net``.
    """

    def __init__(self, net: nn.Module, block: int) -> None:
        super().__init__()
        of = cast(Any, net)
        self.block = block
        self.blocks = copy.deepcopy(of.blocks[block:])
        self.conv_head = copy.deepcopy(of.conv_head)
        self.bn2 = copy.deepcopy(of.bn2)


def add_second(backbone: nn.Module, block: int, source: nn.Module | None = None) -> None:
    """Give an EfficientNet a second end that starts at ``block``: that of ``source``, or its own.

    Raises
    ------
    UsageError
        for another kind of backbone, and for a block that it has not, or that is its first.
    """
    if not is_efficientnet(backbone):
        kind = type(backbone).__name__
        raise UsageError(f"second: {kind} cannot have a second end; EfficientNets can")
    count = len(cast(Any, backbone).blocks)
    if not 0 < block < count:
        raise UsageError(f"second: must be a block from 1 to {count - 1}, got {block}")
    backbone.add_module("second", LastStages(source or backbone, block))


def second_of(backbone: nn.Module) -> LastStages | None:
    """The second end, if there is one."""
    found = getattr(backbone, "second", None)
    return found if isinstance(found, LastStages) else None  # others may use the name, too
