"""Reference photos for pre-training: a folder tree of photos, and random crops of them.

Decoding happens ahead, in threads, and decoded photos stay in memory while they fit. A crop depends
on the photo and on the generator alone, never on what is cached or on the number of threads.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shamisa_cli.errors import PhotoError, ShamisaError
from shamisa_cli.imaging.crops import reflect_pad
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.paths import PassBy, list_photos
from shamisa_cli.imaging.resample import rescale, resize

_log = logging.getLogger(__name__)

CACHE_BYTES = 4 * 2**30
"""Default room for decoded photos: 5,000 of 500×400 px with their half-scale copies."""

VIEWS = 2
"""Full scale and half scale."""


class Box(NamedTuple):
    """A square window of a photo, wherever the photo's size allows it.

    Attributes
    ----------
    x, y : place in [0, 1]; 0 is the leftmost (topmost) window, 1 the rightmost (lowest).
    shrink : factor in (0, 1] from the window to the crop. The window of a crop of s px is
        s / shrink px.
    """

    x: float
    y: float
    shrink: float = 1.0


_Photo = tuple[np.ndarray, np.ndarray]
"""A decoded photo, (H, W, 3) uint8 at each of the two scales."""


class PhotoPool:
    """The photos below a folder, in natural order of their paths, by number.

    Parameters
    ----------
    folder : where the photos are.
    workers : threads that decode.
    cache_bytes : room for decoded photos, in this process; once it is full, further photos are
        decoded each time they are asked for.
    recursive : whether photos in folders below count too.
    follow_links, pass_by : as in ``list_photos``.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        workers: int = 2,
        cache_bytes: int = CACHE_BYTES,
        recursive: bool = True,
        follow_links: bool = False,
        pass_by: PassBy = lambda path: None,
    ) -> None:
        self.folder = Path(folder)
        self.paths = list_photos(
            folder, recursive=recursive, follow_links=follow_links, pass_by=pass_by
        )
        if not self.paths:
            raise ShamisaError(
                f"{folder}: no photos there; point it at a folder with JPEG, PNG or WebP photos"
            )
        self.workers = max(1, workers)
        self.cache_bytes = cache_bytes
        self._forget()

    def __len__(self) -> int:
        """Number of photo files, damaged ones included."""
        return len(self.paths)

    def __getstate__(self) -> dict[str, Any]:
        kept = ("folder", "paths", "workers", "cache_bytes")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def prefetch(self, photos: Iterable[int]) -> None:
        """Start decoding ``photos`` (numbers) in threads, for a later call that takes crops."""
        if self._process != os.getpid():  # threads do not survive a fork
            self._start_threads()
        for number in photos:
            self._decoding(number)

    def random_crops(
        self,
        photos: Sequence[int],
        size: int,
        generator: torch.Generator,
        *,
        flip: bool = False,
        scale: tuple[float, float] = (1.0, 1.0),
    ) -> Tensor:
        """A random crop of each photo at full scale, and another one at half scale.

        Parameters
        ----------
        photos : numbers of the photos.
        size : side of the crops in px.
        generator : draws the places.
        flip : mirror every second crop, at random.
        scale : range in (0, 1] of a random shrinking before the crop, uniform; 1 for none.

        Returns
        -------
        (2, len(photos), 3, size, size) uint8, index 0 being full scale.
        """
        self.prefetch(photos)
        draws = torch.rand((VIEWS, len(photos), 4), generator=generator).tolist()
        crops = torch.empty((VIEWS, len(photos), 3, size, size), dtype=torch.uint8)
        low, high = scale
        for i, number in enumerate(photos):
            drawn = [draws[view][i] for view in range(VIEWS)]
            boxes = [Box(x, y, low + shrink * (high - low)) for x, y, shrink, _ in drawn]
            crops[:, i] = self.crops_at(number, boxes, range(VIEWS), size)
            for view, (*_, mirror) in enumerate(drawn):
                if flip and mirror < 0.5:
                    crops[view, i] = crops[view, i].flip(-1)
        return crops

    def crops_at(
        self, photo: int, boxes: Sequence[Box], scales: Sequence[int], size: int
    ) -> Tensor:
        """Crops of one photo at given places.

        Parameters
        ----------
        photo : its number. In place of a damaged photo the next good one is taken.
        boxes : where each crop is. A photo that is smaller is filled up by reflection.
        scales : of each crop, 0 for full and 1 for half scale.
        size : side of the crops in px.

        Returns
        -------
        (len(boxes), 3, size, size) uint8.
        """
        pixels = self._good(photo)
        crops = torch.empty((len(boxes), 3, size, size), dtype=torch.uint8)
        for k, (box, scale) in enumerate(zip(boxes, scales, strict=True)):
            crops[k].numpy()[:] = _crop(pixels[scale], size, box).transpose(2, 0, 1)
        return crops

    def _good(self, number: int) -> _Photo:
        """The photo ``number``, or else the next that can be decoded."""
        for other in range(number, number + len(self.paths)):
            photo = self._decoding(other % len(self.paths)).result()
            self._pending.pop(other % len(self.paths), None)
            if photo is not None:
                return photo
        raise ShamisaError(f"none of the {len(self.paths)} photos could be read")

    def _decoding(self, number: int) -> Future[_Photo | None]:
        """The photo ``number`` under way, or done if it is in memory; None for a damaged one."""
        under_way = self._kept.get(number) or self._pending.get(number)
        if under_way is None:
            under_way = self._pending[number] = self._threads.submit(self._decode, number)
        return under_way

    def _decode(self, number: int) -> _Photo | None:
        """Remember a photo if there is room, and a damaged one always, so that it warns once."""
        photo, n_bytes = None, 0
        try:
            image = decode(self.paths[number])
            photo = np.asarray(image), np.asarray(rescale(image, 0.5))
            n_bytes = sum(pixels.nbytes for pixels in photo)
        except PhotoError as error:
            _log.warning("skipped %s", error)
        done: Future[_Photo | None] = Future()
        done.set_result(photo)
        with self._lock:
            if photo is None or self._used + n_bytes <= self.cache_bytes:
                self._used += n_bytes
                self._kept[number] = done
        return photo

    def _forget(self) -> None:
        self._kept: dict[int, Future[_Photo | None]] = {}
        self._used = 0
        self._start_threads()

    def _start_threads(self) -> None:
        self._pending: dict[int, Future[_Photo | None]] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="shamisa-photos")
        self._process = os.getpid()


def _crop(pixels: np.ndarray, size: int, box: Box) -> np.ndarray:
    """(size, size, 3): the window ``box`` of ``pixels`` (H, W, 3)."""
    window = round(size / box.shrink)
    height, width = (min(side, window) for side in pixels.shape[:2])
    left, top = (
        min(int(place * (side - extent + 1)), side - extent)
        for place, side, extent in zip(box[:2], pixels.shape[1::-1], (width, height), strict=True)
    )
    inside = pixels[top : top + height, left : left + width]
    if window != size:
        shrunk = [min(size, max(1, round(extent * size / window))) for extent in (width, height)]
        inside = np.asarray(resize(Image.fromarray(inside), (shrunk[0], shrunk[1])))
    return reflect_pad(inside, (size, size))
