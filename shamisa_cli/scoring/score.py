"""The result for one photo, scored or failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shamisa_cli.models.head import HeadInfo

COLUMNS = (
    "path",
    "score",
    "width",
    "height",
    "scored_width",
    "scored_height",
    "model",
    "head",
    "status",
    "error",
)
"""The columns of a row, in the order in which they are written."""

FAILED = "failed"
_DECIMALS = 4


class AddedFieldError(ValueError):
    """A row has a field that is none of ours; the message is the field's name."""


@dataclass(frozen=True)
class Score:
    """One photo's score, and the facts that go with it.

    Attributes
    ----------
    path : as given; empty for a photo that came from memory.
    score : 0-100, higher is better; None if the photo failed.
    width, height : px of the photo in its file, upright; None if the photo failed.
    scored_width, scored_height : px of the picture that was looked at.
    model : name@fingerprint. The fingerprint covers all that decides a score (weights, head,
        preprocessing, protocol): rows with the same model were scored in the same way.
    head : name of the head.
    status : ``ok``, or ``failed``; else ``padded`` (a side was too short for the crops and was
        continued by reflection), ``clipped`` (the prediction lay beyond 0 or 100), or both, joined
        by ``+``.
    error : why the photo failed, and what to do.
    raw : the head's prediction in the units of its dataset; None if failed or read from a file.
    head_info : what the head was fitted on, its range and direction; None if read from a file.

    Examples
    --------
    >>> score = Score("a.jpg", 71.23456, 640, 480, 640, 480, "fast@2b8bc6c3", "mixed", "padded")
    >>> score.failed, score.padded, score.clipped
    (False, True, False)
    >>> score.to_row()["score"]
    71.2346
    >>> Score.from_row(score.to_row()).score
    71.2346
    """

    path: str
    score: float | None
    width: int | None
    height: int | None
    scored_width: int | None
    scored_height: int | None
    model: str
    head: str
    status: str = "ok"
    error: str = ""
    raw: float | None = None
    head_info: HeadInfo | None = None

    @property
    def failed(self) -> bool:
        """Whether there is no score."""
        return self.status == FAILED

    @property
    def padded(self) -> bool:
        """Whether crops held reflected pixels."""
        return "padded" in self.status.split("+")

    @property
    def clipped(self) -> bool:
        """Whether the prediction lay outside what maps onto 0-100."""
        return "clipped" in self.status.split("+")

    def to_row(self) -> dict[str, Any]:
        """The columns, ready for a file; the score is rounded to four decimals."""
        row = {column: getattr(self, column) for column in COLUMNS}
        if self.score is not None:
            row["score"] = round(self.score, _DECIMALS)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Score:
        """The score of a row that was read back; texts become numbers again.

        Raises
        ------
        ValueError, KeyError
            if it is no such row.
        AddedFieldError
            if it is one, to which somebody added a field.
        """
        kinds = {"score": float} | dict.fromkeys(COLUMNS[2:6], int)
        values: dict[str, Any] = {}
        for column in COLUMNS:
            value = row[column]
            if column in kinds:
                values[column] = None if value in (None, "") else kinds[column](value)
            else:
                values[column] = str(value or "")
        for key in row:
            if key not in COLUMNS:
                raise AddedFieldError(key)
        return cls(**values)


def best_first(rows: Iterable[Score]) -> list[Score]:
    """``rows`` by falling score, equal ones by path, failed ones last."""
    return sorted(rows, key=lambda row: (row.failed, -(row.score or 0.0), row.path))
