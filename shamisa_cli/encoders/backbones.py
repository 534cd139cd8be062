"""timm backbones by name: listed, checked, made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import timm
from torch import nn

from shamisa_cli.errors import WeightsError, unknown_name

DEFAULT_BACKBONE = "resnet50"


@dataclass(frozen=True)
class BackboneInfo:
    """What `shamisa backbones` prints of one."""

    name: str
    parameters: int
    feature_size: int


def check_backbone(name: str) -> str:
    """``name`` if timm knows it; otherwise an error with near matches."""
    if not timm.is_model(name):
        raise unknown_name(
            "backbone", name, timm.list_models(), "List them with: shamisa backbones PATTERN"
        )
    return name


def create_backbone(name: str, init: Literal["imagenet", "random"] = "random") -> nn.Module:
    """A timm backbone without classifier, (N, 3, H, W) → (N, d) pooled features.

    Parameters
    ----------
    name : timm name, such as ``resnet50``.
    init : ``imagenet`` fetches timm's pre-trained weights (network, or Hugging Face's cache);
        ``random`` draws them from torch's generator.

    Raises
    ------
    UnknownNameError
        for a name that timm does not know.
    WeightsError
        when pre-trained weights were asked for and cannot be had; the message says what to do.
    """
    check_backbone(name)
    if init == "random":
        return timm.create_model(name, pretrained=False, num_classes=0)
    try:
        return timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # timm and the hub raise many kinds; each means "not to be had"
        raise WeightsError(
            f"ImageNet weights of {name} cannot be had ({_first_line(error)}). Use --init random, "
            f'or run once where there is a network: python -c "import timm; '
            f"timm.create_model('{name}', pretrained=True)\" and copy the Hugging Face cache here."
        ) from error


def describe_backbone(name: str) -> BackboneInfo:
    """Parameters (without classifier) and length of the features of one backbone; no weights made."""
    import torch

    with torch.device("meta"):
        model = timm.create_model(check_backbone(name), pretrained=False, num_classes=0)
    return BackboneInfo(name, sum(p.numel() for p in model.parameters()), feature_size(model))


def feature_size(backbone: nn.Module) -> int:
    """d, the length of a timm backbone's pooled features (after its own hidden head layer, if any)."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
