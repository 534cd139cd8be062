"""Kill links, copies, moves and undos at lines of ours, and run them again.

    python kills.py copy|move|link|undo LINKS [EVERY]

LINKS is ``hard``, ``none`` (as on FAT) or ``disks`` (keepers on another disk); EVERY 1: every line.
A process of its own without torch, since it forks hundreds of times.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from shamisa_cli.culling import files, journal
from shamisa_cli.culling.files import How, clear_parts, put
from shamisa_cli.culling.journal import carry_out, journals, undo, write_journal
from shamisa_cli.culling.plan import make_plan

CONTENT = {"a.jpg": b"a" * 3000, "sub/b.jpg": b"b" * 10}
"""The first takes three blocks, so that a kill can come between them."""

OURS = (files.__file__, journal.__file__)


def make_photos(folder: Path) -> None:
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    """Files by their names, those of ours left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "shamisa-" not in path.name
    }


def plan_and_do(photos: Path, how: How) -> None:
    """What the command does: go on with moves that were stopped, or plan anew."""
    into = photos.parent / "keepers"
    clear_parts(into)
    stopped = [each for each in journals(into) if each.state == "begun"]
    if stopped:
        assert carry_out(stopped[0], lambda move: None) == []
        return
    plan = make_plan([str(photos / name) for name in CONTENT], str(photos), into, how)
    if how == "move":
        if plan.transfers:
            carry_out(write_journal(into, {}, plan.transfers), lambda move: None)
    else:
        for transfer in plan.transfers:
            put(Path(transfer.source), Path(transfer.target), how)


def killed_at_line(number: int, action: Callable[[], object]) -> bool:
    """Run ``action`` in a process that is killed before the line ``number`` of ours; was it?"""
    child = os.fork()
    if child == 0:
        left = number

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if frame.f_code.co_filename not in OURS:
                return None
            if event == "line":
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def without_hard_links(what: str) -> None:
    """``none``: as on FAT; ``disks``: only within a folder."""
    link = os.link

    def refused(source: Any, target: Any, **options: Any) -> None:
        if what == "none":
            raise OSError(errno.EPERM, "Operation not permitted")
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, target, **options)

    os.link = refused


def kill_and_run_again(photos: Path, how: How, every: int) -> int:
    """No half file is ever seen, no photo is ever lost, and a second run ends it."""
    keepers, number = photos.parent / "keepers", 0
    while killed_at_line(number, lambda: plan_and_do(photos, how)):
        left, there = contents(photos), contents(keepers)
        assert {**left, **there} == CONTENT, f"at line {number}"
        plan_and_do(photos, how)
        assert contents(keepers) == CONTENT, f"at line {number}"
        assert contents(photos) == ({} if how == "move" else CONTENT), f"at line {number}"
        assert not list(keepers.rglob(".shamisa-part-*")), f"at line {number}"
        restore(photos, keepers)
        number += every
    return number


def kill_and_undo_again(photos: Path, every: int) -> int:
    into, number = photos.parent / "keepers", 0

    def put_back() -> None:
        undo(journals(into)[-1], lambda move: None)

    plan_and_do(photos, "move")
    while killed_at_line(number, put_back):
        assert {**contents(photos), **contents(into)} == CONTENT, f"at line {number}"
        put_back()
        assert contents(photos) == CONTENT, f"at line {number}"
        assert contents(into) == {}, f"at line {number}"
        assert not list(photos.rglob(".shamisa-part-*")), f"at line {number}"
        assert not [path for path in into.iterdir() if path.is_dir()]
        restore(photos, into)
        plan_and_do(photos, "move")
        number += every
    return number


def restore(photos: Path, keepers: Path) -> None:
    for path in sorted(keepers.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    keepers.rmdir()
    make_photos(photos)


def main(how: Any, links: str, every: str = "1") -> None:
    files.BLOCK = 1000
    os.fsync = lambda descriptor: None  # a process is killed here, not the machine
    if links != "hard":
        without_hard_links(links)
    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photos"
        make_photos(photos)
        if how == "undo":
            print(kill_and_undo_again(photos, int(every)))
        else:
            print(kill_and_run_again(photos, how, int(every)))


if __name__ == "__main__":
    main(*sys.argv[1:])
