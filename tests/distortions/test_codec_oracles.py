"""The codecs against plain Pillow, one file at a time; and their threads."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from shamisa_cli.distortions.apply import apply_distortion
from shamisa_cli.distortions.compression import jpeg2000_bytes
from shamisa_cli.distortions.registry import DISTORTIONS

Rungs = Callable[..., Iterator[tuple[float, np.ndarray, np.ndarray]]]


def as_8_bit(image: np.ndarray) -> Image.Image:
    return Image.fromarray(np.round(image * 255).astype(np.uint8))


def through_file(image: Image.Image, **how: object) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, **how)  # type: ignore[arg-type]
    file.seek(0)
    return np.asarray(Image.open(file).convert("RGB")) / 255.0


def test_jpeg_is_libjpegs_at_that_quality(rungs: Rungs) -> None:
    for quality, image, original in rungs("jpeg"):
        expected = through_file(as_8_bit(original), format="JPEG", quality=int(quality))
        np.testing.assert_allclose(image, expected, atol=1e-7)


def test_jpeg2000_is_openjpegs_at_that_ratio(rungs: Rungs) -> None:
    for ratio, image, original in rungs("jpeg2000"):
        expected = through_file(
            as_8_bit(original),
            format="JPEG2000",
            quality_mode="rates",
            quality_layers=[int(ratio)],
            irreversible=True,
            no_jp2=True,
        )
        np.testing.assert_allclose(image, expected, atol=1e-7)


def test_jpeg2000_keeps_to_the_ratio(sample_photos: list[Image.Image]) -> None:
    for photo in sample_photos:
        for ratio in DISTORTIONS["jpeg2000"].levels:
            size = len(jpeg2000_bytes(photo, int(ratio)))
            assert photo.width * photo.height * 3 / size == pytest.approx(ratio, rel=0.05)


def test_codecs_see_the_image_rounded_to_8_bits(crops: Tensor) -> None:
    generator = torch.Generator()
    nudged = (crops + 0.4 / 255).clamp(0, 1)
    done = apply_distortion(nudged, "jpeg", 0.0, generator)
    assert torch.equal(done, apply_distortion(crops, "jpeg", 0.0, generator))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("name", ["jpeg", "jpeg2000"])
def test_threads_change_nothing(name: str, crops: Tensor) -> None:
    images = crops.repeat(3, 1, 1, 1)
    severity = torch.linspace(0, 1, 6)
    threaded = apply_distortion(images, name, severity, torch.Generator())
    torch.set_num_threads(1)
    assert torch.equal(threaded, apply_distortion(images, name, severity, torch.Generator()))


class JpegCrops:
    """A data set whose items are coded in the worker process."""

    def __init__(self, crops: Tensor) -> None:
        self.crops = crops

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Tensor:
        return apply_distortion(self.crops, "jpeg", 1.0, torch.Generator())


def test_a_forked_data_worker_has_codec_threads_of_its_own(
    crops: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the codecs are told of two threads: OpenMP itself does not survive a fork."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    here = apply_distortion(crops, "jpeg", 1.0, torch.Generator())
    loader = DataLoader(
        JpegCrops(crops), batch_size=None, num_workers=1, multiprocessing_context="fork", timeout=60
    )
    for there in loader:
        assert torch.equal(there, here)
