"""The codecs against plain Pillow, one file at a time; and their threads."""

from __future__ import annotations

import io
import multiprocessing
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

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


def jpeg_of(crops: np.ndarray) -> np.ndarray:
    return apply_distortion(torch.from_numpy(crops), "jpeg", 1.0, torch.Generator()).numpy()


def test_a_forked_data_worker_has_codec_threads_of_its_own(
    crops: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the codecs are told of two threads: OpenMP itself does not survive a fork."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    here = jpeg_of(crops.numpy())
    with multiprocessing.get_context("fork").Pool(1) as workers:
        there = workers.apply_async(jpeg_of, (crops.numpy(),)).get(timeout=60)
    assert np.array_equal(there, here)
