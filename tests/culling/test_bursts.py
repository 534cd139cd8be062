"""Bursts and series by EXIF, features and detail; made-up features, real pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFilter, TiffImagePlugin

from shamisa_cli.culling.bursts import Group, find_groups
from shamisa_cli.culling.capture import Capture, read_capture
from shamisa_cli.culling.focus import focus_moved
from shamisa_cli.culling.frames import Frame, Look, look_at, look_of
from shamisa_cli.culling.registration import (
    LEAST_OVERLAP,
    Shift,
    detail,
    likeness_of_shifts,
    register,
)

Picture = Image.Image


def unit(*values: float) -> np.ndarray:
    x = np.array(values)
    return x / np.linalg.norm(x)


def frames_of(count: int, every: float = 1.0, begin: float = 0.0, **changes: object) -> list[Frame]:
    """Frames a second apart, features all alike."""
    capture = Capture(camera=("Made", "Up"))
    made = [
        Frame(f"{n:03}.jpg", 50.0, unit(1, 0), replace(capture, time=begin + every * n))
        for n in range(count)
    ]
    return [replace(frame, **changes) for frame in made]  # type: ignore[arg-type]


def found(frames: Sequence[Frame], pictures: Sequence[Picture]) -> list[tuple[str, str]]:
    """Kind and numbers of each group; the last picture stands for all that follow."""
    by_path = {frame.path: pictures[min(n, len(pictures) - 1)] for n, frame in enumerate(frames)}
    groups = find_groups(frames, lambda path: look_of(by_path[path]))
    return [(group.kind, "".join(map(str, group.members))) for group in groups]


@pytest.fixture(scope="module")
def china(sample_photos: list[Picture]) -> Picture:
    return sample_photos[0]


@pytest.fixture(scope="module")
def flower(sample_photos: list[Picture]) -> Picture:
    return sample_photos[1]


def captured(frame: Frame, **changes: object) -> Frame:
    return replace(frame, capture=replace(frame.capture, **changes))  # type: ignore[arg-type]


def test_the_likeness_of_shifts_is_the_plain_correlation(china: Picture) -> None:
    """Against numpy's corrcoef, shift by shift."""
    a, b = (
        np.asarray(china.convert("L").crop(box), float) for box in ((0, 0, 9, 7), (3, 2, 12, 9))
    )
    h, w = a.shape
    likeness = likeness_of_shifts(a, b)
    for y in range(1 - h, h):
        for x in range(1 - w, w):
            part = a[max(0, y) : h + min(0, y), max(0, x) : w + min(0, x)]
            other = b[max(0, -y) : h + min(0, -y), max(0, -x) : w + min(0, -x)]
            expected = -1.0
            if part.size >= LEAST_OVERLAP * a.size:
                expected = np.corrcoef(part.ravel(), other.ravel())[0, 1]
            assert likeness[h - 1 + y, w - 1 + x] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (12, -30), (-7, 48)])
def test_a_shift_is_found_with_its_sign(china: Picture, down: int, right: int) -> None:
    """The second picture's content lies ``down`` px below and ``right`` px right of the first's."""
    gray = np.asarray(china.convert("L").resize((192, 128)), float)
    first = detail(gray[30:110, 50:140])
    second = detail(gray[30 - down : 110 - down, 50 - right : 140 - right])
    shift = register(first, second)
    assert (round(shift.down * 80), round(shift.right * 90)) == (down, right)
    assert shift.likeness > 0.9


def test_flat_pictures_are_like_nothing() -> None:
    flat = np.zeros((20, 30))
    assert register(flat, flat).likeness == -1


def test_a_burst_is_of_one_camera_one_scene_and_little_time(
    china: Picture, flower: Picture
) -> None:
    same = frames_of(4)
    assert found(same, [china]) == [("burst", "0123")]
    assert found(frames_of(4, every=11), [china]) == []
    other = [captured(same[0], camera=("Made", "Otherwise")), *same[1:]]
    assert found(other, [china]) == [("burst", "123")]
    apart = [*same[:2], *(replace(frame, features=unit(0, 1)) for frame in same[2:])]
    assert found(apart, [china, china, flower]) == [("burst", "01"), ("burst", "23")]
    nothing_known = [replace(frame, features=None) for frame in same]
    assert found(nothing_known, [china, flower, china, flower]) == [
        ("burst", "02"),
        ("burst", "13"),
    ]
    assert found(list(reversed(same)), [china]) == [("burst", "3210")]


def test_features_alone_or_detail_alone_tell_a_scene(china: Picture, flower: Picture) -> None:
    near = [replace(f, features=unit(1, 0.2 * n)) for n, f in enumerate(frames_of(2))]
    assert found(near, [china, flower]) == [("burst", "01")]
    far = [replace(f, features=unit(1, 0.4 * n)) for n, f in enumerate(frames_of(2))]
    assert found(far, [china, flower]) == []
    assert found(far, [china, china.filter(ImageFilter.GaussianBlur(3))]) == [("burst", "01")]


def test_how_long_an_exposure_takes_does_not_count(china: Picture) -> None:
    night = frames_of(3, every=35)
    assert found(night, [china]) == []
    assert found([captured(frame, seconds=30.0) for frame in night], [china]) == [("burst", "012")]


def test_without_a_time_only_neighbors_that_are_very_near(china: Picture) -> None:
    paths = ("a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg", "b/5.jpg")
    features = [unit(1, y) for y in (0, 0.1, 0.1, 0.1, 0.4)]
    frames = [Frame(path, 1.0, f) for path, f in zip(paths, features, strict=True)]
    assert found(frames, [china]) == [("burst", "01"), ("burst", "23")]
    assert found([replace(f, features=None) for f in frames], [china]) == []


def exposed(photo: Picture, stops: float) -> Picture:
    """As if light were 2^stops, clipped."""
    linear = (np.asarray(photo, float) / 255) ** 2.2 * 2**stops
    return Image.fromarray((np.clip(linear, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8))


@pytest.mark.parametrize("field", ["exposure", "bias"])
@pytest.mark.parametrize("step", [0.6, 1.0, 2.0])
def test_a_bracket(china: Picture, field: str, step: float) -> None:
    stops = (0, -step, step)
    frames = [captured(f, **{field: s}) for f, s in zip(frames_of(3), stops, strict=True)]
    pictures = [exposed(china, s) for s in stops]
    assert found([replace(f, features=None) for f in frames], pictures) == [("bracket", "012")]


def test_light_that_changes_by_a_third_of_a_stop_is_no_bracket(china: Picture) -> None:
    frames = [captured(f, exposure=n / 3) for n, f in enumerate(frames_of(4))]
    assert found(frames, [china]) == [("burst", "0123")]


def test_a_bracket_after_a_burst(china: Picture) -> None:
    stops = (0, 0, 0, 0, -2, 2)
    frames = [captured(f, exposure=float(s)) for f, s in zip(frames_of(6), stops, strict=True)]
    assert found(frames, [exposed(china, s) for s in stops]) == [
        ("burst", "012"),
        ("bracket", "345"),
    ]


def test_another_scene_at_another_exposure_is_no_bracket(china: Picture, flower: Picture) -> None:
    frames = [captured(f, exposure=float(n)) for n, f in enumerate(frames_of(2))]
    frames[1] = replace(frames[1], features=unit(0, 1))
    assert found(frames, [china, flower]) == []


@pytest.mark.parametrize("step", [60, 110])
def test_a_panorama(china: Picture, step: int) -> None:
    pictures = [china.crop((step * n, 5 * n, step * n + 300, 5 * n + 400)) for n in range(4)]
    assert found(frames_of(4), pictures) == [("panorama", "0123")]
    assert found(frames_of(2), pictures) != [("panorama", "01")]


def test_a_camera_that_goes_there_and_back_makes_no_panorama(china: Picture) -> None:
    there, back = (china.crop((x, 0, x + 400, 427)) for x in (0, 80))
    assert found(frames_of(4), [there, back, there, back]) == [("burst", "0123")]


def focused(photo: Picture, at: float) -> Picture:
    """Sharp around the column ``at`` (0 to 1), blurred elsewhere."""
    blurred = np.asarray(photo.filter(ImageFilter.GaussianBlur(3)), float)
    away = np.clip(np.abs(np.linspace(0, 1, photo.width) - at) * 4 - 0.5, 0, 1)[None, :, None]
    pixels = np.asarray(photo, float) * (1 - away) + blurred * away
    return Image.fromarray(pixels.astype(np.uint8))


def test_a_focus_stack(china: Picture) -> None:
    pictures = [focused(china, at) for at in (0.1, 0.4, 0.7, 0.9)]
    assert found(frames_of(4), pictures) == [("focus stack", "0123")]


def test_distances_that_go_one_way_are_a_focus_stack_of_a_still_camera(china: Picture) -> None:
    frames = [captured(f, distance=d) for f, d in zip(frames_of(3), (0.5, 0.6, 0.7), strict=True)]
    assert found(frames, [china]) == [("focus stack", "012")]
    hunting = [captured(f, distance=d) for f, d in zip(frames, (0.5, 0.7, 0.6), strict=True)]
    assert found(hunting, [china]) == [("burst", "012")]
    panned = [china.crop((40 * n, 0, 40 * n + 500, 427)) for n in range(3)]
    assert found(frames, panned) == [("burst", "012")]


def test_blur_and_shake_are_no_focus_stack(china: Picture) -> None:
    """Shaken down and shaken across each have edges that the other lost."""
    pixels = np.asarray(china, float)
    down, across = (
        Image.fromarray(np.mean([np.roll(pixels, n, axis) for n in range(7)], 0).astype(np.uint8))
        for axis in (0, 1)
    )
    blurred = china.filter(ImageFilter.GaussianBlur(2))
    assert found(frames_of(4), [down, china, blurred, across]) == [("burst", "0123")]


def test_focus_that_moved_is_seen_in_shifted_frames(china: Picture) -> None:
    left, right = focused(china, 0.1), focused(china, 0.9)
    moved = right.crop((40, 0, 640, 427)), left.crop((0, 0, 600, 427))
    first, last = map(look_of, moved)
    assert focus_moved(first, last, Shift(0, 40 / 600, 1.0))
    assert not focus_moved(first, first, Shift(0, 0, 1.0))


def test_a_photo_that_is_gone_is_in_no_group(china: Picture, tmp_path: Path) -> None:
    frames = [replace(f, path=str(tmp_path / f.path)) for f in frames_of(3)]
    for frame in frames[:2]:
        china.save(frame.path)
    looks: Callable[[str], Look | None] = lambda path: look_at(path, 10**8)  # noqa: E731
    assert find_groups(frames, looks) == [Group("burst", (0, 1))]


def save_with_exif(picture: Picture, path: Path, **tags: object) -> str:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Made", "Up\0 "
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner.update({int(ExifTags.Base[name]): value for name, value in tags.items()})
    if path.suffix in (".tif", ".dng"):  # a RAW file is built as a TIFF is
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[271], info[272], info[34665] = "Made", "Up", dict(inner)
        picture.save(path, "TIFF", tiffinfo=info)
    else:
        picture.save(path, exif=exif)
    return str(path)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "dng"])
def test_what_exif_says(china: Picture, tmp_path: Path, ending: str) -> None:
    capture = read_capture(
        save_with_exif(
            china.resize((64, 48)),
            tmp_path / f"a.{ending}",
            DateTimeOriginal="1970:01:02 01:00:00",
            SubsecTimeOriginal="25",
            OffsetTimeOriginal="+01:00",
            BodySerialNumber="007",
            ExposureTime=0.5,
            FNumber=2.0,
            ISOSpeedRatings=800,
            ExposureBiasValue=-1.0,
            SubjectDistance=3.0,
        )
    )
    assert capture == Capture(86400.25, ("Made", "Up", "007"), np.log2(100), -1.0, 0.5, 3.0)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"DateTimeOriginal": "0000:00:00 00:00:00"},
        {"DateTimeOriginal": "    :  :     :  :  "},
        {"DateTimeOriginal": "yesterday", "ExposureTime": 0.0, "FNumber": 0.0},
    ],
)
def test_exif_that_says_nothing(china: Picture, tmp_path: Path, tags: dict[str, object]) -> None:
    path = save_with_exif(china.resize((64, 48)), tmp_path / "a.jpg", **tags)
    assert read_capture(path) == Capture(camera=("Made", "Up"))


def test_files_without_exif(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe1\x00\x20Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_capture(str(tmp_path / "a.jpg")) == Capture()
    assert read_capture(str(tmp_path / "none.jpg")) == Capture()
