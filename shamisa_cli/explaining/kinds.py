"""What a photo looks like: kinds of damage, each with a probability and a severity.

Two linear readings of the frozen features and of tones for each of the engine's distortions, fitted
on photos that the engine damaged. Real damage is not the engine's, so nothing here says what was
done to a photo; it says what the photo looks like.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shamisa_cli.explaining.tones import tones
from shamisa_cli.explaining.traces import traces

WORDS = {
    "gaussian_blur": "soft blur",
    "lens_blur": "out-of-focus blur",
    "motion_blur": "motion blur",
    "color_diffusion": "color bleeding",
    "color_shift": "color fringes",
    "color_saturation_1": "faded or inverted color",
    "color_saturation_2": "too much or too little color",
    "jpeg2000": "JPEG 2000 compression",
    "jpeg": "JPEG compression",
    "white_noise": "noise",
    "white_noise_cc": "luminance and color noise",
    "impulse_noise": "salt-and-pepper noise",
    "multiplicative_noise": "speckle",
    "brighten": "too bright",
    "darken": "too dark",
    "mean_shift": "shifted brightness",
    "jitter": "jittered pixels",
    "non_eccentricity_patch": "misplaced patches",
    "pixelate": "large pixels",
    "quantization": "too few tones",
    "color_block": "colored blocks",
    "high_sharpen": "over-sharpening",
    "linear_contrast_change": "wrong contrast",
    "nonlinear_contrast_change": "wrong tone curve",
}
"""What people call the distortions of the engine."""


@dataclass(frozen=True)
class Likeness:
    """One kind of damage that a photo looks like.

    Attributes
    ----------
    kind : the engine's name of the distortion.
    probability : that it is there, 0-1.
    severity : how strong, 0 (mildest) to 1.
    """

    kind: str
    probability: float
    severity: float

    @property
    def words(self) -> str:
        """Such as ``motion blur 0.6``: what people call it, and its severity."""
        return f"{WORDS.get(self.kind, self.kind)} {self.severity:.1f}"


@dataclass(frozen=True, eq=False)
class KindHeads:
    """Linear readings, for each kind of damage, of the F numbers that are :func:`heard` of a photo.

    Attributes
    ----------
    kinds : k names.
    detect : (k, F+1) float32, logits of presence; the bias is last.
    severity : (k, F+1) float32, of what is there, unclipped; the bias is last.
    threshold : probability from which a kind is named.
    """

    kinds: tuple[str, ...]
    detect: Tensor
    severity: Tensor
    threshold: float

    def __post_init__(self) -> None:
        shape = (len(self.kinds), self.detect.shape[-1])
        if not (tuple(self.detect.shape) == tuple(self.severity.shape) == shape):
            raise ValueError(
                f"detect and severity must both have {len(self.kinds)} rows of equal length, "
                f"got {tuple(self.detect.shape)} and {tuple(self.severity.shape)}"
            )
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be between 0 and 1, got {self.threshold}")

    def read(self, numbers: Tensor) -> list[Likeness]:
        """Every kind, the most probable first, from the (F,) numbers of one photo."""
        extended = extend(numbers[None])
        probabilities = (extended @ self.detect.T).sigmoid()[0]
        severities = (extended @ self.severity.T).clamp(0, 1)[0]
        rows = zip(self.kinds, probabilities.tolist(), severities.tolist(), strict=True)
        return sorted((Likeness(*row) for row in rows), key=lambda found: -found.probability)

    def named(self, found: list[Likeness]) -> list[Likeness]:
        """Those of ``found`` that are likely enough to be named; none for a good photo."""
        return [likeness for likeness in found if likeness.probability >= self.threshold]


def heard(features: Tensor, x: Tensor) -> Tensor:
    """(F,) float32 of a photo ``x`` (3, H, W), RGB in [0, 1]: features, its tones, its traces.

    Of its ``features`` (K, d) the mean over crops.
    """
    return torch.cat([features.float().mean(0), tones(x), traces(x)])


def extend(features: Tensor) -> Tensor:
    """(n, F+1): features (n, F) and a column of ones, for the bias."""
    return torch.cat([features, torch.ones(len(features), 1)], dim=1)


def in_words(found: list[Likeness]) -> str:
    """Such as ``motion blur 0.6, JPEG compression 0.3``; empty for none."""
    return ", ".join(likeness.words for likeness in found)
