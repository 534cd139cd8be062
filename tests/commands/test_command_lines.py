"""Every command line of README, docs, cards and help texts: run, or at least parsed.

Lines of ``shamisa`` that are cheap run for real, on small photos and models in place of the bundled
ones, each in a folder of its own. The others are parsed by click, with their real options; the name
of their test says why (``pytest --collect-only tests/commands/test_command_lines.py`` lists them).
"""

from __future__ import annotations

import csv
import inspect
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import COMMANDS, app

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
    *sorted((PROJECT / "weights").rglob("*.md")),
]

PARSED_ONLY = {
    r"pull|push|datasets .*pull": "needs the Hub",
    r"pretrain": "takes minutes",
    r"study (?!.*--list)": "takes hours",
    r"export": "takes minutes",
    r"serve|watch": "goes on until it is stopped",
    r"ladder|gmad|(embed|probe) --dataset ladder": "makes hundreds of pictures",
    r"fit .*--ladders|finetune .*--with-ladder": "makes hundreds of pictures",
    r"finetune --dataset": "trains ten splits",
    r"finetune (damage|DAMAGE)|join|fit .*--model runs/both": "needs what is made before",
    r"backbones 'resnet": "makes a hundred backbones",
    r"explain|fit-explain|score .*--explain": "needs a model that sees photos whole",
    r"probe .*(spaq|kadid10k|live,|tid2013)": "needs that dataset",
    r"score .*--model (hf://|runs/tuned)": "needs that model",
    r"(score|embed) .*--(out|status)": "needs tars, or a run",
    r"filter": "needs the rows of a run",
}
"""Patterns of lines that are not run, and why."""

PHOTOS = ("photos", "TRAIN", "HELD_OUT", "END", "REST")
"""Folders of photos that the lines name."""


@dataclass(frozen=True)
class Line:
    """A command line, and where it stands."""

    where: str
    text: str

    @property
    def reason(self) -> str:
        """Why it is not run; "" if it is."""
        command = re.sub(r"^(\w+=\S+ )*shamisa ", "", self.text)
        reasons = (why for what, why in PARSED_ONLY.items() if re.match(what, command))
        return next(reasons, "")


def code_lines(page: Path) -> Iterator[tuple[int, str]]:
    """The lines of code blocks, fenced or indented; what ``\\`` continues is one line."""
    fenced, begun, first = False, "", 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif begun or ((fenced or line.startswith("    ")) and line.strip()):
            first = first if begun else number
            begun += line.strip()
            if begun.endswith("\\"):
                begun = begun[:-1]
                continue
            yield first, begun
            begun = ""


def command_of(name: str) -> click.Command:
    """The command called ``name``."""
    found = app.get_command(click.Context(app), name)
    assert found is not None, name
    return found


def lines_of_pages() -> Iterator[Line]:
    """The lines that call shamisa, without their remarks."""
    for page in PAGES:
        for number, line in code_lines(page):
            if "<Tab>" in line:
                continue  # half a line, which is not yet entered
            plain = re.sub(r"( {2,}|\s#).*", "", re.sub(r" +--", " --", line))
            for part in re.split(r" (?:&&|\|) (?=\w)", re.sub(r" \d?> ?\S+", "", plain)):
                if re.match(r"(\w+=\S+ )*(torchrun .* -m )?shamisa(_cli)? ", part):
                    part = re.sub(r"torchrun .* -m shamisa_cli", "shamisa", part)
                    yield Line(f"{page.relative_to(PROJECT)}:{number}", part)


def lines_of_help() -> Iterator[Line]:
    """The examples in ``shamisa --help`` and in that of every command."""
    for name in ("", *COMMANDS):
        command = command_of(name) if name else app
        for block in inspect.cleandoc(command.help or "").split("\n\n"):
            for line in block.splitlines() if block.startswith("\b") else ():
                if line.startswith("shamisa "):
                    yield Line(f"shamisa {name} --help", re.sub(r" {2,}.*", "", line))


def without_doubles(lines: Iterable[Line]) -> list[Line]:
    """A line that stands in several places once, with all of these."""
    places: dict[str, list[str]] = {}
    for line in lines:
        places.setdefault(line.text, []).append(line.where)
    return [Line(", ".join(where), text) for text, where in places.items()]


LINES = without_doubles([*lines_of_pages(), *lines_of_help()])
SYNOPSES = [line for line in LINES if "..." in line.text]


def named(lines: list[Line], *, reason: bool = False) -> list[Any]:
    """``lines`` as parameters whose names say what they are."""
    return [
        pytest.param(line, id=f"{line.where} {line.text}" + (f" ({line.reason})" if reason else ""))
        for line in lines
    ]


@pytest.fixture(scope="session")
def layouts(
    scores: Path, sample_photos: list[Image.Image], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Five photos; clive and koniq, as their authors lay them out, in iqa. Nobody writes there."""
    top = tmp_path_factory.mktemp("layouts")
    (top / "photos").mkdir()
    for n in range(5):
        sample_photos[n % 2].resize((96 + n, 64)).save(top / f"photos/{n}.jpg")
    for name, images, columns in (
        ("clive/clive.csv", "", ["image", "mos"]),
        (
            "koniq/koniq10k_scores_and_distributions.csv",
            "512x384",
            ["image_name", "MOS_zscore"],
        ),
    ):
        file = top / "iqa" / name
        (file.parent / images).mkdir(parents=True)
        for image, _ in rows_of(scores):
            os.link(scores.parent / image, file.parent / images / image)
        write_rows(file, [columns, *rows_of(scores)])
    return top


@pytest.fixture
def stand_ins(
    tmp_path: Path,
    scores: Path,
    layouts: Path,
    bundled: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder and a home with all that the lines name, and small models with the bundled names.

    What is only read is linked to: files cost more time than the lines.
    """
    home = tmp_path / "home"
    for folder in (home, tmp_path / "DATA" / "images"):
        folder.mkdir(parents=True)
    for folder in (home / "photos", *(tmp_path / name for name in PHOTOS)):
        shutil.copytree(layouts / "photos", folder, copy_function=os.link)
    for name in ("photo.jpg", "a.jpg", "b.jpg"):
        os.link(layouts / "photos" / "0.jpg", tmp_path / name)
    for name in ("FOLDER", "COPY", "runs/mine", "runs/pretrain/model"):
        shutil.copytree(bundled / "lite0", tmp_path / name, copy_function=os.link)
    (tmp_path / "list.txt").write_text("photos/0.jpg\nphotos/1.jpg\n")
    (tmp_path / "run.toml").write_text('backbone = "resnet50"\n')
    (tmp_path / "scored").symlink_to(scores.parent)
    rows = [[f"scored/{image}", score] for image, score in rows_of(scores)]
    write_rows(tmp_path / "mine.csv", [["image", "mos"], *rows])
    (home / "iqa").symlink_to(layouts / "iqa")
    (tmp_path / "DATA" / "clive").symlink_to(layouts / "iqa" / "clive")
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "USERPROFILE", "XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.setenv("SHAMISA_DATA", str(home / "iqa"))
    for module in ("listing", "names"):  # an import after the patch would keep it
        monkeypatch.setattr(f"shamisa_cli.models.{module}.bundled_folder", lambda: bundled)
    return tmp_path


def rows_of(scores: Path) -> list[list[str]]:
    """Image and score of each row."""
    with scores.open(newline="") as file:
        return [[row["image"], row["mos"]] for row in csv.DictReader(file)]


def write_rows(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def bundled(tmp_path_factory: pytest.TempPathFactory, headed: Path) -> Path:
    """A folder like ``weights/``, with copies of a small model."""
    folder = tmp_path_factory.mktemp("bundled")
    for name in ("duo", "lite0", "fast"):
        shutil.copytree(headed, folder / name, copy_function=os.link)
    return folder


def words(text: str) -> list[str]:
    """The arguments of ``shamisa``, as a shell would pass them on."""
    found = []
    for word in shlex.split(text, posix=False):
        if re.fullmatch(r"\w+=\S+", word) and not found:
            continue  # a variable of the environment
        quoted = word[0] in "'\""
        word = word.strip("'\"")
        if word.startswith("~"):
            word = os.path.expanduser(word)  # noqa: PTH111
        files = [] if quoted or "*" not in word else sorted(map(str, Path().glob(word)))
        found += files or [word]
    assert found[0] == "shamisa"
    return found[1:]


@pytest.mark.skipif(sys.platform == "win32", reason="the lines are those of a Unix shell")
@pytest.mark.parametrize(
    "line", named([each for each in LINES if not each.reason and each not in SYNOPSES])
)
def test_a_line_runs(line: Line, stand_ins: Path, bundled: Path) -> None:
    arguments = words(line.text)
    for file in bundled.glob("*/heads/mine.*") if arguments[0] == "fit" else ():
        file.unlink()  # the head is to be made, and no name that comes bundled can be
    if arguments[0] == "report":
        Path(arguments[1]).write_text("path,score,status\nphotos/0.jpg,50,ok\n")
    before = set(stand_ins.rglob("*"))
    end = "\0" if "-0" in arguments else "\n"
    piped = "".join(f"photos/{n}.jpg{end}" for n in range(3))  # for those that read it
    result = CliRunner().invoke(app, arguments, input=piped)
    assert result.exit_code == 0, result.output
    for option in ("--csv", "--json", "--jsonl", "--plot", "--sheet", "--report"):
        if option in arguments and f"{option} -" not in line.text:
            made = stand_ins / arguments[arguments.index(option) + 1]
            assert made not in before
            assert made.stat().st_size


@pytest.mark.skipif(sys.platform == "win32", reason="the lines are those of a Unix shell")
@pytest.mark.parametrize("line", named([each for each in LINES if each.reason], reason=True))
def test_a_line_is_parsed(line: Line, stand_ins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = parse(words(line.text), monkeypatch)
    assert result.exit_code == 0, result.output
    assert result.output == "parsed\n"


def parse(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> Result:
    """Run the app as far as the callback of the command, which is not called."""

    def parsed(command: click.Command, context: click.Context) -> None:
        if not isinstance(command, click.Group):
            click.echo("parsed")

    monkeypatch.setattr(click.Command, "invoke", parsed)
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        "score photos --nosuchoption",
        "datasets pull koniq --nosuch x",
        "serve --port many",
        "scores x",
    ],
)
def test_a_line_that_is_wrong_does_not_parse(
    arguments: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the tests above can fail."""
    assert parse(arguments.split(), monkeypatch).exit_code == 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_options_named_in_prose_exist(page: Path) -> None:
    """``shamisa probe --dataset mine.csv`` within a sentence, and the synopsis of score."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"`shamisa ([a-z-]+)\s([^`]*)`", text)
    where = str(page.relative_to(PROJECT))
    found += [(line.text.split()[1], line.text) for line in SYNOPSES if where in line.where]
    for name, rest in found:
        assert name in COMMANDS, f"shamisa {name}"
        command = command_of(name)
        known = {
            option
            for each in (command, *getattr(command, "commands", {}).values())
            for parameter in each.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"shamisa {name} {rest}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_scripts_and_extras_exist(page: Path) -> None:
    """``python benchmarks/….py`` with its options, and what pip installs."""
    text = page.read_text(encoding="utf-8")
    for script, rest in re.findall(r"python ((?:benchmarks|docs)/\w+\.py)([^`\n]*)", text):
        source = (PROJECT / script).read_text(encoding="utf-8")
        for option in re.findall(r"--[a-z-]+", rest):
            assert f'"{option}"' in source, f"{script} {option}"
    extras = re.search(r"optional-dependencies\]\n(.*?)\n\n", _project(), re.DOTALL)
    assert extras is not None
    for names in re.findall(r"pip install (?:-e )?['\"](?:shamisa|\.)\[([\w,]+)\]", text):
        for name in names.split(","):
            assert re.search(rf"^{name} = \[", extras[1], re.MULTILINE), name


def _project() -> str:
    return (PROJECT / "pyproject.toml").read_text(encoding="utf-8")


def test_an_exported_file_has_the_name_of_its_model() -> None:
    exports = [line for line in LINES if line.text.startswith("shamisa export")]
    assert len(exports) >= 3
    for line in exports:
        _, _, model, *rest = line.text.split()
        assert Path(rest[rest.index("--onnx") + 1]).stem == Path(model).name, line
