"""Datasets that a repository on the Hub offers as archives: fetched, unpacked, recognized."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from shamisa_cli.datasets.dataset import DatasetInfo
from shamisa_cli.datasets.registry import find_folder, state
from shamisa_cli.errors import HubError, ShamisaError, UsageError, first_line, unknown_name
from shamisa_cli.hub.fetch import Listing, fetch_file, list_repository
from shamisa_cli.hub.names import HubName

REPOSITORY = "hf://datasets/chaofengc/IQA-PyTorch-Datasets"
"""Where the authors of pyiqa publish archives of the common datasets."""
WORKPLACE = ".shamisa-pull"
"""Under the folder of datasets, a folder for each archive until it is unpacked."""
ENDINGS = (".tgz", ".tar.gz", ".tar", ".zip")


def pull_dataset(
    info: DatasetInfo, root: Path, repository: HubName, say: Callable[[str], object]
) -> Path:
    """Fetch the archive of a dataset and unpack it; returns the dataset's folder.

    Parameters
    ----------
    root : folder of datasets; made if missing.
    repository : has the archive, named like the dataset or one of its usual folders.
    say : hears what takes long.

    Raises
    ------
    ShamisaError
        if a folder of that name is in the way, there is no such archive, it cannot be fetched, is
        damaged, or lacks the file of the scores.
    """
    target = root / info.name
    here = find_folder(info, root)
    found = state(info, root)
    if here is not None and found.startswith("complete"):
        return here
    if here is not None or target.exists():
        raise UsageError(f"{here or target} is there already ({found}); move it away first")
    listing = list_repository(repository)
    file = find_archive(info, repository, listing)
    workplace = root / WORKPLACE / info.name
    archive = fetch_file(repository, file, listing, workplace, place="root")
    say(f"unpacking {archive}")
    unpacked = workplace / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpack(archive, unpacked)
    folder = _dataset_in(unpacked, info)
    (folder or _only_folder(unpacked)).rename(target)
    shutil.rmtree(workplace)
    with suppress(OSError):  # another pull is at work
        workplace.parent.rmdir()
    if folder is None:
        raise ShamisaError(
            f"{target}: the pictures are here, but the archive {file} of {repository} lacks the "
            f"scores; get {' or '.join(info.markers)} from {info.url}, and put it there"
        )
    return target


def find_archive(info: DatasetInfo, repository: HubName, listing: Listing) -> str:
    """The archive whose name, without ending, is that of the dataset or of its usual folders."""
    wanted = {name.casefold() for name in (info.name, *info.folders)}
    archives = {_stem(path): path for path in listing.digests if path.endswith(ENDINGS)}
    for stem, path in archives.items():
        if stem.casefold() in wanted:
            return path
    hint = f"The dataset's own place is {info.url}"
    raise HubError(f"{repository}: {unknown_name('archive', info.name, archives, hint)}")


def unpack(archive: Path, into: Path) -> None:
    """Unpack a tar or zip archive whose name ends in one of :data:`ENDINGS`.

    Nothing lands outside ``into``: tarfile's data filter (Python 3.10.12, 3.11.4 and later) refuses
    such members, zipfile drops the parts of their names that lead out.
    """
    if archive.suffix != ".zip" and not hasattr(tarfile, "data_filter"):
        raise ShamisaError(
            f"{archive}: this Python cannot unpack tar archives safely; use Python 3.10.12, 3.11.4 "
            f"or later, or unpack it into {into.parent} yourself"
        )
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(into)
        else:
            shutil.unpack_archive(archive, into, filter="data")
    except Exception as error:  # each format and the system have their own
        raise ShamisaError(
            f"{archive}: cannot be unpacked into {into}: {first_line(error)}"
        ) from error


def _stem(path: str) -> str:
    name = PurePosixPath(path).name
    return next(name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending))


def _dataset_in(unpacked: Path, info: DatasetInfo) -> Path | None:
    """The folder, at any depth, that holds one of the dataset's markers."""
    for marker in info.markers:
        for found in sorted(unpacked.rglob(marker)):
            return found.parents[len(PurePosixPath(marker).parts) - 1]
    return None


def _only_folder(folder: Path) -> Path:
    """``folder``, or the one folder that is all that is in it."""
    children = list(folder.iterdir())
    return children[0] if len(children) == 1 and children[0].is_dir() else folder
