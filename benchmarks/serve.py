"""What `shamisa serve` does in a second over loopback, beside score_many on the same photos.

    python benchmarks/serve.py [--model default] [--photos 200] [--clients 8] [--workers N]

One run. The control is `score_many` in one process on the same files with as many threads: what
scoring itself takes. Then clients, each a thread with a connection that it keeps, POST the same
photos to a server in a process of its own, one photo a request; the server may take all of them at
once. Then they come to a server with two places and wait as it says (Retry-After): how many are
refused, and that none is lost. p50 and p99 are of the time from a request to its answer. CPU is the
time of the process that scores, for a photo: other programs change it less (Linux only).
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
from score import make_photos

import shamisa_cli

SIZES = ((500, 500), (4000, 3000))
"""px."""


@dataclass(frozen=True)
class Answers:
    """What clients saw: seconds of each answered request, the refused ones, the whole time."""

    seconds: list[float]
    refused: int
    elapsed: float


@contextmanager
def running_server(*options: str) -> Iterator[tuple[str, int]]:
    """The URL and the number of a server of its own process."""
    command = [sys.executable, "-m", "shamisa_cli", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if line.startswith("listening on "))
        yield line.split()[2].rstrip(";"), process.pid
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(process: int) -> float:
    """What a process has used so far, in all its threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def post(connection: http.client.HTTPConnection, photo: bytes) -> tuple[int, float]:
    """Status, and the seconds that a refusal asks to wait."""
    connection.request("POST", "/score", photo, {"Content-Type": "image/jpeg"})
    answer = connection.getresponse()
    answer.read()
    return answer.status, float(answer.headers.get("Retry-After", 0))


def ask(url: str, photos: list[bytes], clients: int) -> Answers:
    """Send ``photos``, dealt out to ``clients``."""

    def client(n: int) -> tuple[list[float], int]:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
        seconds, refused = [], 0
        for photo in photos[n::clients]:
            while True:
                started = time.perf_counter()
                status, wait = post(connection, photo)
                if status == 200:
                    seconds.append(time.perf_counter() - started)
                    break
                assert status == 503, status
                refused += 1
                time.sleep(wait)
        return seconds, refused

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seen = list(pool.map(client, range(clients)))
    elapsed = time.perf_counter() - started
    return Answers([s for seconds, _ in seen for s in seconds], sum(r for _, r in seen), elapsed)


def print_answers(name: str, answers: Answers, control: float, cpu: float) -> None:
    rate = len(answers.seconds) / answers.elapsed
    p50, p99 = 1000 * np.percentile(answers.seconds, [50, 99])
    cpu_each = 1000 * cpu / len(answers.seconds)
    print(
        f"  {name:<28}{rate:8.2f}  {rate / control:5.2f}  {cpu_each:7.0f}  {p50:7.0f}  {p99:7.0f}"
        f"  {answers.refused:7}"
    )


def measure(model: str, paths: list[str], clients: int, workers: int) -> None:
    """A table: the control, the clients, the clients before a short queue."""
    scorer = shamisa_cli.load(model, device="cpu", workers=workers)
    scorer.score(paths[0])
    started, used = time.perf_counter(), cpu_seconds(os.getpid())
    assert not any(score.failed for score in scorer.score_many(paths))
    control = len(paths) / (time.perf_counter() - started)
    cpu = 1000 * (cpu_seconds(os.getpid()) - used) / len(paths)
    print(f"  {'score_many, in one process':<28}{control:8.2f}  {1:5.2f}  {cpu:7.0f}")

    photos = [Path(path).read_bytes() for path in paths]
    options = ["--model", model, "--device", "cpu", "--workers", str(workers)]
    for name, places, asking in (
        ("1 client", 1, 1),
        (f"{clients} clients", clients, clients),
        (f"{clients} clients, --queue 2", 2, clients),
    ):
        with running_server(*options, "--queue", str(places)) as (url, server):
            ask(url, photos[:asking], 1)
            before = cpu_seconds(server)
            answers = ask(url, photos, asking)
            print_answers(name, answers, control, cpu_seconds(server) - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--photos", type=int, default=200, help="requests for each row")
    parser.add_argument("--clients", type=int, default=8, help="at once")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="threads")
    args = parser.parse_args()
    print(
        f"{args.model}, torch {torch.__version__}, {args.workers} threads that score, "
        f"{platform.machine()} with {os.cpu_count()} cores, "
        f"load at the start {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        for size in SIZES:
            title = f"{args.photos} photos, {size[0]}×{size[1]} px"
            paths = make_photos(Path(temporary) / title, size, args.photos)
            head = f"{'photos/s':>8}  ratio  CPU, ms  p50, ms  p99, ms  refused"
            print(f"\n{title:<30}{head}")
            measure(args.model, paths, args.clients, args.workers)
    print(f"\nload at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
