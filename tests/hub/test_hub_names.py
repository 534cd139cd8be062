"""One kind of name for models everywhere: what it may look like, and what is said of others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.hub.names import (
    HubName,
    cache_folder,
    cached_names,
    parse_hub_name,
    require_hub_name,
)
from shamisa_cli.models.names import DEFAULT_MODEL, bundled_folder, locate_model

part = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.]{0,8}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda text: ".." not in text
)
revision = st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9/_-]{0,12}", fullmatch=True)


@given(part, part, revision)
def test_a_name_and_its_text_are_one(owner: str, name: str, revision: str | None) -> None:
    made = HubName(owner, name, revision)
    assert parse_hub_name(str(made)) == made
    assert parse_hub_name(str(made).removeprefix("hf://")) == made


@pytest.mark.parametrize(
    "text",
    [
        *("fast", "./a/b", "../a", "/a/b", "a/b/c", "~/a", "a//b", "a/b@", "a/b@x@y", "a--b/c", ""),
        *("a/b.git", "a/" + 95 * "b", "a/b@/etc/passwd", "a/b@x\\y", "a/b@C:x"),
    ],
)
def test_paths_and_plain_words_are_no_names_on_the_hub(text: str) -> None:
    assert parse_hub_name(text) is None
    with pytest.raises(UsageError, match="expected a name on the Hub"):
        require_hub_name(text)


@pytest.mark.parametrize(
    "text", ["hf://a", "hf://", "hf://a/b/c", "hf://a/b@../../x", "hf://a b/c"]
)
def test_a_scheme_before_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="hf://owner/name"):
        locate_model(text)


def test_a_bundled_model_or_a_folder_goes_before_a_repository(
    tmp_path: Path, hub: object, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locate_model("default") == locate_model(DEFAULT_MODEL) == bundled_folder() / "duo"
    shutil.copytree(tiny_model, tmp_path / "me" / "tiny")
    monkeypatch.chdir(tmp_path)
    assert locate_model("me/tiny") == Path("me/tiny")
    with pytest.raises(WeightsError, match="shamisa pull hf://me/tiny"):
        locate_model("hf://me/tiny")
    with pytest.raises(WeightsError, match=r"no config\.json"):
        locate_model(str(tmp_path))


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", ["a/b.git", "~nobody_at_all/model", 300 * "a", "a/" + 95 * "b"])
def test_names_that_can_be_nothing_are_unknown(name: str) -> None:
    with pytest.raises(WeightsError, match="unknown model"):
        locate_model(name)


def test_other_folders_in_the_cache_are_passed_over(hub: object) -> None:
    for folder in ("models--a--b", "models--a--b--c", "models--a"):
        (cache_folder() / folder / "snapshots").mkdir(parents=True)
    assert cached_names() == ["hf://a/b"]


def test_an_unknown_name_lists_what_was_tried_and_what_is_near(
    tmp_path: Path, hub: object, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_model, tmp_path / "runs" / "tiny")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError) as error:
        locate_model("runs/tinny")
    for words in ("default, duo", "no folder", "Hub's cache", "Did you mean runs/tiny?"):
        assert words in str(error.value)
    assert str(error.value).endswith("run: shamisa pull hf://runs/tinny")
