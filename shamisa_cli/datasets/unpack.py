"""Archives into folders; nothing that an archive says can land outside."""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from shamisa_cli.errors import ShamisaError

ENDINGS = (".tgz", ".tar.gz", ".tar", ".zip")
DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile),
    *(zlib.error, gzip.BadGzipFile, lzma.LZMAError, EOFError),
    ValueError,  # names that no system takes
)


def unpack(archive: Path, into: Path, progress: Callable[[int], object]) -> None:
    """Unpack a tar or zip archive.

    Parameters
    ----------
    archive : its name ends in one of :data:`ENDINGS`.
    into : folder; made if missing.
    progress : called after each file.

    Raises
    ------
    ShamisaError
        if the archive is damaged, or would write outside ``into``, or there is no room, or this
        Python is too old to tell.
    """
    if not hasattr(tarfile, "data_filter"):
        raise ShamisaError("this Python cannot unpack safely: 3.10.12, 3.11.4 and later can")
    into.mkdir(parents=True, exist_ok=True)
    try:
        if archive.name.endswith(".zip"):
            _unpack_zip(archive, into, progress)
        else:
            _unpack_tar(archive, into, progress)
    except (tarfile.FilterError, _OutsideError) as error:
        raise ShamisaError(f"{archive}: refused, for it would write outside: {error}") from error
    except DAMAGED as error:
        raise ShamisaError(f"{archive}: damaged: {error}; remove it, and fetch it again") from error
    except (OSError, RuntimeError) as error:  # no room; encrypted, or a method that we lack
        raise ShamisaError(f"{archive}: cannot be unpacked into {into}: {error}") from error


class _OutsideError(Exception):
    """A member of a zip archive that would land outside."""


def _unpack_tar(archive: Path, into: Path, progress: Callable[[int], object]) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            tar.extract(member, into, filter="data")
            progress(1)


def _unpack_zip(archive: Path, into: Path, progress: Callable[[int], object]) -> None:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            path = PurePosixPath(member.filename.replace("\\", "/"))
            if path.is_absolute() or any(part == ".." or ":" in part for part in path.parts):
                raise _OutsideError(repr(member.filename))
            opened.extract(member, into)
            progress(1)
