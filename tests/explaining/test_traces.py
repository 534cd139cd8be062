"""Traces, against slow sums, and on photos with planted damage."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image, ImageFilter
from scipy.fft import next_fast_len

from shamisa_cli.distortions.apply import apply_distortion
from shamisa_cli.explaining.traces import (
    RATIOS,
    REACH,
    RINGS,
    RUN,
    STRIDE,
    TRACES,
    displaced,
    fast_length,
    fringes,
    seams,
    traces,
)
from shamisa_cli.imaging.arrays import to_tensor

RINGS_COUNT = len(RINGS) - 1


@pytest.fixture(scope="module")
def photo(sample_photos: list[Image.Image]) -> torch.Tensor:
    return to_tensor(sample_photos[0].resize((240, 160))).float()


def slow_correlation(one: torch.Tensor, other: torch.Tensor, rows: int, columns: int) -> float:
    """Of the gradients of two maps at one displacement, pixel by pixel."""
    height, width = (side - 1 for side in one.shape)
    total, energies = 0.0, [0.0, 0.0]
    for down, right in ((1, 0), (0, 1)):

        def step(of: torch.Tensor, y: int, x: int, down: int = down, right: int = right) -> float:
            return float(of[y + down, x + right] - of[y, x])

        for y in range(height):
            for x in range(width):
                energies[0] += step(one, y, x) ** 2
                energies[1] += step(other, y, x) ** 2
                if 0 <= y + rows < height and 0 <= x + columns < width:
                    total += step(one, y + rows, x + columns) * step(other, y, x)
    return total / math.sqrt(energies[0] * energies[1])


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (3, -2), (-REACH, REACH), (0, 9)])
def test_displaced_is_the_slow_sum(rows: int, columns: int) -> None:
    one, other = torch.rand(2, 19, 23, generator=torch.Generator().manual_seed(1))
    found = displaced(one, other)
    assert found.shape == (2 * REACH + 1, 2 * REACH + 1)
    wanted = slow_correlation(one, other, rows, columns)
    assert float(found[REACH + rows, REACH + columns]) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(("rows", "columns", "distance"), [(3, 4, 5), (0, -1, 1), (-12, 0, 12)])
def test_a_channel_that_was_moved_is_found(
    photo: torch.Tensor, rows: int, columns: int, distance: int
) -> None:
    moved = photo.clone()
    moved[1] = photo[1].roll((rows, columns), (0, 1))
    before, after = fringes(photo), fringes(moved)
    in_place, excess, found = 0, 2 * RINGS_COUNT + 1, 2 * RINGS_COUNT + 2
    assert float(after[found]) == pytest.approx(distance)
    assert float(after[excess]) > float(before[excess]) + 0.2
    assert float(after[in_place]) < float(before[in_place]) - 0.2
    torch.testing.assert_close(after[len(after) // 2 :], (after[: len(after) // 2] + 0.01).log())


def test_fast_lengths_are_those_of_scipy() -> None:
    for least in (1, 17, 525, 781, 1025):
        assert fast_length(least) == next_fast_len(least, real=True)


def slow_seams(light: list[list[float]]) -> list[float]:
    """Of upright seams: shares, then the strongest parts in steps and as shares, one by one."""
    height, width = len(light), len(light[0])
    steps = [[abs(row[x + 1] - row[x]) for x in range(width - 1)] for row in light]
    parts, ratios = [], []
    for top in range(0, height - RUN + 1, STRIDE):
        rows = range(top, top + RUN)
        for x in range(1, width - 2):
            more = [max(0, steps[y][x] - max(steps[y][x - 1], steps[y][x + 1])) for y in rows]
            around = [(steps[y][x - 1] + steps[y][x] + steps[y][x + 1]) / 3 for y in rows]
            parts.append(sum(more) / RUN)
            ratios.append(parts[-1] / (sum(around) / RUN + 0.01))
    told = [sum(ratio > least for ratio in ratios) / len(ratios) for least in RATIOS]
    for values in (parts, ratios):
        ordered = sorted(values, reverse=True)
        ranks = [max(0, round(share * len(ordered)) - 1) for share in (0.01, 0.001)]
        told += [ordered[0], *(ordered[rank] for rank in ranks)]
    return told


def test_seams_are_the_slow_ones_of_both_directions() -> None:
    light = torch.rand(40, 52, generator=torch.Generator().manual_seed(2))
    upright, level = slow_seams(light.tolist()), slow_seams(light.T.tolist())
    means = [(a + b) / 2 for a, b in zip(upright, level, strict=True)]
    larger = [max(a, b) for a, b in zip(upright, level, strict=True)]
    found = seams(light)
    plain = means + larger
    assert found[: len(plain)].tolist() == pytest.approx(plain, abs=1e-5)
    logs = [math.log(each + 1e-4) for each in plain]
    assert found[len(plain) :].tolist() == pytest.approx(logs, abs=1e-3)


def test_moved_patches_leave_seams_and_blur_leaves_none(
    photo: torch.Tensor, sample_photos: list[Image.Image]
) -> None:
    """By the share of parts that are nearly all of the steps around them."""
    draws = torch.Generator().manual_seed(3)
    severities = torch.tensor([0.2, 0.9])
    pictures = photo.expand(2, -1, -1, -1)
    few, many = apply_distortion(pictures, "non_eccentricity_patch", severities, draws)
    blurred = sample_photos[0].resize((240, 160)).filter(ImageFilter.GaussianBlur(2))
    shares = [
        float(seams(each.mean(0))[1]) for each in (to_tensor(blurred).float(), photo, few, many)
    ]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] > 1.3 * shares[1]


def test_a_mirror_changes_fringes_by_a_column_of_pixels(photo: torch.Tensor) -> None:
    torch.testing.assert_close(fringes(photo.flip(-1)), fringes(photo), rtol=0.02, atol=0.02)


def test_photos_without_any_have_numbers_too(photo: torch.Tensor) -> None:
    assert len(traces(photo)) == TRACES
    for flat in (torch.zeros(3, 60, 60), torch.ones(3, 60, 60)):
        assert bool(torch.isfinite(traces(flat)).all())
    assert not traces(torch.rand(3, 8, 90)).any(), "too small for all displacements"
