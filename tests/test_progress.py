"""Progress: on a terminal of 80 columns a bar that fits, in a log a line a minute."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shamisa_cli.commands.pretrain import _Progress
from shamisa_cli.progress import RunsProgress, progress_bar, say_skipped

Show = Callable[[str], list[str]]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Show]]:
    """Makes standard error a terminal of 80 columns; then tells what it showed, up to some text."""
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", 0, 80, 0, 0)  # as of `stty cols 80` where nothing told the height
    pytest.importorskip("fcntl").ioctl(theirs, termios.TIOCSWINSZ, size)
    monkeypatch.setenv("COLUMNS", "80")

    def shown(last: str) -> list[str]:
        sys.stderr.flush()
        content = b""
        while last.encode() not in content:  # a terminal hands on what it gets in pieces
            content += os.read(ours, 1 << 20)
        return content.decode().replace("\r", "\n").split("\n")

    with open(theirs, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor

        def start() -> Show:
            monkeypatch.setattr(sys, "stderr", stream)
            return shown

        yield start
        monkeypatch.undo()
    os.close(ours)


class Clock:
    """Seconds that pass when we say so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_a_minute_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with progress_bar(100, "ladders", initial=10, clock=clock) as bar:
        for second in range(1, 181):
            clock.now = float(second)
            if second % 4 == 0:  # a photo in four seconds
                bar.set_postfix_str(f"{second // 40} failed", refresh=False)
                bar.update()
    assert capsys.readouterr().err.splitlines() == [
        "ladders, 25 of 100 photos, 25%, 05:00 left, 1 failed",
        "ladders, 40 of 100 photos, 40%, 04:00 left, 3 failed",
        "ladders, 55 of 100 photos, 55%, 03:00 left, 4 failed",
    ]


def test_what_takes_longer_than_a_minute_each_gets_a_line_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with progress_bar(3, clock=clock) as bar:
        for _ in range(3):
            clock.now += 90
            bar.update()
    assert capsys.readouterr().err.splitlines() == [
        "1 of 3 photos, 33%",
        "2 of 3 photos, 67%, 01:30 left",
        "3 of 3 photos, 100%, 00:00 left",
    ]


def test_other_work_before_the_first_does_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    """As before a fine-tuning, whose first layers take longer than its first steps."""
    clock = Clock()
    with progress_bar(1, unit="run", clock=clock) as bar:
        clock.now = 2000.0
        bar.update(0)
        for _ in range(2):
            clock.now += 30
            bar.update(0.1)
    assert capsys.readouterr().err.splitlines() == [
        "0 of 1 runs, 0%",
        "0 of 1 runs, 20%, 04:00 left",
    ]


def test_nothing_in_the_log_of_a_short_or_quiet_command(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    for quiet, seconds in ((False, 1.0), (True, 100.0)):
        with progress_bar(5, quiet=quiet, clock=clock) as bar:
            for _ in range(5):
                clock.now += seconds
                bar.update()
    assert capsys.readouterr().err == ""


def record(progress: float, total_steps: int | None) -> dict[str, Any]:
    terms = {"total": 10000 * progress, "invariance": 0.2, "variance": 0.6, "covariance": 0.9}
    steps = {"step": round(progress * 70000), "total_steps": total_steps}
    return {**terms, **steps, "crops_per_s": 12345.6, "progress": progress}


@pytest.mark.parametrize("total_steps", [70000, None], ids=["steps", "budget"])
def test_pretrain_fits_80_columns_and_shows_the_time_left(
    terminal: Callable[[], Show], total_steps: int | None
) -> None:
    screen = terminal()
    with _Progress(quiet=False) as shown:
        shown.step(record(0.1, total_steps))
        shown.bar.start_t -= 3600  # an hour for what follows
        shown.bar.last_print_t -= 3600
        shown.step(record(0.2, total_steps))
        lines = screen("loss 2")
    bar = next(line for line in lines if " 20%|" in line)
    assert max(map(len, lines)) <= 80
    assert " 8:00:0" in bar  # eight more tenths
    assert " left, step 14000" in bar
    assert "loss 2000.000" in bar


def test_a_run_that_is_partly_done(terminal: Callable[[], Show]) -> None:
    screen = terminal()
    with RunsProgress("fine-tuning", "split", 4, quiet=False) as shown:
        shown.run_ended()
        shown.bar.last_print_t -= 1
        shown.within(1 / 3)
        lines = screen("1.3/4")
    assert "fine-tuning:  33%|" in lines[-1]
    assert max(map(len, lines)) <= 80


def test_pretrain_in_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shamisa_cli.progress.EVERY", 0.0)
    with _Progress(quiet=False) as shown:
        shown.terms = ("invariance", "covariance")
        shown.step(record(0.1, None))
        shown.step(record(0.5, None))
    start, *_, end = capsys.readouterr().err.splitlines()[-1].split(", ")
    assert (start, end) == ("50%", "cov 0.9000")


def test_a_message_beside_a_bar_has_a_line_of_its_own(terminal: Callable[[], Show]) -> None:
    screen = terminal()
    with progress_bar(2) as bar:
        bar.update()
        say_skipped(ValueError("a.jpg: damaged"))
        assert "skipped a.jpg: damaged" in screen("damaged\r\n")
