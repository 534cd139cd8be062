"""``shamisa cull --rows``: which photos rows mean, and where those are."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shamisa_cli.cli import app
from shamisa_cli.scoring.rows import RowFile
from shamisa_cli.scoring.score import Score

Cull = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cull() -> Cull:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["cull", *map(str, arguments)])

    return run


def scored(**scores: float) -> None:
    """``rows.csv``, and files by the names in it; ``__`` is for a slash."""
    named = {f"{name.replace('__', '/')}.jpg": score for name, score in scores.items()}
    for path in map(Path, named):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(path))
    rows = [Score(path, score, 96, 64, 96, 64, "m@0", "h") for path, score in named.items()]
    RowFile(Path("rows.csv"), "csv", rows).close()


def tree(folder: str) -> list[str]:
    paths = (path for path in Path(folder).rglob("*.jpg"))
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def test_rows_alone_are_enough(folder: Path, cull: Cull) -> None:
    scored(photos__a=80, photos__b=60, photos__d=50)
    Path("photos/d.jpg").unlink()
    result = cull("--rows", "rows.csv", "--best", 1, "--list")
    assert result.stdout == "photos/a.jpg\n"
    assert "rows.csv: 1 of its photos are gone" in result.stderr


def test_keepers_in_rows_are_not_culled_again(folder: Path, cull: Cull) -> None:
    scored(keepers__old=99, photos__a=80, photos__b=60)
    arguments = ("--rows", "rows.csv", "--best", 1, "--into", "keepers", "--move", "--yes")
    result = cull(*arguments)
    assert "1 photos are in keepers already and are not looked at" in result.stderr
    assert tree("keepers") == ["a.jpg", "old.jpg"]


def test_a_link_among_the_keepers_is_not_culled_again(folder: Path, cull: Cull) -> None:
    """Folders are searched by name: ``keepers`` comes before ``z``."""
    scored(photos__z__a=80, photos__b=60)
    arguments = ("--rows", "rows.csv", "--best", 1, "--into", "photos/keepers", "--link", "--yes")
    for _ in range(2):
        result = cull("photos", *arguments)
        assert result.exit_code == 0, result.output
        assert tree("photos/keepers") == ["z/a.jpg"]


def test_rows_of_another_folder(folder: Path, cull: Cull, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their photos are found beside them, by whatever path they are asked for."""
    scored(photos__a=80, photos__b=60)
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    rows, how = ("--rows", "../rows.csv"), ("--best", 1, "--into", "k", "--copy", "--yes")
    assert cull(*rows, "--best", 1, "--list").stdout == f"{Path('../photos/a.jpg')}\n"
    assert "1 photo copied into k" in cull(*rows, *how).stderr
    assert tree("k") == ["a.jpg"]
    for photos in ("../photos", folder / "photos"):
        result = cull(photos, "--rows", folder / "rows.csv", "--best", 1)
        assert "1 of 2 photos are keepers" in result.stderr


@pytest.mark.parametrize("how", [(), ("--into", "k", "--copy"), ("--into", "k", "--move", "--yes")])
def test_rows_that_lead_nowhere_are_refused(folder: Path, cull: Cull, how: tuple[str, ...]) -> None:
    scored(photos__a=80, photos__b=60)
    Path("photos").rename("away")
    result = cull("--rows", "rows.csv", "--best", 1, *how)
    assert result.exit_code == 2
    assert "rows.csv: none of its 2 photos is there, from this folder or from" in result.stderr
    assert "run this where shamisa score ran" in result.stderr


def test_what_is_said_to_undo_can_be_given_to_a_shell(folder: Path, cull: Cull) -> None:
    scored(photos__a=80, photos__b=60)
    rows, into = ("--rows", "rows.csv"), ("--into", "my keepers' $HOME", "--move")
    done = cull(*rows, "--best", 1, *into, "--yes").stderr
    again = cull(*rows, "--best", 1, *into).stderr
    journal = next(Path(into[1]).glob("*.jsonl"))
    begun = journal.read_text().replace('{"finished": true}', "")
    journal.write_text(begun)
    stopped = cull(*rows, "--best", 2, *into).stderr
    for said in (done, again, stopped):
        (line,) = (line for line in said.splitlines() if "--undo" in line)
        command = shlex.split(line[line.index("shamisa cull") :])
        assert command == ["shamisa", "cull", "--undo", str(journal)]
    assert "1 files put back" in cull("--undo", journal).stderr
