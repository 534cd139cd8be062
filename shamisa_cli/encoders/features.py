"""Photos to features: the one path that scoring and probing share (method.md §6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shamisa_cli.encoders.config import Protocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.imaging.crops import FIVE, CropPlan, crop_batches
from shamisa_cli.imaging.resample import resize, viewing_size


class FeatureExtractor:
    """An encoder made ready for inference, and the protocol by which it looks at photos.

    Parameters
    ----------
    encoder : float32; it is copied, not changed.
    protocol : viewing size, crops and scales.
    device : ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision : ``auto``, ``fp32`` or ``bf16``.
    """

    def __init__(
        self,
        encoder: Encoder,
        protocol: Protocol,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.protocol = protocol
        self.plan = CropPlan(protocol.crops, protocol.crop, protocol.scales)
        self.device = torch.device(
            "cuda" if device == "auto" and torch.cuda.is_available() else "cpu"
        )
        self.encoder = encoder.eval().to(self.device)

    @property
    def size(self) -> int:
        """F = S·d, the length of one place's features."""
        return self.encoder.feature_size * len(self.protocol.scales)

    def viewing(self, image: Image.Image) -> Image.Image:
        """``image`` at the size at which it is looked at."""
        size = viewing_size(image.size, self.protocol.short_side, self.protocol.long_side)
        return resize(image, size)

    def features(self, image: Image.Image) -> Tensor:
        """(K, S·d) float32 on the CPU: one row a place, the scales' unit-length h side by side."""
        batches = crop_batches(self.viewing(image), self.plan, len(FIVE))
        return torch.cat([self._forward(batch) for batch in batches])

    def features_many(self, images: Iterable[Image.Image]) -> Iterator[Tensor]:
        """:meth:`features` of each image, in order."""
        return map(self.features, images)

    @torch.inference_mode()
    def _forward(self, crops: list[np.ndarray]) -> Tensor:
        """(n, S·d) from one array (n, h, w, 3) a scale."""
        per_scale = [
            self.encoder(torch.from_numpy(array).to(self.device).permute(0, 3, 1, 2).float() / 255)
            for array in crops
        ]
        return torch.cat(per_scale, dim=1).cpu()
