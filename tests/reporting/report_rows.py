"""Made-up rows, and names of photos that try to run something."""

from __future__ import annotations

from typing import Any

from shamisa_cli.scoring.score import Score

HOSTILE = (
    "<script>window.ran=1</script>.jpg",
    "<img src=x onerror=window.ran=1>.jpg",
    "\"><svg onload=window.ran=1>'.jpg",
    "50% #1? & more.jpg",
    "javascript:window.ran=1.jpg",
    "{{ 7 * 7 }}<!--.jpg",
    "caf\udce9 \\x41.jpg",
    "line\nbreak\u2028.jpg",
)
"""Names of photos; the first one lies in a folder, as its slash says."""


def make_row(path: str, score: float | None, **facts: Any) -> Score:
    """A row as ``score`` makes it; without a score, a failed one."""
    if score is None:
        failed = {"status": "failed", "error": "damaged or truncated; copy or download it again"}
        return Score(path, None, None, None, None, None, "tiny@1", "toy", **{**failed, **facts})
    return Score(path, score, 64, 48, 64, 48, "tiny@1", "toy", **facts)
