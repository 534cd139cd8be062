"""Files whose major brand may be that of HEIC or of AVIF: the compatible brands decide."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, features

from shamisa_cli.errors import PhotoError
from shamisa_cli.imaging.decode import decode

SHARED = (b"mif1", b"msf1")


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    brands = major + bytes(4) + b"".join(compatible)
    return (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands


@pytest.mark.parametrize("major", [*SHARED, b"heic"])
@pytest.mark.parametrize("compatible", [(b"mif1", b"heic"), (b"heic",), ()])
def test_heic_without_its_extra(
    major: bytes, compatible: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for rest in (bytes(40), b"avif" * 10):  # what follows the box is not read as brands
        with pytest.raises(PhotoError, match=r"pip install 'shamisa\[heic\]'"):
            decode(io.BytesIO(ftyp(major, *compatible) + rest))


@pytest.mark.parametrize("major", SHARED)
def test_heic_goes_to_pillow_heif_from_its_first_byte(
    major: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = ftyp(major, b"heic") + bytes(40)

    def open_heif(file: io.BytesIO, **_: bool) -> SimpleNamespace:
        assert file.read() == content
        return SimpleNamespace(size=(4, 3), to_pillow=lambda: Image.new("RGB", (4, 3)))

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(open_heif=open_heif))
    assert decode(io.BytesIO(content)).size == (4, 3)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
@pytest.mark.parametrize("major", SHARED)
def test_avif_under_a_shared_brand(major: bytes) -> None:
    file = io.BytesIO()
    Image.radial_gradient("L").resize((48, 36)).convert("RGB").save(file, "AVIF")
    content = file.getvalue()
    assert content[8:12] == b"avif"
    assert b"avif" in content[16 : int.from_bytes(content[:4], "big")]
    renamed = content[:8] + major + content[12:]
    assert np.array_equal(decode(io.BytesIO(renamed)), decode(file))


def test_a_heic_that_is_compatible_with_avif_stays_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match="HEIC photos need an extra"):
        decode(io.BytesIO(ftyp(b"heic", b"mif1", b"avif", b"heic") + bytes(40)))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_a_damaged_avif_is_no_heic() -> None:
    with pytest.raises(PhotoError, match="damaged or truncated"):
        decode(io.BytesIO(ftyp(b"mif1", b"miaf", b"avif") + bytes(40)))
