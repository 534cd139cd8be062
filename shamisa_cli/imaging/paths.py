"""Paths of photos: files, folder trees and patterns, in the order a person would list them."""

from __future__ import annotations

import functools
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from shamisa_cli.errors import PhotoError, ShamisaError, system_reason
from shamisa_cli.files import FOLDER_MARK
from shamisa_cli.imaging.formats import EXTENSIONS
from shamisa_cli.imaging.raw import RAW_EXTENSIONS, raw_installed

PassBy = Callable[[Path], object]
"""Told of every file, and every link to a folder, that is not hidden and is left out."""


def list_photos(
    folder: str | Path,
    *,
    recursive: bool = True,
    keep_unlisted: bool = False,
    follow_links: bool = False,
    pass_by: PassBy = lambda path: None,
) -> list[Path]:
    """Paths of the photos in ``folder`` by their file name endings, in natural order.

    Hidden files and folders are left out, the folders of reports, and RAW photos where the extra
    that reads them is not installed. Links to folders are followed, but never twice, and out of
    ``folder`` only if asked.

    Parameters
    ----------
    keep_unlisted : a folder that cannot be listed (permissions, a bad disk), ``folder`` among
        them, stands for itself in the list; otherwise it is an error.
    follow_links : also follow links to folders that are not in ``folder``.
    pass_by : see :data:`PassBy`.

    Raises
    ------
    ShamisaError
        if ``folder`` does not exist, or is no folder.
    PhotoError
        if a folder cannot be listed.
    """
    root = Path(folder)
    found: list[Path] = []

    def not_listed(error: OSError) -> None:
        where = Path(error.filename or root)
        if where == root and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            problem = "is a file, not a folder" if root.exists() else "no such folder"
            raise ShamisaError(f"{root}: {problem}; point it at a folder of photos") from error
        if not keep_unlisted:
            raise _unlisted_error(where, error) from error
        found.append(where)

    inside = (lambda path: True) if follow_links else _inside(root)
    for path in _files(root, recursive, inside, pass_by, not_listed):
        if _has_photo_ending(path):
            found.append(path)
        else:
            pass_by(path)
    return sorted(found, key=lambda path: natural_key(path.relative_to(root)))


def _files(
    root: Path,
    recursive: bool,
    inside: Callable[[Path], bool],
    pass_by: PassBy,
    not_listed: Callable[[OSError], None],
) -> Iterator[Path]:
    """The files below ``root`` that are not hidden; of links to folders, those of ``inside``."""
    seen = set()

    def goes_into(below: Path) -> bool:
        if not recursive or below.name.startswith(".") or os.path.realpath(below) in seen:
            return False
        if (below / FOLDER_MARK).exists():
            return False
        if not below.is_symlink() or inside(below):
            return True
        pass_by(below)
        return False

    for where, folders, files in os.walk(root, onerror=not_listed, followlinks=True):
        seen.add(os.path.realpath(where))
        folders[:] = [name for name in folders if goes_into(Path(where, name))]
        yield from (Path(where, name) for name in files if not name.startswith("."))


def expand_paths(
    paths: Iterable[str],
    *,
    recursive: bool = True,
    follow_links: bool = False,
    pass_by: PassBy = lambda path: None,
) -> Iterator[str]:
    """The photos that ``paths`` mean, in the order given, each path written as it was given.

    - A folder stands for its photos, see :func:`list_photos`; one that cannot be listed stands for
      itself.
    - A path that does not exist and has wildcards (``*``, ``?``, ``[…]``, ``**``) stands for what
      it matches, in natural order, every file once. What ``**`` finds must end as photos do, unless
      the pattern names another ending (``**/*.dat``), and ``**`` follows links as folders do.
    - Anything else stands for itself, even if there is no such file: decoding it will say so.
    """
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - a Path would lose how it was given
            yield from _in_folder(path, recursive, follow_links, pass_by)
        elif glob.has_magic(path) and not os.path.lexists(path):
            yield from _matching(path, recursive, follow_links, pass_by)
        else:
            yield path


def folder_error(folder: str | Path) -> PhotoError:
    """The error for a folder where a photo should be, or for one that cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            for _ in entries:
                pass
    except OSError as error:
        return _unlisted_error(folder, error)
    return PhotoError(f"{folder}: is a folder, not a photo; give the paths of its photos")


def natural_key(path: str | Path) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A sorting key that puts img2 before img10, folder by folder, whatever the case."""
    parts = re.findall(r"\d+|\D", Path(path).as_posix().casefold())
    numbered = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)
    return numbered, Path(path).as_posix()


def _has_photo_ending(path: str | Path) -> bool:
    ending = Path(path).suffix.lower()
    return ending in EXTENSIONS or (ending in RAW_EXTENSIONS and raw_installed())


def _inside(root: Path) -> Callable[[str | Path], bool]:
    """Whether a path leads to a place in ``root``, once all links are followed."""
    real_root = Path(os.path.realpath(root))
    return lambda path: Path(os.path.realpath(path)).is_relative_to(real_root)


def _unlisted_error(folder: str | Path, error: OSError) -> PhotoError:
    advice = "check its permissions" if isinstance(error, PermissionError) else "check its disk"
    return PhotoError(f"{folder}: this folder cannot be listed ({system_reason(error)}); {advice}")


def _in_folder(folder: str, recursive: bool, follow_links: bool, pass_by: PassBy) -> Iterator[str]:
    for path in list_photos(
        folder,
        recursive=recursive,
        keep_unlisted=True,
        follow_links=follow_links,
        pass_by=pass_by,
    ):
        below = path.relative_to(folder)
        yield folder if below == Path() else os.path.join(folder, below)  # noqa: PTH118


def _matching(pattern: str, recursive: bool, follow_links: bool, pass_by: PassBy) -> Iterator[str]:
    """What ``pattern`` matches, and the folders that could not be listed in looking for it."""
    matches = [*glob.glob(pattern, recursive=True), *_unlisted(pattern)]  # noqa: PTH207
    photos_only = _finds_anything(pattern)
    of_a_page = _belongs_to_a_page if "**" in Path(pattern).parts else lambda folder: False
    link_out = _links_out(pattern) if not follow_links else lambda match: None
    real_path = functools.cache(os.path.realpath)
    seen = set()
    for match in sorted(matches, key=natural_key):
        if of_a_page(match) or of_a_page(os.path.dirname(match)):  # noqa: PTH120
            continue
        is_folder = os.path.isdir(match)  # noqa: PTH112
        left_out = link_out(match)
        if left_out is None and photos_only and not is_folder and not _has_photo_ending(match):
            left_out = Path(match)
        if left_out is not None:
            pass_by(left_out)
            continue
        inner = _in_folder(match, recursive, follow_links, pass_by) if is_folder else [match]
        for path in inner:
            where, name = os.path.split(path.rstrip(os.sep))
            place = real_path(where), name
            if place not in seen:
                seen.add(place)
                yield path
    if not matches:
        yield pattern


def _links_out(pattern: str) -> Callable[[str], Path | None]:
    """Which link to a folder, under the fixed part of a pattern with ``**``, leads out of it."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return lambda match: None
    fixed = next(n for n, part in enumerate(parts) if glob.has_magic(part))
    inside = _inside(Path(*parts[:fixed]))

    @functools.cache
    def leads_out(place: Path) -> bool:
        return place.is_symlink() and place.is_dir() and not inside(place)

    def link_out(match: str) -> Path | None:
        below = Path(match).parts
        places = (Path(*below[:n]) for n in range(fixed + 1, len(below) + 1))
        return next(filter(leads_out, places), None)

    return link_out


def _belongs_to_a_page(folder: str) -> bool:
    return Path(folder, FOLDER_MARK).exists()


def _finds_anything(pattern: str) -> bool:
    """Whether ``pattern`` goes through a folder tree without saying how files there must end."""
    parts = Path(pattern).parts
    ending = Path(parts[-1]).suffix
    return "**" in parts and (not ending or glob.has_magic(ending))


def _unlisted(pattern: str) -> Iterator[str]:
    """The folders that hold what ``pattern`` matches and cannot be listed; glob skips them."""
    holder = os.path.dirname(pattern)  # noqa: PTH120
    holders = glob.glob(os.path.join(holder, ""), recursive=True) if holder else []  # noqa: PTH118, PTH207
    for folder in holders:
        try:
            os.scandir(folder).close()
        except NotADirectoryError:
            continue
        except OSError:
            yield folder.rstrip(os.sep) or folder
