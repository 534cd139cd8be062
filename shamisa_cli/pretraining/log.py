"""The log of a run: one JSON object a line, whole even when the run is killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO


class RunLog:
    """Appends records to ``log.jsonl``. State: the open file.

    On resume, records past the checkpoint's step are dropped, so that a curve has each step once.
    """

    def __init__(self, path: Path, last_step: int) -> None:
        kept = [record for record in read_log(path) if record["step"] <= last_step]
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(r) + "\n" for r in kept), encoding="utf-8")
        temporary.replace(path)
        self.file: TextIO = path.open("a", encoding="utf-8")

    def write(self, record: dict[str, Any]) -> None:
        """Append one record and hand it to the system."""
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The whole records of a log; a torn last line is left out."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records
