"""Datasets that a repository of the Hub offers as archives, into the folder of datasets."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from shamisa_cli.datasets.check import state
from shamisa_cli.datasets.dataset import DatasetInfo
from shamisa_cli.datasets.registry import find_folder
from shamisa_cli.datasets.unpack import ENDINGS, unpack
from shamisa_cli.errors import HubError, ShamisaError, UsageError, near_matches
from shamisa_cli.hub.fetch import Listing, list_repository
from shamisa_cli.hub.large_file import fetch_large_file
from shamisa_cli.hub.names import HubName

REPOSITORY = "hf://datasets/chaofengc/IQA-PyTorch-Datasets"
"""Where the authors of pyiqa publish archives of the common datasets."""
WORKPLACE = ".shamisa-pull"
"""Under the folder of datasets, a folder each: archives on their way, kept until unpacked."""


def pull_dataset(
    info: DatasetInfo, root: Path, repository: HubName, progress: Callable[[int], object]
) -> Path:
    """Fetch a dataset's archive and unpack it; an interrupted fetch goes on when run again.

    Parameters
    ----------
    info : which.
    root : folder of datasets; made if missing.
    repository : that has the archive, at its top, named like one of the dataset's usual folders.
    progress : called after each file that is unpacked.

    Returns
    -------
    The dataset's folder, in ``root``.

    Raises
    ------
    UsageError
        if a folder of that name is in the way.
    HubError
        if there is no such archive, or it cannot be had.
    ShamisaError
        if the archive is damaged, or lacks the file of the scores.
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
    archive = fetch_large_file(repository, file, listing, workplace, place="--root")
    unpacked = workplace / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpack(archive, unpacked, progress)
    folder = _dataset_in(unpacked, info)
    (folder or _only_folder(unpacked)).rename(target)
    shutil.rmtree(workplace)
    with suppress(OSError):  # others are on their way
        workplace.parent.rmdir()
    if folder is None:
        raise ShamisaError(
            f"{target}: the pictures are here, but the archive {file} of {repository} has not the "
            f"scores; get {' or '.join(info.markers)} from {info.url}, and put it there"
        )
    return target


def find_archive(info: DatasetInfo, repository: HubName, listing: Listing) -> str:
    """The archive whose name, without ending, is that of the dataset or of its usual folders."""
    wanted = {name.casefold() for name in (info.name, *info.folders)}
    archives = {_stem(path): path for path in listing.sizes if path.endswith(ENDINGS)}
    for stem, path in archives.items():
        if stem.casefold() in wanted:
            return path
    near = near_matches(info.name, archives)
    guess = f" Is it {' or '.join(near)}?" if near else ""
    raise HubError(
        f"{repository}: has no archive of {info.name}; it has: "
        f"{', '.join(sorted(archives)) or 'none'}.{guess} The dataset's own place is {info.url}"
    )


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
