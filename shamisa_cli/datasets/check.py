"""Whether a dataset is all there, and its pictures can be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from shamisa_cli.datasets.dataset import DatasetInfo, build_dataset
from shamisa_cli.datasets.registry import find_folder
from shamisa_cli.errors import UsageError
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.decode import decode


def state(info: DatasetInfo, root: Path | None) -> str:
    """One line: not found, incomplete and why, a part, or complete; pictures are not opened."""
    folder = find_folder(info, root) if root else None
    if folder is None:
        return "not found"
    try:
        listed = len(build_dataset(info, folder, info.read(folder)).images)
    except (UsageError, OSError) as error:
        return f"incomplete: {error}"
    if listed != info.n_images:
        return f"{listed} of {info.n_images} images: {folder}"
    return f"complete: {folder}"


def unreadable(
    paths: Sequence[Path], workers: int, progress: Callable[[int], object]
) -> list[tuple[Path, str]]:
    """(path, problem) of pictures that cannot be decoded; ``progress`` is called after each."""
    broken = []
    for path, problem in map_ahead(_decodes, paths, workers):
        if isinstance(problem, Exception):
            broken.append((path, str(problem)))
        progress(1)
    return broken


def _decodes(path: Path) -> None:
    """Decode and let go, so that no picture waits in memory."""
    decode(path)
