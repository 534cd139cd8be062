"""The log of a run: one JSON object a line, whole even when the run is killed."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from shamisa_cli.errors import ShamisaError, system_reason


class RunLog:
    """Appends records to ``log.jsonl``. State: the open file.

    On resume, records past the checkpoint's step are dropped, so that a curve has each step once.

    Raises
    ------
    ShamisaError
        here and in :meth:`write`, if the file cannot be written, as on a full disk.
    """

    def __init__(self, path: Path, last_step: int) -> None:
        self.path = path
        kept = [record for record in read_log(path) if record["step"] <= last_step]
        temporary = path.with_suffix(".tmp")
        try:
            temporary.write_text("".join(json.dumps(r) + "\n" for r in kept), encoding="utf-8")
            temporary.replace(path)
            self.file: TextIO = path.open("a", encoding="utf-8")
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise self._not_written(error) from error

    def write(self, record: dict[str, Any]) -> None:
        """Append one record and hand it to the system."""
        try:
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()
        except OSError as error:
            with suppress(OSError):  # what is left in the buffer fails once more
                self.file.close()
            raise self._not_written(error) from error

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _not_written(self, error: OSError) -> ShamisaError:
        return ShamisaError(
            f"{self.path}: cannot be written ({system_reason(error)}); make room, then --resume"
        )


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
