"""Between the network and the model: so many requests at once, scored in threads of their own."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

from shamisa_cli.encoders.threads import one_thread_each
from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.scorer import Scorer
from shamisa_cli.serving.uploads import Upload

T = TypeVar("T")

_NEW_SHARE = 0.2
"""Of the newest photo in the running mean of the time that one takes."""


class QueueFull(ShamisaError):
    """There are as many requests as are taken at once.

    Attributes
    ----------
    seconds : until there may be a place.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many requests at once; try again in {seconds} s")
        self.seconds = seconds


class ScoringQueue:
    """Requests that hold a place, and the threads that score their photos.

    Only the event loop's thread calls its methods, so there is no lock.

    Parameters
    ----------
    scorer : with ``workers=0``, since the threads are here.
    places : requests at once, those that are being read or scored included.
    threads : that score.

    Attributes
    ----------
    requests : that hold a place.
    photos : that wait or are being scored.
    """

    def __init__(self, scorer: Scorer, places: int, threads: int) -> None:
        for name, value in (("places", places), ("threads", threads)):
            if value < 1:
                raise UsageError(f"{name} must be at least 1, got {value}")
        self.scorer = scorer
        self.places = places
        self.threads = threads
        self.requests = 0
        self.photos = 0
        self._seconds = 0.0
        self._open = ExitStack()
        initializer = self._open.enter_context(one_thread_each())
        self._pool = ThreadPoolExecutor(threads, "shamisa-serve", initializer)

    def close(self) -> None:
        """Let the threads finish."""
        self._pool.shutdown(cancel_futures=True)
        self._open.close()

    def take(self) -> AbstractContextManager[None]:
        """A place for a request, given back at the end; QueueFull if there is none."""
        if self.requests >= self.places:
            raise QueueFull(max(1, math.ceil(self.photos * self._seconds / self.threads)))
        self.requests += 1
        return self._taken()

    @contextmanager
    def _taken(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.requests -= 1

    async def score(self, photo: Upload) -> Score:
        """Score one photo; PhotoError if it cannot be read."""
        return await self._run(lambda: self.scorer.score(photo), 1)

    async def score_many(self, photos: Sequence[Upload]) -> list[Score]:
        """A row a photo, in their order; one that cannot be read has a failed row."""
        at_once = self.scorer.extractor.photos_per_pass
        groups = [photos[start : start + at_once] for start in range(0, len(photos), at_once)]
        scored = await asyncio.gather(*(self._score_group(group) for group in groups))
        return [row for rows in scored for row in rows]

    async def _score_group(self, photos: Sequence[Upload]) -> list[Score]:
        return await self._run(lambda: list(self.scorer.score_many(photos)), len(photos))

    async def _run(self, work: Callable[[], T], photos: int) -> T:
        """``work`` on so many photos, in one of the threads."""

        def timed() -> tuple[T, float]:
            started = time.perf_counter()
            return work(), (time.perf_counter() - started) / photos

        self.photos += photos
        try:
            result, seconds = await asyncio.get_running_loop().run_in_executor(self._pool, timed)
        finally:
            self.photos -= photos
        self._seconds += _NEW_SHARE * (seconds - self._seconds) if self._seconds else seconds
        return result
