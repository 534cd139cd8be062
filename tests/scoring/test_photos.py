"""What can be scored from Python: files in any form, images, arrays and tensors, one or many."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

import shamisa
import shamisa_cli
from shamisa_cli.imaging.arrays import photo_from_tensor
from shamisa_cli.scoring import Score, Scorer


@pytest.fixture(scope="module")
def scorer(tiny_model: Path) -> Scorer:
    return shamisa.load(str(tiny_model), device="cpu", precision="fp32", workers=2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, sample_photos: list[Image.Image]) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{n}.png" for n in range(2)]
    for path, photo in zip(paths, sample_photos, strict=True):
        photo.resize((300, 200)).save(path)
    return paths


@pytest.fixture(scope="module")
def pixels(files: list[Path]) -> Tensor:
    """Both photos, (2, 3, 200, 300) uint8."""
    return torch.stack([pil_to_tensor(Image.open(path)) for path in files])


@pytest.fixture(scope="module")
def expected(scorer: Scorer, files: list[Path]) -> list[float | None]:
    scores = [scorer.score(path).score for path in files]
    assert scores[0] != scores[1]
    return scores


def numbers(scores: Any) -> list[float | None]:
    return [score.score for score in scores]


class Stream(io.RawIOBase):
    """A file that can only be read on, as a socket or a pipe."""

    def __init__(self, content: bytes) -> None:
        self.content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self.content.readinto(buffer)


FORMS: dict[str, Callable[[Path], Any]] = {
    "str": str,
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "BytesIO": lambda path: io.BytesIO(path.read_bytes()),
    "stream": lambda path: Stream(path.read_bytes()),
    "image": Image.open,
    "array": lambda path: np.asarray(Image.open(path)),
    "tensor": lambda path: pil_to_tensor(Image.open(path)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_same_score(
    scorer: Scorer, files: list[Path], expected: list[float], form: str
) -> None:
    made = FORMS[form]
    assert numbers([scorer.score(made(path)) for path in files]) == expected
    assert numbers(scorer.score_many(made(path) for path in files)) == expected


def test_open_files_stay_open_and_name_their_rows(
    scorer: Scorer, files: list[Path], expected: list[float]
) -> None:
    with files[0].open("rb") as file:
        file.seek(50)
        score = scorer.score(file)
        assert (score.score, score.path) == (expected[0], str(files[0]))
        assert not file.closed
    with open(os.open(files[1], os.O_RDONLY), "rb") as unnamed:  # noqa: PTH123
        assert scorer.score(unnamed).path == ""


TYPES: dict[str, Callable[[Tensor], Tensor]] = {
    "uint8": lambda x: x,
    "uint16": lambda x: (x.int() * 257).to(torch.uint16),
    "float32": lambda x: x.float() / 255,
    "float64": lambda x: x.double() / 255,
    "float16": lambda x: (x.float() / 255).half(),
    "requires_grad": lambda x: (x.float() / 255).requires_grad_(),
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("kind", TYPES)
def test_tensors_of_every_type_alone_and_in_batches(
    scorer: Scorer, pixels: Tensor, expected: list[float], kind: str
) -> None:
    batch = TYPES[kind](pixels)
    assert numbers([scorer.score(photo) for photo in batch]) == expected
    assert numbers(scorer.score(batch)) == expected
    assert numbers(scorer.score_many(batch)) == expected
    (row,) = scorer.score(batch[:1])
    assert (row.path, row.width, row.height, row.score) == ("", 300, 200, expected[0])


def test_bfloat16_is_taken_for_what_it_holds(pixels: Tensor) -> None:
    rough = (pixels[0].float() / 255).bfloat16()
    given = np.asarray(photo_from_tensor(rough))
    assert np.array_equal(given, np.rint(rough.double().permute(1, 2, 0).numpy() * 255))


def test_gray_and_rgba(scorer: Scorer, pixels: Tensor) -> None:
    gray = pixels[0, :1]
    wanted = scorer.score(np.asarray(gray[0])).score
    assert scorer.score(gray).score == scorer.score(gray.expand(3, -1, -1)).score == wanted
    alpha = torch.cat([pixels[0], torch.zeros(1, 200, 300, dtype=torch.uint8)])
    assert scorer.score(alpha).score == scorer.score(torch.ones(3, 200, 300)).score  # white


def test_batches_of_arrays_and_of_loaders(
    scorer: Scorer, pixels: Tensor, expected: list[float]
) -> None:
    arrays = pixels.permute(0, 2, 3, 1).numpy()
    assert numbers(scorer.score_many(arrays)) == numbers(scorer.score(arrays)) == expected
    loader = torch.utils.data.DataLoader(pixels, batch_size=2)  # type: ignore[arg-type, var-annotated]
    assert numbers(scorer.score_many(loader)) == expected
    mixed = [pixels, pixels[0], arrays[:1], arrays[1]]
    assert numbers(scorer.score_many(mixed)) == [*expected, expected[0], *expected]


def test_batches_are_taken_one_by_one(scorer: Scorer, pixels: Tensor) -> None:
    taken = 0

    def endless() -> Iterator[Tensor]:
        nonlocal taken
        while True:
            taken += 1
            yield pixels

    rows = scorer.score_many(endless())
    assert not next(rows).failed
    assert taken <= 4
    rows.close()  # type: ignore[attr-defined]


BATCH = torch.zeros(2, 3, 9, 9)


@pytest.mark.parametrize(
    "photos",
    [
        "photo.jpg",
        Path("photo.jpg"),
        b"\xff\xd8",
        bytearray(b"\xff\xd8"),
        io.BytesIO(b"\xff\xd8"),
        Image.new("L", (9, 9)),
        np.zeros((9, 9, 3), np.uint8),
        BATCH[0],
        BATCH[None],
        5,
        None,
    ],
    ids=lambda value: type(value).__name__,
)
def test_score_many_refuses_one_photo_at_once(scorer: Scorer, photos: Any) -> None:
    with pytest.raises(TypeError, match=r"expected .*put one photo in a list, score_many\(\[photo"):
        scorer.score_many(photos)


def test_arrays_of_paths_are_paths(scorer: Scorer, files: list[Path], expected: list) -> None:
    for kind in (str, object):
        paths = np.array([str(path) for path in files], dtype=kind)
        assert numbers(scorer.score_many(paths)) == expected


@pytest.mark.parametrize(
    ("photo", "says"),
    [
        (torch.full((3, 9, 9), 200.0), r"got 200 to 200; divide pixels in \[0, 255\] by 255"),
        (torch.full((3, 9, 9), 1.01), "got 1.01 to 1.01; clip them"),
        (torch.full((3, 9, 9), -2.1), "got -2.1 to -2.1; undo their normalization"),
        (torch.full((3, 9, 9), torch.nan), "got NaN"),
        (torch.full((3, 9, 9), torch.inf), "got inf to inf"),
        (torch.zeros(9, 9, 3), r"got \(9, 9, 3\); use tensor.permute\(2, 0, 1\)"),
        (torch.zeros(9, 9), r"expected a tensor \(C, H, W\) .*got \(9, 9\)"),
        (torch.zeros(2, 9, 9), r"got \(2, 9, 9\)$"),
        (torch.zeros(3, 0, 9), "expected an array with pixels"),
        (torch.zeros(3, 9, 9, dtype=torch.int64), "got int64; turn whole numbers .* into uint8"),
        (torch.zeros(3, 9, 9, dtype=torch.complex64), "got complex64"),
        (torch.zeros(3, 9, 9, dtype=torch.bool), "got bool"),
        (np.zeros((3, 9, 9), np.uint8), r"got \(3, 9, 9\); use array.transpose\(1, 2, 0\)"),
        (np.full((9, 9, 3), np.nan), "got NaN"),
        (b"", "this photo: the file is empty"),
        (b"hello, I am no photo at all", "this photo: not a photo"),
    ],
)
def test_what_is_no_photo_is_told_with_the_fix(scorer: Scorer, photo: Any, says: str) -> None:
    with pytest.raises(shamisa.PhotoError, match=says):
        scorer.score(photo)
    (row,) = scorer.score_many([photo])
    assert row.failed
    if getattr(photo, "ndim", 0) == 3:
        with pytest.raises(shamisa.PhotoError, match=says.replace("$", "")):
            scorer.score(photo[None])


@pytest.mark.parametrize(
    ("photo", "says"),
    [
        (5, "expected a path, .*, got int"),
        (["a.jpg"], "expected a path, .*, got list"),
        (io.StringIO("text"), "open it with mode 'rb'"),
    ],
)
def test_what_is_nothing_of_the_kind(scorer: Scorer, photo: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        scorer.score(photo)
    (row,) = scorer.score_many([photo])
    assert row.error.startswith("TypeError: expected")


def test_one_name_for_all() -> None:
    assert {*shamisa.__all__} == {*shamisa_cli.__all__} == {*dir(shamisa)}
    for name in shamisa.__all__:
        assert getattr(shamisa, name) is getattr(shamisa_cli, name)
    assert shamisa.Score is Score
    assert issubclass(shamisa.PhotoError, shamisa.ShamisaError)
    with pytest.raises(AttributeError, match="'shamisa' has no attribute 'scorer'"):
        shamisa.scorer  # noqa: B018


def test_the_import_is_light() -> None:
    heavy = "{'torch', 'numpy', 'PIL'}"
    code = f"import sys, shamisa; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
