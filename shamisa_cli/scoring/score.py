"""The result for one photo, scored or failed, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shamisa_cli.models.head import HeadInfo
from shamisa_cli.spelling import escape_name, unescape_name

SIZES = ("width", "height", "scored_width", "scored_height")
SAYS = ("better_than", "looks_like", "note")
FACTS = ("model", "head", "status", "error")
COLUMNS = ("path", "score", "uncertainty", *SAYS, *SIZES, *FACTS)
"""The columns of a row, in the order in which they are written."""

FAILED = "failed"


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
    uncertainty : by how many points the score may be off, as one standard deviation; None if the
        photo failed, or the head does not know.
    better_than : the percentage of a set of everyday photos, which the head names, that score
        lower; None if the photo failed, or the head does not know.
    looks_like : kinds of damage that the photo looks like, and how strong each; empty if that was
        not asked for, or nothing is likely.
    note : why the score is to be trusted less than others; mostly empty.
    raw : the head's prediction in the units of its dataset; None if failed or read from a file.
    head_info : what the head was fitted on, its range and direction; None if read from a file.
    phash : the perceptual hash of the photo, 64 bits; None unless the Scorer ``hashes``.

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
    uncertainty: float | None = None
    better_than: float | None = None
    looks_like: str = ""
    note: str = ""
    raw: float | None = None
    head_info: HeadInfo | None = None
    phash: int | None = None

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
        """The columns, ready for a file; of the score four decimals, of others fewer.

        In texts, a byte of a file name that is not UTF-8 is written as ``\\x`` and two digits.
        """
        row = {column: getattr(self, column) for column in COLUMNS}
        row |= {column: escape_name(text) for column, text in row.items() if isinstance(text, str)}
        for column, decimals in (("score", 4), ("uncertainty", 2), ("better_than", 1)):
            if row[column] is not None:
                row[column] = round(row[column], decimals)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Score:
        """The score of a row that was read back; texts become numbers again.

        Raises
        ------
        ValueError, KeyError
            if it is no such row; fields beside :data:`COLUMNS` are passed over.
        """
        numbers = ("score", "uncertainty", "better_than")
        kinds: dict[str, type] = dict.fromkeys(numbers, float) | dict.fromkeys(SIZES, int)
        values: dict[str, Any] = {}
        for column in COLUMNS:
            value = row[column]
            if column in kinds:
                values[column] = None if value in (None, "") else kinds[column](value)
            else:
                values[column] = unescape_name(str(value or ""))
        return cls(**values)


def best_first(rows: Iterable[Score]) -> list[Score]:
    """``rows`` by falling score, equal ones by path, failed ones last."""
    return sorted(rows, key=lambda row: (row.failed, -(row.score or 0.0), row.path))


TABLE_HEADER = f"{'score':>6}  {'±':>4}  {'better':>6}  {'photo':>11}  {'looked at':>11}  path"


def table_line(row: Score) -> str:
    """One line of the table under :data:`TABLE_HEADER`; the path is last, for it has no width."""
    if row.failed:
        return f"{'-':>6}  {'':>4}  {'':>6}  {'':>11}  {'':>11}  {printable(row.path)}  {row.error}"
    photo = f"{row.width}×{row.height}"
    looked_at = f"{row.scored_width}×{row.scored_height}"
    marks = [] if row.status == "ok" else row.status.split("+")
    said = ", ".join([*marks, *([row.note] if row.note else [])])
    like = f"  looks like {row.looks_like}" if row.looks_like else ""
    off = "" if row.uncertainty is None else f"{row.uncertainty:.0f}"
    better = "" if row.better_than is None else f"{row.better_than:.0f} %"
    numbers = f"{row.score:6.2f}  {off:>4}  {better:>6}  {photo:>11}  {looked_at:>11}"
    return f"{numbers}  {printable(row.path)}{like}{f'  ({said})' if said else ''}"


def plain_line(row: Score, *, explained: bool = False) -> str:
    """Score, status, path and error between tabs; ``-`` for the score of a failed photo.

    Where photos are ``explained``, their lines end with what they look like, and their notes.
    """
    score = "-" if row.score is None else f"{row.score:.4f}"
    fields = [score, row.status, printable(row.path)]
    if row.failed:
        fields.append(row.error)
    elif explained:
        fields += [row.looks_like, row.note]
    return "\t".join(fields)


def describe_head(head: HeadInfo) -> str:
    """What a score of this head means, in one line."""
    low, high = head.score_range
    direction = "higher is better" if head.higher_is_better else "lower is better"
    srcc = (
        f", SRCC {head.metrics['srcc']:.2f} on photos it had not seen"
        if "srcc" in head.metrics
        else ""
    )
    better = f"; better: than so many of {head.everyday.photos}" if head.everyday else ""
    return (
        f"head {head.name}: fitted on {head.dataset} ({head.n_images} images, its scores "
        f"{low:g} to {high:g}, {direction}{srcc}), mapped to 0-100, higher is better{better}"
    )


def printable(path: str) -> str:
    """``path`` on one line, in characters that any terminal takes."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
