"""What `shamisa score` does in a second, and how much memory it takes, measured in one run.

    python benchmarks/score.py [--model default] [--photos 24] [--memory-photos 100] [--beside-load]
        [--arniqa]

Speed: photos of 500×500 px, of 1024×683 px (as the web has them), and 12-MP JPEGs, against the
plain way: one image at a time, decode, then the bare backbone in float32 on the same pixels, with
all of torch's threads. So the ratio says what reading the maps and the scene statistics cost, and
what a photo a thread brings. `--arniqa` adds ARNIQA as pyiqa has it, one image at a time, where
that is installed. Its weights are random and are not fetched, which changes no time. It looks at
every pixel, so 12 MP are left out. `--beside-load` measures again beside a job that keeps every
core busy. Memory: the peak of a `shamisa score` over some 12-MP photos, and over five times as
many.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

import shamisa_cli
from shamisa_cli.imaging.crops import CropPlan, crop_batches
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.resample import resize, viewing_size
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder

SIZES = ((500, 500), (1024, 683), (4000, 3000))
"""px; the last is also that of the memory's photos."""

DISTINCT = 6
"""Different files in a folder; the others are links to them."""


@dataclass(frozen=True)
class Timing:
    """One way to score a folder."""

    name: str
    photos_per_second: float


def make_photos(folder: Path, size: tuple[int, int], count: int) -> list[str]:
    """JPEGs with the grain of a camera, since smooth ones decode too fast."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    paths = []
    for n in range(count):
        path = folder / f"{n:05}.jpg"
        if n < DISTINCT:
            name = ("china.jpg", "flower.jpg")[n % 2]
            enlarged = Image.fromarray(load_sample_image(name)).resize(size)
            grain = generator.normal(0, 5, (size[1], size[0], 1))
            pixels = np.clip(np.asarray(enlarged) + grain, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path, quality=92)
        else:
            path.symlink_to(folder / f"{n % DISTINCT:05}.jpg")
        paths.append(str(path))
    return paths


def plain_way(model: str) -> Callable[[str], object]:
    """One image at a time: decode, then the backbone as it is, in float32."""
    folder = locate_model(model)
    encoder, config = load_encoder(folder)
    protocol = config.protocol
    plan = CropPlan(protocol.crops, protocol.crop, protocol.scales)

    @torch.inference_mode()
    def run(path: str) -> None:
        photo = decode(path)
        photo = resize(photo, viewing_size(photo.size, protocol.short_side, protocol.max_side))
        for scales in crop_batches(photo, plan, 5):
            for crops in scales:
                x = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
                encoder.backbone((x - encoder.mean) / encoder.std)

    return run


def arniqa() -> Callable[[str], object]:
    """ARNIQA of pyiqa, with random weights, one image at a time."""
    import pyiqa

    made_up = {
        "torch.hub.load_state_dict_from_url": {},
        "torchvision.models._api.load_state_dict_from_url": {},
        "torch.nn.Module.load_state_dict": None,
        "pyiqa.archs.arniqa_arch.load_file_from_url": "",
        "torch.jit.load": torch.nn.Linear(2 * 2048, 1),
    }
    with ExitStack() as stack:
        for name, value in made_up.items():
            stack.enter_context(mock.patch(name, return_value=value))
        metric = pyiqa.create_metric("arniqa", device="cpu")
    return torch.inference_mode()(metric)


def time_folder(
    model: str, paths: list[str], workers: int | None, other: Callable[[str], object] | None
) -> list[Timing]:
    """The plain way, ours in fp32, ours as it comes, and another tool's, if there is one."""
    scorers = {p: shamisa_cli.load(model, precision=p, workers=workers) for p in ("fp32", "auto")}
    plain = plain_way(model)
    number = "bf16" if scorers["auto"].extractor.bf16 else "fp32"
    ways: dict[str, Callable[[], object]] = {
        "plain: bare backbone, one at a time": lambda: [plain(path) for path in paths],
        "shamisa, fp32": lambda: list(scorers["fp32"].score_many(paths)),
        f"shamisa, as it comes ({number})": lambda: list(scorers["auto"].score_many(paths)),
    }
    if other is not None:
        ways["pyiqa's ARNIQA"] = lambda: [other(path) for path in paths]
        other(paths[0])
    timings = []
    plain(paths[0])
    for scorer in scorers.values():
        scorer.score(paths[0])
    for name, work in ways.items():
        started = time.perf_counter()
        work()
        timings.append(Timing(name, len(paths) / (time.perf_counter() - started)))
    return timings


@contextmanager
def busy_cores() -> Iterator[None]:
    """A program beside ours that multiplies matrices with as many threads as there are cores."""
    code = "import torch\nx = torch.rand(1500, 1500)\nwhile True: x @ x"
    cores = str(os.cpu_count())
    job = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": cores}
    )
    try:
        time.sleep(3)
        yield
    finally:
        job.kill()
        job.wait()


def peak_memory(model: str, folder: Path, count: int, out: Path) -> float:
    """Peak resident memory, in GB, of a `shamisa score` over ``count`` photos (Linux only).

    It tells its own high-water mark: what the system keeps of children starts with their parent's.
    """
    listed = out / f"{count}.txt"
    listed.write_text("\n".join(str(folder / f"{n:05}.jpg") for n in range(count)))
    code = (
        "import sys; from pathlib import Path; from shamisa_cli.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    command = [sys.executable, "-c", code, "score", "--from-file", str(listed)]
    command += ["--model", model, "--csv", str(out / f"{count}.csv"), "--quiet"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout) * 1024 / 1e9


def print_speed(
    model: str,
    title: str,
    paths: list[str],
    workers: int | None,
    other: Callable[[str], object] | None,
) -> list[Timing]:
    """A table of the ways, with ratios to the first."""
    timings = time_folder(model, paths, workers, other)
    print(f"\n{f'{len(paths)} photos, {title}':<44}photos/s  ratio")
    for timing in timings:
        ratio = timing.photos_per_second / timings[0].photos_per_second
        print(f"  {timing.name:<42}{timing.photos_per_second:8.2f}  {ratio:5.2f}")
    return timings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--photos", type=int, default=24, help="photos in each timed folder")
    parser.add_argument("--memory-photos", type=int, default=100, help="0 leaves memory out")
    parser.add_argument("--workers", type=int, help="threads")
    parser.add_argument("--beside-load", action="store_true", help="again, beside a busy job")
    parser.add_argument("--arniqa", action="store_true", help="also ARNIQA of pyiqa")
    args = parser.parse_args()
    print(
        f"{args.model}, torch {torch.__version__} with {torch.get_num_threads()} threads, "
        f"{platform.machine()} with {os.cpu_count()} cores, "
        f"load at the start {os.getloadavg()[0]:.1f}"
    )
    other = arniqa() if args.arniqa else None
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        for size in SIZES:
            title = f"{size[0]}×{size[1]} px"
            count = args.photos if size != SIZES[-1] else max(args.photos, args.memory_photos)
            paths = make_photos(out / title, size, count)[: args.photos]
            how = paths, args.workers, other if size != SIZES[-1] else None
            idle = print_speed(args.model, title, *how)
            if args.beside_load:
                with busy_cores():
                    beside = print_speed(args.model, f"{title}, beside load", *how)
                both = zip(idle, beside, strict=True)
                kept = [b.photos_per_second / a.photos_per_second for a, b in both]
                print("  kept of the idle speed:   " + "  ".join(f"{each:.2f}" for each in kept))
        if args.memory_photos:
            print("\npeak memory of shamisa score, 12 MP")
            folder = out / f"{SIZES[-1][0]}×{SIZES[-1][1]} px"
            for count in (args.memory_photos // 5, args.memory_photos):
                peak = peak_memory(args.model, folder, count, out)
                print(f"  {count:>5} photos  {peak:.2f} GB")


if __name__ == "__main__":
    main()
