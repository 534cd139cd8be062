"""Pipes that close, disks that are full and Ctrl-C: as a shell and its user meet them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from shamisa_cli.cli import COMMANDS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="of POSIX")

SHAMISA = [sys.executable, "-m", "shamisa_cli"]
ARGUMENTS: dict[str, Sequence[str]] = {
    "score": ["photo.jpg"],
    "explain": ["photo.jpg"],
    "watch": [".", "--csv", "rows.csv"],
    "report": ["rows.csv"],
    "filter": ["scores.csv"],
    "distort": [".", "--out", "copies"],
    "pretrain": ["--photos", "."],
    "study": ["quick"],
    "probe": ["--dataset", "koniq", "--root", "."],
    "fit-explain": ["."],
    "fit": ["koniq", "--name", "mine", "--root", "."],
    "ladder": ["."],
    "gmad": ["default", "fast", "--photos", ".", "--out", "gmad"],
    "embed": [".", "--csv", "map.csv"],
    "export": ["fast", "--torch-export", "fast.pt2"],
    "join": ["lite0", "fast", "--out", "both"],
    "finetune": ["--dataset", "koniq", "--root", "."],
    "pull": ["hf://owner/name"],
    "push": ["fast", "hf://owner/name"],
}
"""What gets each command to work."""


def run(*arguments: str, stdout: int, unbuffered: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1" if unbuffered else ""}
    return subprocess.run(
        [*SHAMISA, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    """The end for writing of a pipe that nobody reads any more, as after ``| head -1``."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize(("word", "unbuffered"), [("--help", True), ("models", False)])
def test_a_closed_pipe_is_one_line(word: str, unbuffered: bool, closed_pipe: int) -> None:
    done = run(word, stdout=closed_pipe, unbuffered=unbuffered)
    assert done.stderr == "Error: standard output was closed; stopped\n"
    assert done.returncode == 128 + signal.SIGPIPE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(("word", "unbuffered"), [("--help", False), ("models", True)])
def test_a_full_disk_is_one_line(word: str, unbuffered: bool) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(word, stdout=full.fileno(), unbuffered=unbuffered)
    assert done.stderr == "Error: standard output cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_without_a_standard_output_or_error() -> None:
    """Closed by the shell, before the command begins."""
    shown = " ".join([*SHAMISA, "--help"])
    done = subprocess.run(["sh", "-c", f"{shown} >&-"], capture_output=True, text=True)
    assert done.stderr == "Error: standard output cannot be written: it is closed\n"
    assert done.returncode == 1
    done = subprocess.run(["sh", "-c", f"{shown} 2>&-"], capture_output=True, text=True)
    assert "pretrain" in done.stdout
    assert done.returncode == 0
    if Path("/dev/full").exists():
        wrong = " ".join([*SHAMISA, "score", "--nothing"])
        assert subprocess.run(["sh", "-c", f"{wrong} 2>/dev/full"]).returncode == 2


SLEEPS = "import time; print('asleep', flush=True); time.sleep(60)\n"
HIDES = f"""
from shamisa_cli.cli import main
from shamisa_cli.commands.graphs import graphs

def work():
    try:
        {SLEEPS.strip()}
    except BaseException:
        pass
    raise ValueError("made something else of it")

graphs.callback = work
main()
"""


@pytest.mark.parametrize("command", [each for each in COMMANDS if each != "ablations"])  # is light
def test_ctrl_c_exits_130_while_a_command_gets_ready(command: str, tmp_path: Path) -> None:
    assert interrupted(command, SLEEPS, tmp_path) == (130, "stopped by Ctrl-C\n")


def test_ctrl_c_exits_130_if_a_library_hides_it() -> None:
    assert stopped_asleep([sys.executable, "-c", HIDES, "graphs"])[0] == 130


def interrupted(command: str, heavy: str, folder: Path) -> tuple[int, str]:
    """Exit code and messages of a command that gets Ctrl-C while it imports what is heavy."""
    for name in ("torch", "numpy", "huggingface_hub", "PIL", "timm"):
        (folder / f"{name}.py").write_text(heavy)
    paths = (str(folder), os.environ.get("PYTHONPATH", ""))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return stopped_asleep(
        [*SHAMISA, command, *ARGUMENTS.get(command, ())], cwd=folder, env=environment
    )


def stopped_asleep(command: list[str], **options: Any) -> tuple[int, str]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, **options)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "asleep\n"
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, messages
