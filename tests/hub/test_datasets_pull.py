"""Datasets from the Hub: fetched, unpacked safely, recognized."""

from __future__ import annotations

import dataclasses
import io
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
from click.testing import Result
from hub_server import HubServer, run
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shamisa_cli.datasets.authentic import KONIQ
from shamisa_cli.datasets.pull import pull_dataset, unpack
from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.errors import ShamisaError
from shamisa_cli.hub.names import require_dataset_name

SCORES = "koniq10k_scores_and_distributions.csv"
REPOSITORY = "chaofengc/IQA-PyTorch-Datasets"


def koniq() -> dict[str, bytes]:
    """A replica of three photos, as the official release lays it out."""
    files = {f"koniq10k/{SCORES}": b"image_name,MOS_zscore\n0.jpg,10\n1.jpg,50\n2.jpg,90\n"}
    for i in range(3):
        stream = io.BytesIO()
        Image.effect_noise((64, 48), 60 + i).convert("RGB").save(stream, "JPEG")
        files[f"koniq10k/1024x768/{i}.jpg"] = stream.getvalue()
    return files


def tar_of(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def pull(root: Path, *more: object, code: int = 0) -> Result:
    return run("datasets", "pull", "koniq", "--root", root, *more, code=code)


def publish(hub: HubServer, **files: bytes) -> None:
    named = {name.replace("_", "."): content for name, content in files.items()}
    hub.state.add(REPOSITORY, named, kind="dataset")


@pytest.mark.parametrize("kind", ["tgz", "tar", "zip"])
def test_a_pulled_dataset_can_be_probed(hub: HubServer, tmp_path: Path, kind: str) -> None:
    made = {"tgz": tar_of(koniq()), "tar": tar_of(koniq(), "w"), "zip": zip_of(koniq())}[kind]
    publish(hub, **{f"koniq10k_{kind}": made, "live_tgz": b"another"})
    root = tmp_path / "iqa"
    result = pull(root)
    assert "3 of 10073 images" in result.stdout
    assert KONIQ.url in result.stderr
    assert open_dataset("koniq", root).scores.tolist() == [10, 50, 90]
    assert [path.name for path in root.iterdir()] == ["koniq"]
    assert "move it away" in pull(root, code=2).output


def test_the_root_of_the_group_holds_unless_there_is_another(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, koniq10k_tgz=tar_of(koniq()))
    big, other, unused = (tmp_path / name for name in ("big", "other", "unused"))
    monkeypatch.setenv("SHAMISA_DATA", str(unused))
    group = ("datasets", "--root", big)
    run(*group, "pull", "koniq", "--root", other)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["other"]
    run(*group, "pull", "koniq")
    assert len(open_dataset("koniq", big).images) == 3
    assert not unused.exists()
    assert f"is not in {big}" in run(*group, "check", "kadid10k", code=2).output
    asked = run(*group, "check", "kadid10k", "--root", other, code=2)
    assert f"is not in {other}" in asked.output
    assert "3 of 10073 images" in run(*group, "check", "koniq", code=1).output


def test_a_dataset_that_is_complete_is_not_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, koniq10k_tgz=tar_of(koniq()))
    info = dataclasses.replace(KONIQ, n_images=3)
    name = require_dataset_name(f"hf://datasets/{REPOSITORY}")
    folder = pull_dataset(info, tmp_path, name, lambda text: None)
    asked = len(hub.requests)
    assert pull_dataset(info, tmp_path, name, lambda text: None) == folder
    assert len(hub.requests) == asked


@pytest.mark.usefixtures("no_waits")
def test_a_pull_that_was_cut_off_is_repeated(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, koniq10k_tgz=tar_of(koniq()))
    hub.faults.cuts, hub.faults.cut_after = 1000, 500
    assert "run the command again" in pull(tmp_path, code=1).output
    assert not (tmp_path / "koniq").exists()
    hub.faults.cuts = 0
    other = tmp_path / ".shamisa-pull" / "live"  # another pull is at work
    other.mkdir()
    pull(tmp_path)
    assert len(open_dataset("koniq", tmp_path).images) == 3
    assert other.is_dir()


def test_an_archive_that_is_here_is_compared_before_it_is_used(
    hub: HubServer, tmp_path: Path
) -> None:
    archive = tar_of(koniq())
    publish(hub, koniq10k_tgz=archive)
    earlier = tmp_path / ".shamisa-pull" / "koniq" / "koniq10k.tgz"
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(bytes(len(archive)))
    hub.faults.spoil = True
    assert "arrived damaged" in pull(tmp_path, code=1).output
    assert not earlier.exists()
    earlier.write_bytes(archive)
    (earlier.parent / ".cache").rename(tmp_path / "gone")  # the client's notes of its download
    pull(tmp_path)
    assert len(open_dataset("koniq", tmp_path).images) == 3


def test_an_archive_without_scores(hub: HubServer, tmp_path: Path) -> None:
    files = {name: content for name, content in koniq().items() if SCORES not in name}
    publish(hub, koniq10k_tgz=tar_of(files))
    result = pull(tmp_path, code=1)
    assert f"get {SCORES}" in result.output
    assert KONIQ.url in result.output
    (tmp_path / "koniq" / SCORES).write_bytes(koniq()[f"koniq10k/{SCORES}"])
    assert len(open_dataset("koniq", tmp_path).images) == 3


def test_what_the_repository_has_not(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, live_tgz=b"x", konig_tgz=b"x")
    assert "unknown archive 'koniq'. Did you mean konig?" in pull(tmp_path, code=1).output
    missing = pull(tmp_path, "--from", "hf://datasets/me/none", code=1)
    assert "hf://datasets/me/none: no such repository" in missing.output


def test_no_room(
    hub: HubServer,
    tmp_path: Path,
    no_file_over: Callable[[int], AbstractContextManager[None]],
) -> None:
    publish(hub, koniq10k_tgz=tar_of(koniq()))
    with no_file_over(200):
        refused = pull(tmp_path, code=1)
    assert "no room on the disk" in refused.output
    assert "set root to a folder with room" in refused.output
    pull(tmp_path)


def test_archives_that_cannot_be_unpacked_are_told(tmp_path: Path) -> None:
    archives = {
        "y.zip": b"no archive",
        "x.tgz": tar_of({"a.txt": b"content"})[:60],
        "z.tar": tar_of({"a\0b" * 40: b"content"}, "w"),
    }
    for name, content in archives.items():
        archive = tmp_path / name
        archive.write_bytes(content)
        with pytest.raises(ShamisaError, match=f"{archive}: cannot be unpacked"):
            unpack(archive, tmp_path / "inside")


names = st.lists(
    st.sampled_from(["..", "a", "b", ".", "", "C:", "\\", "/"]), min_size=1, max_size=5
)


@given(names.map("/".join).filter(lambda name: name.strip("/.")), st.booleans())
@settings(max_examples=60)
def test_nothing_lands_outside(
    tmp_path_factory: pytest.TempPathFactory, name: str, zipped: bool
) -> None:
    top = tmp_path_factory.mktemp("top")
    archive = top / ("x.zip" if zipped else "x.tar")
    archive.write_bytes(zip_of({name: b"evil"}) if zipped else tar_of({name: b"evil"}, "w"))
    inside = top / "deep" / "down" / "inside"
    with suppress(ShamisaError):
        unpack(archive, inside)
    assert [p for p in top.rglob("*") if p.is_file() and inside not in p.parents] == [archive]


def test_links_to_the_outside_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as tar:
        link = tarfile.TarInfo("koniq10k/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../outside"
        tar.addfile(link)
    with pytest.raises(ShamisaError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "inside")
    assert not (tmp_path / "inside" / "koniq10k" / "link").is_symlink()
