"""Names of photos in files: any name can be written as text, and comes back."""

from __future__ import annotations

import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shamisa_cli import files
from shamisa_cli.files import escape_name, unescape_name

TRICKY = st.text(st.sampled_from("\\xu5ceé8d\udce9\udc80\ud83d\udfff"), max_size=12)


@given(st.one_of(TRICKY, st.text(st.characters(codec=None))))
def test_any_name_comes_back(name: str) -> None:
    written = escape_name(name)
    assert json.loads(json.dumps(written).encode("utf-8")) == written.encode("utf-8").decode(
        "utf-8"
    )
    assert unescape_name(written) == name


@pytest.mark.parametrize("name", ["a b.jpg", r"C:\photos\x\u1.jpg", "日本.png", r"a\x41", r"\xE9"])
def test_usual_names_are_written_as_they_are(name: str) -> None:
    assert escape_name(name) == name


def test_examples() -> None:
    result = doctest.testmod(files)
    assert result.attempted
    assert not result.failed
