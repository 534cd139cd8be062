"""A model from the Hub, fetched and loaded once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shamisa_cli.encoders.backbones import check_backbone
from shamisa_cli.hub.fetch import fetch_model
from shamisa_cli.hub.names import HubName
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.heads import list_heads, load_head
from shamisa_cli.models.names import CONFIG_FILE
from shamisa_cli.models.pretrained import load_pretrained, timm_architecture
from shamisa_cli.models.store import load_encoder


@dataclass(frozen=True)
class Pulled:
    """A model in the Hub's cache, whole and checked.

    Attributes
    ----------
    folder : of the model; its name is the commit.
    backbone : timm name.
    heads : names of its heads.
    is_timm : whether it is a backbone of timm, to start a training from, and no scorer.
    """

    folder: Path
    backbone: str
    heads: tuple[str, ...] = ()
    is_timm: bool = False


def pull_model(name: HubName) -> Pulled:
    """Fetch a model, and load it and its heads once: what is wrong with it shows here."""
    folder = fetch_model(name, _check_config)
    architecture = timm_architecture(folder / CONFIG_FILE)
    if architecture is not None:
        load_pretrained(folder, architecture)
        return Pulled(folder, architecture, is_timm=True)
    _, config = load_encoder(folder)
    heads = tuple(list_heads(folder))
    for head in heads:
        load_head(folder, head)
    return Pulled(folder, config.backbone, heads)


def _check_config(path: Path) -> None:
    """Refuse a config.json that is not ours or timm's, or whose backbone timm does not know."""
    check_backbone(timm_architecture(path) or ModelConfig.load(path).backbone)
