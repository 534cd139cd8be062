"""timm backbones by name: listed, checked, made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from shamisa_cli.errors import UsageError, unknown_name

DEFAULT_BACKBONE = "resnet50"


@dataclass(frozen=True)
class BackboneInfo:
    """What `shamisa backbones` prints of one."""

    name: str
    parameters: int
    feature_size: int


def check_backbone(name: str) -> str:
    """``name`` if timm knows it; otherwise an error with near matches."""
    import timm

    if not timm.is_model(name):
        raise unknown_name(
            "backbone", name, timm.list_models(), "List them with: shamisa backbones PATTERN"
        )
    return name


def create_backbone(name: str) -> nn.Module:
    """A timm backbone without classifier, (N, 3, H, W) → (N, d) pooled features.

    A ViT takes pictures of any size: its position embedding is resampled to their patches, and
    sides that are no whole number of patches are padded. At its own size nothing changes.

    Parameters
    ----------
    name : timm name, such as ``resnet50``. Its weights are drawn from torch's generator; for
        timm's own see :func:`~shamisa_cli.models.pretrained.load_pretrained`.

    Raises
    ------
    UnknownNameError
        for a name that timm does not know.
    """
    import timm
    from timm.models import is_model_in_modules

    vit = is_model_in_modules(check_backbone(name), ["vision_transformer"])
    any_size: dict[str, Any] = {"dynamic_img_size": True, "dynamic_img_pad": True} if vit else {}
    return timm.create_model(name, pretrained=False, num_classes=0, **any_size)


def describe_backbone(name: str) -> BackboneInfo:
    """Parameters (without classifier) and length of the features; no weights are made."""
    import timm

    with torch.device("meta"):
        model = timm.create_model(check_backbone(name), pretrained=False, num_classes=0)
    return BackboneInfo(name, sum(p.numel() for p in model.parameters()), feature_size(model))


def is_efficientnet(backbone: nn.Module) -> bool:
    """Whether its maps can be had block by block."""
    from timm.models.efficientnet import EfficientNet

    return isinstance(backbone, EfficientNet)


def feature_size(backbone: nn.Module) -> int:
    """d, the length of a timm backbone's pooled features (after its hidden head layer, if any)."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]


def earlier_channels(backbone: nn.Module) -> list[int]:
    """Channels of the maps of every stage before the last, as ``forward_intermediates`` gives them.

    Raises
    ------
    UsageError
        for a backbone that does not give them.
    """
    if not hasattr(backbone, "forward_intermediates"):
        name = type(backbone).__name__
        raise UsageError(f"{name} does not give its stages' maps: use pooling = last with it")
    return [int(stage["num_chs"]) for stage in backbone.feature_info][:-1]  # type: ignore[union-attr]
