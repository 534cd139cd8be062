"""Tars without the rest: as they were, but for the keys that went."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from filter_runs import read_tar, sample, write_run, write_tar

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.filtering.choice import Choice, choose
from shamisa_cli.filtering.criteria import Criteria, read_top
from shamisa_cli.filtering.reshard import RECORD, Resharded, open_reshard, reshard
from shamisa_cli.filtering.rows import open_rows

KEYS = ["000", "../up", "dir/é 1", "/root", "q\"'", "a\\x41", "x" * 150, "line\nbreak", "008"]


def nothing() -> None:
    """No progress."""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Choice]:
    """``run(top)``: the choice among three tars of nine keys; tar 2 has the best of all."""
    tars, scores = [], {}
    for n in range(3):
        members: dict[str, bytes] = {}
        for place, key in enumerate(KEYS):
            members |= sample(key, "jpg" if place % 2 else "webp")
            for ending in ("jpg", "webp"):
                scores[f"{key}.{ending}".rpartition("/")[2]] = 10.0 * place if place else None
        folder = tmp_path / "in" / f"{n // 2}"
        folder.mkdir(parents=True, exist_ok=True)
        tars.append(folder / f"{n % 2:05d}.tar")
        write_tar(tars[-1], members)
    write_run(tars, tmp_path / "scores", scores)

    def chosen(top: str = "9", **criteria: object) -> Choice:
        made = Criteria(top=read_top(top), **criteria)  # type: ignore[arg-type]
        return choose(open_rows([str(tmp_path / "scores")]), made)

    return chosen


def resharded(choice: Choice, out: Path) -> Resharded:
    return reshard(choice, open_reshard(str(out), choice), nothing)


def test_keys_stay_with_all_their_files(run: Callable[..., Choice], tmp_path: Path) -> None:
    done = resharded(run(), tmp_path / "out")
    assert done == Resharded(tars=3, keys=9)
    kept = KEYS[-3:]  # of each tar
    out = tmp_path / "out"
    found = {path.relative_to(out).as_posix(): path for path in out.rglob("*.tar")}
    assert sorted(found) == ["0/00000.tar", "0/00001.tar", "1/00000.tar"]
    for name, path in found.items():
        whole = read_tar(tmp_path / "in" / name)
        assert read_tar(path) == {k: v for k, v in whole.items() if k.rpartition(".")[0] in kept}
        assert len(read_tar(path)) == 9
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"0", "1", RECORD}


def test_the_same_command_goes_on_and_another_choice_is_refused(
    run: Callable[..., Choice], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    resharded(run(), out)
    lost = out / "0" / "00001.tar"
    whole = lost.read_bytes()
    lost.unlink()
    before = (out / "0" / "00000.tar").stat().st_mtime_ns
    assert resharded(run(), out) == Resharded(tars=1, keys=3, earlier=2)
    assert lost.read_bytes() == whole
    assert (out / "0" / "00000.tar").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="another choice"):
        resharded(run("8"), out)


def test_tars_of_which_nothing_stays(run: Callable[..., Choice], tmp_path: Path) -> None:
    done = resharded(run("1"), tmp_path / "out")
    assert done == Resharded(tars=1, keys=1, empty=2)


def test_a_tar_that_is_not_the_one_that_was_scored(
    run: Callable[..., Choice], tmp_path: Path
) -> None:
    choice, torn = run(), tmp_path / "in" / "0" / "00001.tar"
    write_tar(torn, sample("other"))
    with pytest.raises(ShamisaError, match=r"0/00001\.tar: has no '008'.*another tar"):
        resharded(choice, tmp_path / "out")
    torn.write_bytes(torn.read_bytes()[:700])
    with pytest.raises(ShamisaError, match=r"0/00001\.tar: cannot be written again"):
        resharded(choice, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == [RECORD, "00000.tar"]


def test_only_folders_of_tars_and_empty_ones_to_write_to(
    run: Callable[..., Choice], tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "00000.tar").write_bytes(b"precious")
    with pytest.raises(UsageError, match="mine: is not empty"):
        resharded(run(), mine)
    part = next((tmp_path / "scores").glob("part-*"))
    choice = choose(open_rows([str(part)]), Criteria())
    with pytest.raises(UsageError, match="one folder of score --out alone"):
        resharded(choice, tmp_path / "out")


def test_tars_far_away(run: Callable[..., Choice], tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    try:
        choice = run()
        done = reshard(choice, open_reshard("memory://sub/set", choice), nothing)
        assert done.tars == 3
        copy = tmp_path / "copy.tar"
        fsspec.filesystem("memory").get_file("/sub/set/1/00000.tar", str(copy))
        assert len(read_tar(copy)) == 9
    finally:
        fsspec.filesystem("memory").rm("/sub", recursive=True)
