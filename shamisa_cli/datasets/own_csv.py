"""A user's own scores: a CSV with the columns image and mos, score or dmos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shamisa_cli.datasets.dataset import Dataset, DatasetInfo, Row, build_dataset
from shamisa_cli.datasets.tables import read_csv, to_number
from shamisa_cli.errors import UsageError

SCORE_COLUMNS = {"mos": True, "score": True, "dmos": False}
"""Names of the score's column, and whether higher is better."""
PARTS = ("train", "val", "test")


def open_csv(path: Path, root: Path | None = None) -> Dataset:
    """The dataset of a CSV ``image,mos[,reference][,std][,split][,distortion][,severity]``.

    Parameters
    ----------
    path : ``mos`` may also be called ``score`` (higher is better) or ``dmos`` (lower is better);
        ``split`` holds ``train``, ``val`` and ``test``; ``distortion`` and ``severity`` name what
        was done to a picture, and how strongly.
    root : the folder that image and reference paths are relative to; default the CSV's own.

    The score range is that of the scores themselves: the file states no other. A UsageError says
    what is wrong with the file, and names the row.
    """
    rows, higher_is_better = read_rows(path)
    scores = [row.score for row in rows]
    info = DatasetInfo(
        name=path.stem,
        title=str(path),
        n_images=len(rows),
        score_range=(min(scores), max(scores)),
        higher_is_better=higher_is_better,
        read=lambda _: rows,
        official_split=any(row.part for row in rows),
    )
    return build_dataset(info, root or path.parent, rows)


def read_rows(path: Path) -> tuple[list[Row], bool]:
    """Rows of the CSV, and whether higher is better in it."""
    table = list(read_csv(path, ("image",)))
    if not table:
        raise UsageError(f"{path}: no rows")
    header = list(table[0][1])
    found = [name for name in SCORE_COLUMNS if name in header]
    if len(found) != 1:
        wanted = ", ".join(SCORE_COLUMNS)
        raise UsageError(
            f"{path}: expected exactly one of the columns {wanted}; it has: {', '.join(header)}"
        )
    column = found[0]
    rows = [
        Row(
            cells["image"],
            to_number(cells[column], where, column),
            where,
            cells.get("reference", ""),
            cells.get("split", ""),
            cells.get("distortion", ""),
            cells.get("severity", ""),
        )
        for where, cells in table
    ]
    _check(rows)
    return rows, SCORE_COLUMNS[column]


def _check(rows: Sequence[Row]) -> None:
    with_reference = any(row.reference for row in rows)
    with_parts = any(row.part for row in rows)
    for row in rows:
        if not row.image:
            raise UsageError(f"{row.where}: image is empty")
        if with_reference and not row.reference:
            raise UsageError(f"{row.where}: reference is empty, though other rows have one")
        if with_parts and row.part not in PARTS:
            raise UsageError(f"{row.where}: split is {row.part!r}, not one of {', '.join(PARTS)}")
