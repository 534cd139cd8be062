"""What each engine of `shamisa score --out` does in a second, beside plain processes, in one run.

    python benchmarks/cluster.py [--model default] [--photos 128] [--shard 8] [--rounds 2]

The control: as many plain processes as there are workers, each with a Scorer of one thread and its
share of the same photos as loose files. The engines read them from tars, hash them and write parts.
All ways take turns, each round. A rate is of the time in which all workers are busy, as long as all
are: so it leaves out the start, which is printed, and the wait for the last one. The start of an
engine holds that of its cluster and of a worker's Python, and the loading of the model. CPU is the
time of the workers for a photo: other programs change it less.
"""

from __future__ import annotations

import argparse
import os
import platform
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch
from score import make_photos

import shamisa_cli
from shamisa_cli.engines.engine import Prepare
from shamisa_cli.engines.registry import ENGINES, open_engine
from shamisa_cli.errors import UsageError
from shamisa_cli.sharding.plan import Asked, open_run
from shamisa_cli.sharding.run import preparation
from shamisa_cli.sharding.storage import Folder

SIZE = (500, 500)
"""px."""

Stamp = tuple[int, float, float, int, float]
"""A process, when it began a shard and when it ended it (s since 1970), photos of the shard, and
the s of CPU that the process took for it."""


@dataclass(frozen=True)
class Stamped:
    """``prepare``, with work that says who did it, and when."""

    prepare: Prepare

    def __call__(self) -> Callable[[Any], Stamp]:
        work = self.prepare()

        def stamped(task: Any) -> Stamp:
            began, cpu = time.time(), time.process_time()
            photos = work(task).photos
            return os.getpid(), began, time.time(), photos, time.process_time() - cpu

        return stamped


def plain(model: str, shards: list[list[str]]) -> list[Stamp]:
    """Score files, with one thread."""
    scorer = shamisa_cli.load(model, device="cpu", workers=1)
    stamps = []
    for paths in shards:
        began, cpu = time.time(), time.process_time()
        scored = sum(1 for _ in scorer.score_many(paths))
        stamps.append((os.getpid(), began, time.time(), scored, time.process_time() - cpu))
    return stamps


def by_processes(model: str, shards: list[list[str]], workers: int) -> list[Stamp]:
    """The control: each process has its share of the shards."""
    with ExitStack() as stack:
        alone = partial(ProcessPoolExecutor, 1, mp_context=get_context("spawn"))
        pools = [stack.enter_context(alone()) for _ in range(workers)]
        each = [pool.submit(plain, model, shards[n::workers]) for n, pool in enumerate(pools)]
        return [stamp for future in each for stamp in future.result()]


def by_engine(name: str, model: str, tars: list[str], workers: int) -> list[Stamp]:
    """The same photos from tars, into parts."""
    loading = {"model": model, "device": "cpu"}
    with tempfile.TemporaryDirectory() as out:
        folder, scorer = Folder(out), shamisa_cli.load(**loading, workers=1)
        manifest = open_run(folder, tars, scorer, Asked(), loading)
        prepare = Stamped(preparation(manifest, folder, loading))
        stamps = []
        for ended in open_engine(name, workers=workers).run(prepare, manifest.shards(folder)):
            assert not ended.error, ended.error
            stamps.append(ended.result)
    return stamps


def busy(stamps: list[Stamp], workers: int) -> tuple[float, float]:
    """When all workers were busy at last, and until when; s since 1970."""
    spans: dict[int, list[float]] = {}
    for process, began, ended, *_ in stamps:
        span = spans.setdefault(process, [began, ended])
        span[1] = max(span[1], ended)
    if len(spans) < workers:
        raise SystemExit("a worker was never busy: give more --photos")
    return max(began for began, _ in spans.values()), min(ended for _, ended in spans.values())


def rate(stamps: list[Stamp], start: float, end: float) -> float:
    """Photos/s in that time; of a shard that it cuts, the photos of its share."""
    photos = 0.0
    for _, began, ended, count, _ in stamps:
        share = max(0.0, min(end, ended) - max(start, began)) / (ended - began)
        photos += share * count
    return photos / (end - start)


def make_tars(folder: Path, shards: list[list[str]]) -> list[str]:
    """A tar of each shard."""
    tars = []
    for n, paths in enumerate(shards):
        tars.append(str(folder / f"{n:05}.tar"))
        with tarfile.open(tars[-1], "w", dereference=True) as archive:
            for path in paths:
                archive.add(path, Path(path).name)
    return tars


def measured(ways: dict[str, Callable[[], list[Stamp]]], rounds: int, workers: int) -> Iterator:
    """(way, start-up in s, photos/s, ms of CPU a photo) of each round and way."""
    for _ in range(rounds):
        for name, way in ways.items():
            called = time.time()
            stamps = way()
            start, end = busy(stamps, workers)
            cpu = sum(stamp[4] for stamp in stamps) / sum(stamp[3] for stamp in stamps)
            yield name, start - called, rate(stamps, start, end), cpu * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="default")
    parser.add_argument("--photos", type=int, default=128)
    parser.add_argument("--shard", type=int, default=8, help="photos of a tar")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    print(
        f"{args.model}, torch {torch.__version__}, {platform.machine()} with {os.cpu_count()} "
        f"cores, load at the start {os.getloadavg()[0]:.1f}; {args.photos} photos of "
        f"{SIZE[0]}×{SIZE[1]} px, {args.workers} workers, {args.rounds} rounds"
    )
    with tempfile.TemporaryDirectory() as temporary:
        paths = make_photos(Path(temporary) / "photos", SIZE, args.photos)
        shards = [paths[n : n + args.shard] for n in range(0, len(paths), args.shard)]
        tars = make_tars(Path(temporary), shards)
        ways = {"plain": partial(by_processes, args.model, shards, args.workers)}
        for name in ENGINES:
            with suppress(UsageError):  # its extra is not installed
                open_engine(name)
                ways[name] = partial(by_engine, name, args.model, tars, args.workers)
        results = list(measured(ways, args.rounds, args.workers))
    print(f"{'':<12}photos/s  of plain  CPU ms  start-up s")
    control = [speed for name, _, speed, _ in results if name == "plain"]
    for way in ways:
        own = [each[1:] for each in results if each[0] == way]
        startup, speed, cpu = map(median, zip(*own, strict=True))
        ratio = median(each[1] / other for each, other in zip(own, control, strict=True))
        print(f"{way:<12}{speed:8.2f}  {ratio:8.2f}  {cpu:6.0f}  {startup:10.1f}")


if __name__ == "__main__":
    main()
