"""Datasets from the Hub: fetched over several runs if need be, unpacked safely, recognized."""

from __future__ import annotations

import dataclasses
import gzip
import io
import tarfile
import time
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hub_server import HubServer
from huggingface_hub import constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.datasets.kadid10k import KADID10K as KADID
from shamisa_cli.datasets.koniq import KONIQ
from shamisa_cli.datasets.pull import pull_dataset
from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.datasets.unpack import unpack
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


def pull(root: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["datasets", "pull", "koniq", "--root", str(root), *more])


def publish(hub: HubServer, **files: bytes) -> None:
    named = {name.replace("_", "."): content for name, content in files.items()}
    hub.state.add(REPOSITORY, named, kind="dataset")


@pytest.mark.parametrize("kind", ["tgz", "tar", "zip"])
def test_a_pulled_dataset_can_be_probed(hub: HubServer, tmp_path: Path, kind: str) -> None:
    made = {"tgz": tar_of(koniq()), "tar": tar_of(koniq(), "w"), "zip": zip_of(koniq())}[kind]
    publish(hub, **{f"koniq10k_{kind}": made, "live_tgz": b"another"})
    root = tmp_path / "iqa"
    result = pull(root)
    assert result.exit_code == 0, result.output
    assert "3 of 10073 images" in result.stdout
    assert KONIQ.url in result.stderr
    assert open_dataset("koniq", root).scores.tolist() == [10, 50, 90]
    assert [path.name for path in root.iterdir()] == ["koniq"]
    again = pull(root)
    assert again.exit_code == 2
    assert "move it away" in again.output


def test_the_root_of_the_group_holds_unless_there_is_another(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, koniq10k_tgz=tar_of(koniq()))
    big, other, unused = (tmp_path / name for name in ("big", "other", "unused"))
    monkeypatch.setenv("SHAMISA_DATA", str(unused))

    def run(*args: object) -> Result:
        return CliRunner().invoke(app, ["datasets", "--root", str(big), *map(str, args)])

    assert run("pull", "koniq", "--root", other).exit_code == 0
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["other"]
    assert run("pull", "koniq").exit_code == 0
    assert len(open_dataset("koniq", big).images) == 3
    assert not unused.exists()
    assert f"is not in {big}" in run("check", "kadid10k").output
    assert f"is not in {other}" in run("check", "kadid10k", "--root", other).output
    assert "3 of 10073 images" in run("check", "koniq").output


def test_a_dataset_that_is_complete_is_not_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, koniq10k_tgz=tar_of(koniq()))
    info = dataclasses.replace(KONIQ, n_images=3)
    name = require_dataset_name(f"hf://datasets/{REPOSITORY}")
    files: list[int] = []
    folder = pull_dataset(info, tmp_path, name, files.append)
    assert sum(files) == 4
    asked = len(hub.requests)
    assert pull_dataset(info, tmp_path, name, files.append) == folder
    assert len(hub.requests) == asked


def test_an_interrupted_fetch_goes_on(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tar_of(koniq())
    publish(hub, koniq10k_tgz=archive)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    hub.faults.cuts, hub.faults.cut_after = 1, 500
    hub.faults.cut_for_good = True
    result = pull(tmp_path)
    assert result.exit_code == 1
    assert "run the command again" in result.output
    (part,) = (tmp_path / ".shamisa-pull" / "koniq").iterdir()
    assert part.read_bytes() == archive[:500]
    hub.faults.cuts = 0
    other = KADID.name
    publish(hub, koniq10k_tgz=archive, kadid10k_tgz=tar_of({f"kadid10k/{KADID.markers[0]}": b""}))
    finished = CliRunner().invoke(app, ["datasets", "pull", other, "--root", str(tmp_path)])
    assert (tmp_path / other).is_dir(), finished.output
    assert pull(tmp_path).exit_code == 0
    assert hub.ranges()[-1] == "bytes=500-"
    assert len(open_dataset("koniq", tmp_path).images) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["koniq", other])


def test_what_is_here_is_compared_before_it_is_used(hub: HubServer, tmp_path: Path) -> None:
    archive = tar_of(koniq())
    publish(hub, koniq10k_tgz=archive)
    earlier = tmp_path / ".shamisa-pull" / "koniq" / "koniq10k.tgz"
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(bytes(len(archive)))
    result = pull(tmp_path)
    assert result.exit_code == 0, result.output
    assert len(open_dataset("koniq", tmp_path).images) == 3


def test_an_archive_that_arrives_damaged_is_removed(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, koniq10k_tgz=tar_of(koniq()))
    hub.faults.spoil = True
    result = pull(tmp_path)
    assert result.exit_code == 1
    assert "arrived damaged" in result.output
    hub.faults.spoil = False
    assert pull(tmp_path).exit_code == 0


def test_an_archive_that_is_none(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, koniq10k_tgz=b"this is no archive")
    result = pull(tmp_path)
    assert result.exit_code == 1
    assert "koniq10k.tgz: damaged" in result.output


def test_an_archive_without_scores(hub: HubServer, tmp_path: Path) -> None:
    files = {name: content for name, content in koniq().items() if SCORES not in name}
    publish(hub, koniq10k_tgz=tar_of(files))
    result = pull(tmp_path)
    assert result.exit_code == 1
    assert f"get {SCORES}" in result.output
    assert KONIQ.url in result.output
    (tmp_path / "koniq" / SCORES).write_bytes(koniq()[f"koniq10k/{SCORES}"])
    assert len(open_dataset("koniq", tmp_path).images) == 3


def test_what_the_repository_has_not(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, live_tgz=b"x", konig_tgz=b"x")
    result = pull(tmp_path)
    assert result.exit_code == 1
    assert "it has: konig, live. Is it konig?" in result.output
    missing = pull(tmp_path, "--from", "hf://datasets/me/none")
    assert missing.exit_code == 1
    assert "hf://datasets/me/none: no such repository" in missing.output


def test_no_room(
    hub: HubServer, tmp_path: Path, no_file_over: Callable[[int], AbstractContextManager[None]]
) -> None:
    publish(hub, koniq10k_tgz=tar_of(koniq()))
    with no_file_over(200):
        result = pull(tmp_path)
    assert result.exit_code == 1
    assert "--root" in result.output
    assert "no room" in result.output
    assert pull(tmp_path).exit_code == 0


def test_no_network(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    result = pull(tmp_path / "new")
    assert result.exit_code == 1
    assert "http://127.0.0.1:9 cannot be reached" in result.output
    assert not (tmp_path / "new").exists()


def spoilt(kind: str) -> bytes:
    """An archive that opens, and cannot be unpacked."""
    if kind in ("encrypted", "method"):
        made = bytearray(zip_of({"a.txt": b"content"}))
        for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = made.index(header) + flags + (2 if kind == "method" else 0)
            made[at : at + 2] = b"\x09\x00" if kind == "method" else b"\x01\x00"
        return bytes(made)
    if kind == "name":
        return tar_of({"a\0b" * 40: b"content"}, "w")
    made = bytearray(gzip.compress(tar_of({"a.txt": bytes(512)}, "w")[:1024]))
    made[-8] ^= 1  # of the CRC
    return bytes(made)


@pytest.mark.parametrize("kind", ["encrypted", "method", "name", "sum"])
def test_archives_that_cannot_be_unpacked_are_told(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / ("x.zip" if kind in ("encrypted", "method") else "x.tgz")
    archive.write_bytes(spoilt(kind))
    with pytest.raises(ShamisaError, match=str(archive)) as error:
        unpack(archive, tmp_path / "inside", lambda n: None)
    assert ("damaged" in str(error.value)) == (kind in ("name", "sum"))


names = st.lists(
    st.sampled_from(["..", "a", "b", ".", "", "C:", "\\", "/"]), min_size=1, max_size=5
)


@given(names.map("/".join).filter(lambda name: name.strip("/.")), st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_lands_outside(
    tmp_path_factory: pytest.TempPathFactory, name: str, zipped: bool
) -> None:
    top = tmp_path_factory.mktemp("top")
    archive = top / ("x.zip" if zipped else "x.tar")
    archive.write_bytes(zip_of({name: b"evil"}) if zipped else tar_of({name: b"evil"}, "w"))
    inside = top / "deep" / "down" / "inside"
    with suppress(ShamisaError):
        unpack(archive, inside, lambda n: None)
    assert [p for p in top.rglob("*") if p.is_file() and inside not in p.parents] == [archive]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside"])
def test_links_to_the_outside_are_refused(tmp_path: Path, target: str) -> None:
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as tar:
        link = tarfile.TarInfo("koniq10k/link")
        link.type, link.linkname = tarfile.SYMTYPE, target
        tar.addfile(link)
    with pytest.raises(ShamisaError, match="write outside"):
        unpack(archive, tmp_path / "inside", lambda n: None)
    assert not (tmp_path / "inside" / "koniq10k" / "link").is_symlink()
