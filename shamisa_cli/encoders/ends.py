"""Several ends, ours: an EfficientNet whose first stages feed more than one pair of last stages.

The first end knows what a photo shows, the others were trained on something else, such as what was
done to it. Re-IQA (arXiv 2304.00451) has two encoders side by side for that; here they share what
comes first, which takes most of the time.
"""

from __future__ import annotations

import copy
from typing import Any, cast

from torch import nn

from shamisa_cli.encoders.backbones import is_efficientnet
from shamisa_cli.errors import UsageError

NAMES = ("second", "third", "fourth")
"""Of the further ends, as parts of the backbone."""


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


def add_end(backbone: nn.Module, block: int, source: nn.Module | None = None) -> None:
    """Give an EfficientNet one more end, which starts at ``block``: that of ``source``, or its own.

    Raises
    ------
    UsageError
        for another kind of backbone, for a block that it has not, or that is its first, and for a
        fifth end.
    """
    if not is_efficientnet(backbone):
        kind = type(backbone).__name__
        raise UsageError(f"ends: {kind} cannot have several; EfficientNets can")
    count = len(cast(Any, backbone).blocks)
    if not 0 < block < count:
        raise UsageError(f"ends: must start at a block from 1 to {count - 1}, got {block}")
    has = len(further_ends(backbone))
    if has == len(NAMES):
        raise UsageError(f"ends: there may be {has} further ones, no more")
    backbone.add_module(NAMES[has], LastStages(source or backbone, block))


def further_ends(backbone: nn.Module) -> list[LastStages]:
    """The ends beside the first one."""
    found = [getattr(backbone, name, None) for name in NAMES]
    return [end for end in found if isinstance(end, LastStages)]  # others may use the names, too
