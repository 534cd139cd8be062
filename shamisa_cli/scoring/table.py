"""Scores as text: a table for people, plain lines for pipes."""

from __future__ import annotations

from shamisa_cli.models.head import HeadInfo
from shamisa_cli.scoring.score import Score

TABLE_HEADER = f"{'score':>6}  {'photo':>11}  {'looked at':>11}  path"


def table_line(row: Score) -> str:
    """One line of the table under :data:`TABLE_HEADER`; the path is last, for it has no width."""
    if row.failed:
        return f"{'-':>6}  {'':>11}  {'':>11}  {printable(row.path)}  {row.error}"
    photo = f"{row.width}×{row.height}"
    looked_at = f"{row.scored_width}×{row.scored_height}"
    note = "" if row.status == "ok" else f"  ({row.status.replace('+', ', ')})"
    return f"{row.score:6.2f}  {photo:>11}  {looked_at:>11}  {printable(row.path)}{note}"


def plain_line(row: Score) -> str:
    """Score, status, path and error between tabs; ``-`` for the score of a failed photo."""
    score = "-" if row.score is None else f"{row.score:.4f}"
    fields = [score, row.status, printable(row.path)] + ([row.error] if row.failed else [])
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
    return (
        f"head {head.name}: fitted on {head.dataset} ({head.n_images} images, its scores "
        f"{low:g} to {high:g}, {direction}{srcc}), mapped to 0-100, higher is better"
    )


def printable(path: str) -> str:
    """``path`` on one line, in characters that any terminal takes."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
