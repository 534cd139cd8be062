"""A small model that sees photos whole, and cannot explain its scores yet."""

from __future__ import annotations

from pathlib import Path

import torch

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.heads import save_head
from shamisa_cli.models.store import save_encoder

BACKBONE = "mobilenetv4_conv_small_035"


def whole_model(folder: Path) -> Path:
    """A model folder with random weights, pooling regions, and two heads."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = Encoder.from_name(BACKBONE, None, "regions").eval()
    protocol = ViewingProtocol(short_side=64, crop=64, crops="whole", scales=(1.0,))
    size = encoder.feature_size
    config = ModelConfig("whole", BACKBONE, size, "regions", default_head="toy", protocol=protocol)
    save_encoder(folder, encoder, config)
    draws = torch.Generator().manual_seed(4)
    for name in ("toy", "other"):
        info = HeadInfo(name, "toys", (-3.0, 3.0), True, 10, size, 1.0)
        save_head(folder, Head(torch.randn(size, generator=draws), 0.0, info))
    return folder
