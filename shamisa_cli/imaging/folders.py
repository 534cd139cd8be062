"""The photos of a folder tree, in the order a person would list them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from shamisa_cli.errors import PhotoError, ShamisaError, system_reason
from shamisa_cli.imaging.formats import EXTENSIONS


def list_photos(
    folder: str | Path,
    *,
    recursive: bool = True,
    unlisted: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Paths of the photos in ``folder`` by their file name endings, in natural order.

    Hidden files and folders are left out. Folders that are links are followed, but never twice.

    Parameters
    ----------
    unlisted : called with each folder, ``folder`` among them, that cannot be listed (permissions, a
        bad disk) and is left out for that; without it, such a folder is an error.

    Raises
    ------
    ShamisaError
        if ``folder`` does not exist, or is no folder.
    PhotoError
        if a folder cannot be listed.
    """
    root = Path(folder)
    is_folder = _is_folder(root)
    if not is_folder:
        problem = "no such folder" if is_folder is None else "is a file, not a folder"
        raise ShamisaError(f"{root}: {problem}; point it at a folder of photos")

    def not_listed(error: OSError) -> None:
        where = Path(error.filename or root)
        if unlisted is None:
            raise _unlisted_error(where, error) from error
        unlisted(where)

    found = []
    seen = set()
    for where, folders, files in os.walk(root, onerror=not_listed, followlinks=True):
        seen.add(os.path.realpath(where))
        folders[:] = [
            name
            for name in folders
            if recursive
            and not name.startswith(".")
            and os.path.realpath(Path(where, name)) not in seen
        ]
        found += [
            Path(where, name)
            for name in files
            if not name.startswith(".") and has_photo_ending(name)
        ]
    return sorted(found, key=lambda path: natural_key(path.relative_to(root)))


def has_photo_ending(path: str | Path) -> bool:
    """Whether the name of a file ends as those of photos do, whatever the case."""
    return Path(path).suffix.lower() in EXTENSIONS


def folder_error(folder: str | Path) -> PhotoError:
    """What to say of a folder where a photo should be, as of one that could not be listed."""
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


def find_photos(arguments: Sequence[Path]) -> list[tuple[Path, PurePath]]:
    """The photos that a command line names: (path, name) of files, and of all photos in folders.

    A name is the path below the folder that was given; of a file, its file name.

    Raises
    ------
    ShamisaError
        on an argument that does not exist, or a folder without photos.
    PhotoError
        if a folder cannot be listed.
    """
    found: list[tuple[Path, PurePath]] = []
    for argument in arguments:
        is_folder = _is_folder(argument)
        if is_folder is None:
            raise ShamisaError(f"{argument}: no such file or folder")
        if not is_folder:
            found.append((argument, PurePath(argument.name)))
            continue
        below = list_photos(argument)
        if not below:
            raise ShamisaError(f"{argument}: no photos there")
        found += [(path, path.relative_to(argument)) for path in below]
    return found


def _is_folder(path: Path) -> bool | None:
    """Whether ``path`` is a folder; None if there is nothing of that name.

    Raises
    ------
    PhotoError
        if that cannot be told, as below a folder that may not be entered.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise PhotoError(
            f"{path}: cannot be reached ({system_reason(error)}); "
            "check the permissions of the folders above"
        ) from error


def _unlisted_error(folder: str | Path, error: OSError) -> PhotoError:
    mend = "check its permissions" if isinstance(error, PermissionError) else "check its disk"
    return PhotoError(f"{folder}: this folder cannot be listed ({system_reason(error)}); {mend}")
