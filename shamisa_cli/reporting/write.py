"""A report from rows: photos found, pictures made, the page put in place whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from shamisa_cli.files import replacing, writing
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.reporting.keeping import Keep, beside, drop_folder, inside
from shamisa_cli.reporting.page import page_data, render
from shamisa_cli.reporting.photos import PhotoFile, find_photo, relative_url
from shamisa_cli.reporting.pictures import Pictures, make_pictures
from shamisa_cli.scoring.score import Score

FOLDER_FROM = 500
"""From so many photos on, pictures are kept in a folder beside the page."""

_PREVIEW_WEIGHT = 10
"""A photo that needs a preview counts as so many."""

MapOf = Callable[[Score], "Path | None"]
"""The picture of a row's map, if there is one."""


def write_report(
    rows: Iterable[Score],
    page: Path,
    *,
    photos_beside: Path | None = None,
    map_of: MapOf | None = None,
    workers: int | None = None,
    step: Callable[[], object] = lambda: None,
) -> int:
    """Write the report ``page`` on ``rows``; an older one stays as it was until this one is whole.

    Parameters
    ----------
    rows : scored and failed ones, in the order in which they were made.
    photos_beside : a folder in which photos are looked for too, if their paths lead nowhere.
    map_of : a row's map, a picture that browsers show.
    workers : threads that make pictures; None: the cores.
    step : called after every photo.

    Returns
    -------
    How many photos could not be shown, beside those that failed.

    Raises
    ------
    ShamisaError
        if the page or its folder cannot be written.
    """
    photos = [find_photo(row, photos_beside) for row in rows]
    apart = needs_folder(photos)
    with writing(page), replacing(page) as part, ExitStack() as stack:
        keep = stack.enter_context(beside(page)) if apart else inside
        entries: list[dict[str, Any]] = []
        threads = min(8, os.cpu_count() or 1) if workers is None else workers
        for photo, made in map_ahead(make_pictures, photos, threads):
            if isinstance(made, Exception):
                made = Pictures(problem=f"{type(made).__name__}: {made}")
            number = len(entries) + 1
            entries.append(_entry(photo, made, number, page.parent, keep, map_of))
            step()
        part.write_text(render(page_data(entries), page.stem), encoding="utf-8")
    if not apart:
        drop_folder(page)
    return sum(bool(entry["gone"]) for entry in entries if entry["status"] != "failed")


def needs_folder(photos: Sequence[PhotoFile]) -> bool:
    """Whether the pictures of ``photos`` are too many for one file."""
    previews = sum(photo.drawn and not photo.shown for photo in photos)
    return len(photos) + (_PREVIEW_WEIGHT - 1) * previews >= FOLDER_FROM


def _entry(
    photo: PhotoFile,
    made: Pictures,
    number: int,
    folder: Path,
    keep: Keep,
    map_of: MapOf | None,
) -> dict[str, Any]:
    """What the page knows of one photo: its row, and what to show."""
    chart = map_of(photo.row) if map_of else None
    large = relative_url(photo.path, folder) if photo.shown else ""
    if made.preview:
        large = keep(f"{number:06}-large.webp", made.preview)
    return {
        **photo.row.to_row(),
        "gone": made.problem,
        "thumb": keep(f"{number:06}.webp", made.thumbnail) if made.thumbnail else "",
        "large": large,
        "file": "" if photo.gone else relative_url(photo.path, folder),
        "map": relative_url(chart, folder) if chart and chart.is_file() else "",
    }
