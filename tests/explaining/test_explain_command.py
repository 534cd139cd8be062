"""`shamisa explain`: its files are known again, and keep what was done before it is stopped."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result

from shamisa_cli.cli import app
from shamisa_cli.explaining import Explanation, load_explainer
from shamisa_cli.files import is_ours, locked

Explain = Callable[..., Result]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


@pytest.fixture(scope="module")
def explanations(taught: tuple[Path, Result], good_photos: Path) -> list[Explanation]:
    """Of three photos, and of one that is not there."""
    explainer = load_explainer(taught[0], device="cpu")
    photos = sorted(map(str, good_photos.iterdir()))[:3]
    return list(explainer.explain_many([*photos, "absent.jpg"]))


@pytest.fixture
def explain(
    explanations: list[Explanation], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Explain:
    """Runs the command with known explanations: ``explain(...)``, or ``until`` something is done.

    ``until(done)`` is called with how many are out, before the next; it may raise.
    """
    monkeypatch.chdir(tmp_path)

    def run_known(
        *options: object, count: int = 4, until: Callable[[int], None] = lambda done: None
    ) -> Result:
        def explain_many(photos: list[str]) -> Iterator[Explanation]:
            for done in range(len(photos)):
                until(done)
                yield explanations[done]
            until(len(photos))

        known = SimpleNamespace(explain_many=explain_many)
        monkeypatch.setattr("shamisa_cli.explaining.load_explainer", lambda *_, **__: known)
        return run(*[each.score.path for each in explanations[:count]], *options)

    return run_known


def records(path: str = "e.json") -> list[str]:
    return [record["path"] for record in json.loads(Path(path).read_text())]


def test_its_own_files_are_replaced_and_no_others(explain: Explain) -> None:
    files = {"--json": "e.json", "--points": "p.npy"}
    foreign_array = np.zeros((72, 96), np.float32)
    foreign = {"path": "a.jpg", "score": 61.5, "looks_like": ""}
    for option, name in files.items():
        assert explain(option, name, count=1).exit_code == 0
        assert is_ours(Path(name))
        kept = explain(option, name, count=1)
        assert kept.exit_code == 2
        assert "is there already; replace it with --overwrite" in kept.stderr
        os.utime(name, (0, 0))
        assert explain(option, name, "--overwrite", count=1).exit_code == 0
        assert Path(name).stat().st_mtime > 0
        if option == "--json":
            Path(name).write_text(json.dumps([foreign], indent=2))
        else:
            np.save(name, foreign_array)
        refused = explain(option, name, "--overwrite", count=1)
        assert refused.exit_code == 2
        assert f"{name}: is there, and nothing in it says that shamisa made it" in refused.stderr


def test_an_array_with_a_mark_is_read_as_any_other(
    explain: Explain, explanations: list[Explanation]
) -> None:
    assert explain("--points", "p.npy", count=1).exit_code == 0
    wanted = explanations[0].on_photo().numpy()
    for how in ({}, {"mmap_mode": "r"}):
        found = np.load("p.npy", **how)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted)


def test_the_array_is_whole_after_each_photo(
    explain: Explain, explanations: list[Explanation]
) -> None:
    paths = [each.score.path for each in explanations]
    Path("e.json").write_text(json.dumps([explanations[3].to_mapping()], indent=2))
    seen = []
    done = explain("--json", "e.json", "--overwrite", until=lambda _: seen.append(records()))
    assert done.exit_code == 1, "one photo is not there"
    assert seen == [["absent.jpg"], *(paths[:n] for n in range(1, 5))]
    plain = json.dumps([each.to_mapping() for each in explanations], indent=2) + "\n"
    assert Path("e.json").read_text() == plain
    assert is_ours(Path("e.json"))
    assert [path.name for path in Path().iterdir()] == ["e.json"]


def test_what_is_stopped_keeps_what_was_done(
    explain: Explain, explanations: list[Explanation]
) -> None:
    def stop_after(count: int) -> Callable[[int], None]:
        def stop(done: int) -> None:
            if done == count:
                raise KeyboardInterrupt

        return stop

    none = explain("--json", "e.json", until=stop_after(0))
    assert (none.exit_code, none.stderr) == (130, "stopped by Ctrl-C\n")
    assert not Path("e.json").exists()
    stopped = explain("--json", "e.json", until=stop_after(2))
    assert stopped.exit_code == 130
    assert stopped.stderr == "e.json: has 2 of 4 photos\nstopped by Ctrl-C\n"
    assert records() == [each.score.path for each in explanations[:2]]
    assert explain("--json", "e.json", "--overwrite").exit_code == 1
    assert len(records()) == 4


def test_what_nobody_asks_for_is_not_made(
    explain: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Explanation] = []
    monkeypatch.setattr(Explanation, "to_mapping", lambda self: made.append(self) or {})
    assert explain(count=3).exit_code == 0
    assert made == []
    assert explain("--json", "e.json", count=3).exit_code == 0
    assert len(made) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes there")
def test_an_array_into_a_pipe(explain: Explain) -> None:
    os.mkfifo("pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()))
    reader.start()
    assert explain("--json", "pipe", count=3).exit_code == 0
    reader.join()
    assert len(json.loads(read[0])) == 3


def test_two_runs_do_not_write_one_file(explain: Explain) -> None:
    with locked(Path("e.json")):
        refused = explain("--json", "e.json")
    assert refused.exit_code == 2
    assert "e.json: another run is writing this file" in refused.stderr


@pytest.mark.parametrize("command", ["explain", "score"])
def test_without_photos_it_says_how_to_give_some(command: str) -> None:
    refused = CliRunner().invoke(app, [command])
    assert refused.exit_code == 2
    assert f"no photos given: shamisa {command} PHOTO_OR_FOLDER … (or" in refused.stderr
