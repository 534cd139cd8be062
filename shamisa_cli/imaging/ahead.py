"""Work done ahead in threads, results in order (decoding releases Python's lock)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_ahead(
    function: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    ahead: int | None = None,
    initializer: Callable[[], object] | None = None,
) -> Iterator[tuple[T, R | Exception]]:
    """Yield (item, function(item)) in the order of ``items``, computed ahead in threads.

    An exception of ``function`` is yielded in place of its result, so that one bad item never stops
    the others. At most ``ahead`` results (default 2·workers) wait to be taken, which bounds memory
    whatever the number of items; ``items`` is consumed lazily. ``workers`` = 0 works in the caller.
    ``initializer`` is called once in every thread.
    """
    if workers < 1:
        for item in items:
            yield item, _caught(function, item)
        return
    limit = ahead if ahead is not None else 2 * workers
    waiting: deque[tuple[T, Future[R | Exception]]] = deque()
    with ThreadPoolExecutor(workers, "shamisa", initializer) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(_caught, function, item)))
                if len(waiting) > limit:
                    yield _next(waiting)
            while waiting:
                yield _next(waiting)
        finally:
            for _, future in waiting:
                future.cancel()


def _next(waiting: deque[tuple[T, Future[R | Exception]]]) -> tuple[T, R | Exception]:
    """The oldest of ``waiting``; it is not kept here, since a result may be a large photo."""
    item, future = waiting.popleft()
    return item, future.result()


def _caught(function: Callable[[T], R], item: T) -> R | Exception:
    try:
        return function(item)
    except Exception as error:
        return error
