"""Moves that can be finished or undone: an undo file that holds all of them before the first.

It is JSON lines: what was asked, then ``{"from": …, "to": …}`` of each move, all of them on the
disk before the first file moves, and ``{"finished": true}`` or ``{"undone": true}`` at the end.
What was done is seen from where the files are, so that a kill at any moment leaves nothing unsure.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shamisa_cli.culling.files import (
    Place,
    finish_move,
    look,
    one_entry,
    put,
    same_content,
    sync_folder,
    unfinished,
)
from shamisa_cli.culling.plan import Transfer
from shamisa_cli.errors import ShamisaError, UsageError, system_reason
from shamisa_cli.files import MARK

_NAME = "shamisa-undo-"
Tell = Callable[[Transfer], object]


@dataclass(frozen=True)
class Journal:
    """An undo file.

    Attributes
    ----------
    path : of the file.
    asked : what the run was asked for.
    moves : in order.
    state : ``begun``, ``finished`` or ``undone``.
    """

    path: Path
    asked: dict[str, Any]
    moves: list[Transfer]
    state: str


def write_journal(into: Path, asked: Mapping[str, Any], moves: Iterable[Transfer]) -> Journal:
    """A new undo file in ``into``, on the disk when this returns."""
    listed = list(moves)
    head = {"made": f"{MARK} cull --move", "asked": dict(asked)}
    lines = [head, *({"from": move.source, "to": move.target} for move in listed)]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    into.mkdir(parents=True, exist_ok=True)
    stamp, number = time.strftime("%Y%m%d-%H%M%S"), 0
    while True:
        path = into / f"{_NAME}{stamp}{f'-{number}' if number else ''}.jsonl"
        part = path.with_name(f".{path.name}.part")
        try:
            if os.path.lexists(path):
                raise FileExistsError
            with part.open("w", encoding="ascii") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        except FileExistsError:
            number += 1
            continue
        finally:
            with suppress(OSError):
                part.unlink()
        sync_folder(into)
        return Journal(path, dict(asked), listed, "begun")


def read_journal(path: Path) -> Journal:
    """The undo file ``path``.

    Raises
    ------
    UsageError
        if it cannot be read, or is none.
    """
    try:
        records = [json.loads(line) for line in path.read_text("ascii").splitlines() if line]
        head = records[0]
        if not str(head["made"]).startswith(MARK):
            raise ValueError("not ours")
        moves = [Transfer(r["from"], r["to"]) for r in records if "from" in r]
        asked = dict(head["asked"])
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {system_reason(error)}") from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UsageError(
            f"{path}: is no undo file; cull --move writes {_NAME}….jsonl into the keepers' folder"
        ) from error
    ends = [state for record in records for state in ("finished", "undone") if state in record]
    return Journal(path, asked, moves, ends[-1] if ends else "begun")


def journals(into: Path) -> list[Journal]:
    """The undo files in ``into`` that can be read, oldest first."""
    found = []
    with suppress(OSError):
        for path in sorted(into.glob(f"{_NAME}*.jsonl")):
            with suppress(UsageError):
                found.append(read_journal(path))
    return found


def carry_out(journal: Journal, tell: Tell) -> list[tuple[str, str]]:
    """Do all moves that are not done yet; (path, why) of those that cannot be done.

    Raises
    ------
    ShamisaError
        if the system refuses one; the others wait for the next run.
    """
    left = []
    for move in journal.moves:
        source, target = Path(move.source), Path(move.target)
        if not os.path.lexists(source):
            if not os.path.lexists(target):
                left.append((move.source, "it is gone"))
        elif os.path.lexists(target) and look(source, target, "move") is Place.TAKEN:
            left.append((move.source, f"{target} is there and is another file"))
        else:
            with refusals(f"{move.source} to {move.target}"):
                finish_move(source, target)
        tell(move)
    _end(journal, "finished")
    return left


def undo(journal: Journal, tell: Tell) -> tuple[int, list[tuple[str, str]]]:
    """Put every file back; how many were, and (path, why) of those that could not be.

    Nothing is overwritten. Folders that are empty then go, below that of the undo file.
    """
    back, left = 0, []
    for move in reversed(journal.moves):
        source, target = Path(move.source), Path(move.target)
        with suppress(OSError):
            unfinished(source).unlink()  # of an undo that was killed
        if os.path.lexists(source):
            if os.path.lexists(target) and not same_content(source, target):
                left.append((move.target, f"{source} is there and is another file"))
            elif os.path.lexists(target) and not one_entry(source, target):
                with refusals(move.target):
                    target.unlink()  # the move was stopped half way
                back += 1
        elif os.path.lexists(target):
            with refusals(f"{move.target} to {move.source}"):
                put(target, source, "move")
            back += 1
        else:
            left.append((move.target, "it is gone"))
        _remove_empty(target.parent, journal.path.parent)
        tell(move)
    if not left:
        _end(journal, "undone")
    return back, left


class refusals:
    """``with refusals(path):`` an OSError becomes a ShamisaError that begins with ``path``."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        if isinstance(error, OSError):
            raise ShamisaError(
                f"{self.path}: {system_reason(error)}; what is done is whole, run it again to go on"
            ) from error


def _end(journal: Journal, state: str) -> None:
    with refusals(str(journal.path)), journal.path.open("a", encoding="ascii") as file:
        file.write(json.dumps({state: True}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _remove_empty(folder: Path, top: Path) -> None:
    with suppress(OSError):
        while folder != top and folder.is_relative_to(top):
            folder.rmdir()
            folder = folder.parent
