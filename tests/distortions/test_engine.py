"""A whole mini-batch: its order, its shared work, its draws."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from shamisa_cli.distortions.composition import Composition, compose
from shamisa_cli.distortions.engine import distort_batch, sample_metadata
from shamisa_cli.distortions.layout import BatchLayout, BatchMetadata
from shamisa_cli.distortions.registry import ENTRIES

LAYOUT = BatchLayout(tiny_batches=2, references=2, groups=2, levels=3)
DRAWING = (
    "motion_blur",
    "color_shift",
    "white_noise",
    "white_noise_cc",
    "impulse_noise",
    "multiplicative_noise",
    "jitter",
    "non_eccentricity_patch",
    "color_block",
)


@pytest.fixture(scope="module")
def references(sample_photos: list[Image.Image]) -> Tensor:
    """(8, 3, 48, 56) uint8: pieces of real photos."""
    pieces = [
        np.array(photo.crop((x, 150, x + 56, 198)))
        for x in (100, 200, 300, 400)
        for photo in sample_photos
    ]
    return torch.from_numpy(np.stack(pieces)).permute(0, 3, 1, 2).contiguous()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def metadata_of(seed: int, without: tuple[str, ...] = ()) -> BatchMetadata:
    """Drawn metadata; functions of ``without`` are replaced by the first, a Gaussian blur."""
    metadata = sample_metadata(LAYOUT, seeded(seed))
    barred = [i for i, e in enumerate(ENTRIES) if e.distortion.name in without]
    functions = metadata.functions.clone()
    functions[torch.isin(functions, torch.tensor(barred))] = 0
    return BatchMetadata(functions, metadata.severities, metadata.varying)


def alone(image: Tensor, metadata: BatchMetadata, b: int, c: int, level: int) -> Tensor:
    """One image through its composition, nothing shared."""
    functions = [f for f in metadata.functions[b, c].tolist() if f >= 0]
    severities = metadata.severities[b, c, level, : len(functions)].tolist()
    composition = Composition(tuple(functions), tuple(severities))
    return compose(image[None], composition, torch.Generator())[0]


@given(st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
def test_sharing_equals_one_image_at_a_time(references: Tensor, seed: int) -> None:
    """Without draws. Float rounding may tip a value over a rounding edge of a codec or quantizer:
    up to 1 % of the values may differ by more than 1e-3, and no crop's mean by more than 2e-3."""
    metadata = metadata_of(seed, without=DRAWING)
    crops = distort_batch(references, metadata, LAYOUT, seeded(0))
    pristine = references / 255
    for node, (b, v, r, c, level) in enumerate(LAYOUT.coordinates.tolist()):
        reference = pristine[(b * LAYOUT.views + v) * LAYOUT.references + r]
        if c < 0:
            assert torch.equal(crops[node], reference)
            continue
        difference = (crops[node] - alone(reference, metadata, b, c, level)).abs()
        assert float((difference > 1e-3).float().mean()) < 0.01
        assert float(difference.mean()) < 2e-3


def test_a_function_that_draws_is_applied_to_its_own_crops(references: Tensor) -> None:
    """Noise differs from crop to crop, and is as strong as the metadata say."""
    noise = next(i for i, e in enumerate(ENTRIES) if e.name == "white_noise")
    metadata = metadata_of(0)
    functions = torch.full_like(metadata.functions, -1)
    functions[..., 0] = noise
    metadata = BatchMetadata(functions, metadata.severities, torch.zeros_like(metadata.varying))
    gray = torch.full((LAYOUT.n_references, 3, 64, 64), 0.5)
    crops = distort_batch(gray, metadata, LAYOUT, seeded(1))[LAYOUT.n_references :]
    levels = metadata.node_varying_severity(LAYOUT)[LAYOUT.n_references :]
    by_strength = crops.var(dim=(1, 2, 3)).argsort()
    assert torch.equal(levels[by_strength], levels.sort().values)
    assert len({crop.sum().item() for crop in crops}) == len(crops)


@given(st.integers(0, 10_000))
@settings(max_examples=4, deadline=None)
def test_is_reproducible_in_range_and_leaves_its_input_alone(references: Tensor, seed: int) -> None:
    before = references.clone()
    one = distort_batch(references, metadata_of(seed), LAYOUT, seeded(seed))
    two = distort_batch(references, metadata_of(seed), LAYOUT, seeded(seed))
    assert torch.equal(one, two)
    assert torch.equal(references, before)
    assert one.shape == (LAYOUT.n, 3, 48, 56)
    assert one.dtype == torch.float32
    assert one.is_contiguous()
    assert 0 <= float(one.min()) <= float(one.max()) <= 1


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("restored_threads")
def test_the_number_of_threads_changes_nothing(references: Tensor) -> None:
    made = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        made.append(distort_batch(references, metadata_of(11), LAYOUT, seeded(3)))
    assert torch.equal(*made)


def test_floats_give_the_same_as_8_bits_and_are_left_alone(references: Tensor) -> None:
    metadata = metadata_of(4)
    floats = references / 255
    before = floats.clone()
    of_bytes = distort_batch(references, metadata, LAYOUT, seeded(5))
    of_floats = distort_batch(floats, metadata, LAYOUT, seeded(5))
    assert torch.equal(of_bytes, of_floats)
    of_floats.zero_()
    assert torch.equal(floats, before)


def test_fills_a_buffer_that_it_is_given(references: Tensor) -> None:
    metadata = metadata_of(9)
    fresh = distort_batch(references, metadata, LAYOUT, seeded(9))
    buffer = torch.full_like(fresh, float("nan"))
    assert distort_batch(references, metadata, LAYOUT, seeded(9), out=buffer) is buffer
    assert torch.equal(buffer, fresh)
    with pytest.raises(ValueError, match="expected out"):
        distort_batch(references, metadata, LAYOUT, seeded(9), out=buffer[:-1])


def test_refuses_references_of_another_layout(references: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected references \(8, 3, H, W\)"):
        distort_batch(references[:5], metadata_of(0), LAYOUT, seeded(0))


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_metadata_are_whole(seed: int) -> None:
    metadata = sample_metadata(LAYOUT, seeded(seed))
    used = metadata.functions >= 0
    assert torch.equal(used.int().cummin(-1).values.bool(), used)
    assert (metadata.varying < used.sum(-1)).all()
    assert (metadata.severities[~used[:, :, None].expand_as(metadata.severities)] == 0).all()
    differs = (metadata.severities != metadata.severities[:, :, :1]).any(2)
    positions = torch.arange(differs.shape[-1])
    assert not (differs & (positions != metadata.varying[..., None])).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_makes_the_same_crops_without_draws(references: Tensor) -> None:
    metadata = metadata_of(8, without=DRAWING)
    here = distort_batch(references, metadata, LAYOUT, seeded(0))
    there = distort_batch(references.cuda(), metadata, LAYOUT, seeded(0)).cpu()
    assert float(((here - there).abs() > 0.02).float().mean()) < 0.01
