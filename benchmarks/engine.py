"""How fast the distortion engine makes crops, and where the time goes.

    python benchmarks/engine.py --photos ~/photos

One run measures whole published tiny-batches (3 references × 4 groups × 5 levels × 2 views) into a
buffer that is used again, the same compositions one crop at a time with nothing shared, turn by
turn, and then every function alone. On a CPU, time is the process's CPU time, so that waiting for a
busy machine is not counted; elsewhere it is wall-clock time.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from shamisa_cli.distortions.apply import apply_entry
from shamisa_cli.distortions.composition import Composition, compose
from shamisa_cli.distortions.engine import distort_batch, sample_metadata
from shamisa_cli.distortions.layout import BatchLayout, BatchMetadata
from shamisa_cli.distortions.registry import CATEGORIES, ENTRIES, ENTRIES_OF_CATEGORY, Entry
from shamisa_cli.imaging.pool import PhotoPool

SIDE = 224
TINY_BATCH = BatchLayout(tiny_batches=1)
FUNCTION_PHOTOS = 12
"""Crops of so many photos, half of them at half scale, go through every function alone."""


def main() -> None:
    """Measure, and print two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--batches", type=int, default=40, help="tiny-batches of 120 crops")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(options.seed)
    batches = [
        (references.to(options.device), sample_metadata(TINY_BATCH, generator))
        for references in reference_batches(options.photos, options.batches, generator)
    ]
    load = os.getloadavg()[0]
    rates = batch_rates(batches, generator)
    varied = torch.stack(
        [references[k % len(references)] for k, (references, _) in enumerate(batches)]
    )
    functions = function_times(varied[:FUNCTION_PHOTOS], generator)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}; torch")
    print(f"{torch.__version__}, {options.device}, {options.threads} thread(s)")
    print_rates(rates)
    print_functions(functions)


def reference_batches(folder: Path, count: int, generator: torch.Generator) -> list[Tensor]:
    """(N_ref, 3, 224, 224) uint8 of real photos, for each tiny-batch."""
    pool = PhotoPool(folder)
    shuffled = torch.randperm(len(pool), generator=generator).tolist()
    r = TINY_BATCH.references
    starts = [(k * r) % (len(pool) - r + 1) for k in range(count)]
    return [pool.random_crops(shuffled[s : s + r], SIDE, generator).flatten(0, 1) for s in starts]


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """CPU seconds of ``work`` in all threads; wall-clock seconds on a device that is no CPU."""
    if device.type == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


def batch_rates(
    batches: list[tuple[Tensor, BatchMetadata]], generator: torch.Generator
) -> dict[str, float]:
    """Distorted crops per second, shared and batched, and one crop at a time."""
    crops = distort_batch(*batches[0], TINY_BATCH, generator)
    spent = {"engine": 0.0, "one crop at a time": 0.0}
    for references, metadata in batches:
        device = references.device

        def shared(r: Tensor = references, m: BatchMetadata = metadata) -> Tensor:
            return distort_batch(r, m, TINY_BATCH, generator, out=crops)

        def single(r: Tensor = references, m: BatchMetadata = metadata) -> None:
            one_level_at_a_time(r, m, generator)

        spent["engine"] += seconds(shared, device)
        spent["one crop at a time"] += seconds(single, device) * TINY_BATCH.levels
    return {name: len(batches) * TINY_BATCH.n_distorted / spent[name] for name in spent}


def one_level_at_a_time(
    references: Tensor, metadata: BatchMetadata, generator: torch.Generator
) -> None:
    """A fifth of the batch, level k of group k: each crop alone, through its whole composition."""
    pristine = references / 255
    for c in range(TINY_BATCH.groups):
        functions = [f for f in metadata.functions[0, c].tolist() if f >= 0]
        severities = metadata.severities[0, c, c % TINY_BATCH.levels, : len(functions)].tolist()
        composition = Composition(tuple(functions), tuple(severities))
        for image in pristine:
            compose(image[None], composition, generator)


def expected_runs(entry: Entry) -> float:
    """How often an entry runs per distorted crop, prefixes shared, in the long run.

    M is uniform in 1 … 7 and v in 0 … M-1, so (M + 1)/2 functions run at every level and (M - 1)/2
    once for all levels; each category and each entry in it is as likely as any other.
    """
    levels = TINY_BATCH.levels
    functions = sum((m + 1) / 2 + (m - 1) / 2 / levels for m in range(1, 8)) / 7
    alike = len(ENTRIES_OF_CATEGORY[entry.distortion.category])
    return functions / len(CATEGORIES) / alike


def function_times(references: Tensor, generator: torch.Generator) -> list[tuple[float, float]]:
    """(ms a crop in a batch, ms a crop alone) of every entry: the medians of three rounds."""
    images = (references / 255).repeat_interleave(TINY_BATCH.levels, 0)
    severities = torch.linspace(0, 1, TINY_BATCH.levels).repeat(len(references))
    rounds: list[list[tuple[float, float]]] = [[] for _ in ENTRIES]
    for _ in range(3):
        for times, entry in zip(rounds, ENTRIES, strict=True):
            times.append(batched_and_alone(images, entry, severities, generator))
    return [(median(t[0] for t in times), median(t[1] for t in times)) for times in rounds]


def batched_and_alone(
    images: Tensor, entry: Entry, severities: Tensor, generator: torch.Generator
) -> tuple[float, float]:
    """ms a crop in batches of five levels, as the engine makes them, and one crop at a time."""
    levels = TINY_BATCH.levels

    def batched() -> None:
        for k in range(0, len(images), levels):
            part = slice(k, k + levels)
            apply_entry(images[part], entry, severities[part], generator)

    def alone() -> None:
        for k in range(0, len(images), levels):
            apply_entry(
                images[k : k + 1], entry, severities[k // levels % levels].expand(1), generator
            )

    in_batch = seconds(batched, images.device) / len(images)
    return 1e3 * in_batch, 1e3 * seconds(alone, images.device) / (len(images) / levels)


def print_rates(rates: dict[str, float]) -> None:
    """Crops per second."""
    print("\n| whole tiny-batches | distorted 224-px crops per second and core | ratio |")
    print("| --- | ---: | ---: |")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.0f} | {rate / rates['one crop at a time']:.2f} |")


def print_functions(times: list[tuple[float, float]]) -> None:
    """ms of each function, and its share of the engine's time in the long run."""
    runs = [expected_runs(entry) for entry in ENTRIES]
    spent = [r * batched for r, (batched, _) in zip(runs, times, strict=True)]
    print("\n| function | ms a crop | alone | ratio | runs a crop | share of time |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for entry, (batched, alone), r, s in zip(ENTRIES, times, runs, spent, strict=True):
        print(
            f"| {entry.name} | {batched:.2f} | {alone:.2f} | {alone / batched:.1f} "
            f"| {r:.3f} | {s / sum(spent):.1%} |"
        )
    print(
        f"\nThe functions at these frequencies: {sum(spent):.2f} ms a crop, {1e3 / sum(spent):.0f}"
    )
    print("crops a second; what is drawn in a run of few batches lies to either side of that.")


if __name__ == "__main__":
    main()
