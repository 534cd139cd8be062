"""What `shamisa score` does in a second, and how much memory it takes, measured in one run.

    python benchmarks/score.py [--backbone resnet50] [--photos 24] [--memory-photos 500]

Speed: a folder of 12-MP JPEGs, and one of photos as the web has them (1024×683), against the plain
way: one image at a time, decode then ten fp32 crops, same backbone. Memory: the peak of a `shamisa
score` of its own over some 12-MP photos, and over five times as many. Weights are random: neither
figure depends on them.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torchvision.transforms.functional import pil_to_tensor

import shamisa_cli
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.heads import save_head
from shamisa_cli.models.store import load_encoder, save_encoder

LARGE = (4000, 3000)
WEB = (1024, 683)
DISTINCT = 6
"""Different files in a folder; the others are links to them."""


@dataclass(frozen=True)
class Timing:
    """One way to score a folder."""

    name: str
    photos_per_second: float


def make_model(folder: Path, backbone: str) -> Path:
    """A model folder with random weights and a head."""
    torch.manual_seed(0)
    encoder = Encoder.from_name(backbone)
    save_encoder(folder, encoder, ModelConfig(backbone, backbone, encoder.feature_size))
    size = 2 * encoder.feature_size
    info = HeadInfo("random", "nothing", (-3.0, 3.0), True, 1, size, 1.0)
    save_head(folder, Head(torch.randn(size), 0.0, info))
    return folder


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


def plain_way(encoder: Encoder, head: Head) -> Callable[[str], float]:
    """One image at a time: decode, ten crops in float32, the backbone as it is."""
    places = ((0.5, 0.5), (0, 0), (1, 0), (0, 1), (1, 1))

    @torch.inference_mode()
    def score(path: str) -> float:
        photo = Image.open(path).convert("RGB")
        shrink = 512 / min(photo.size)
        photo = photo.resize(
            [round(side * shrink) for side in photo.size], Image.Resampling.BICUBIC
        )
        half = photo.resize([side // 2 for side in photo.size], Image.Resampling.BICUBIC)
        crops = []
        for view in (photo, half):
            for x, y in places:
                left, top = round(x * (view.width - 224)), round(y * (view.height - 224))
                crops.append(pil_to_tensor(view.crop((left, top, left + 224, top + 224))))
        h = encoder(torch.stack(crops).float() / 255)
        return head.raw(torch.cat([h[:5], h[5:]], dim=1))

    return score


def time_folder(model: Path, paths: list[str], workers: int | None) -> list[Timing]:
    """The plain way, ours in fp32, and ours as it comes."""
    encoder, _ = load_encoder(model)
    scorers = {
        p: shamisa_cli.load(str(model), precision=p, workers=workers) for p in ("fp32", "auto")
    }
    plain = plain_way(encoder, scorers["fp32"].head)
    ways: dict[str, Callable[[], object]] = {
        "plain: one at a time, fp32": lambda: [plain(path) for path in paths],
        "shamisa, fp32": lambda: list(scorers["fp32"].score_many(paths)),
        f"shamisa, {'bf16' if scorers['auto'].extractor.bf16 else 'fp32'}": lambda: list(
            scorers["auto"].score_many(paths)
        ),
    }
    timings = []
    plain(paths[0])
    for scorer in scorers.values():
        scorer.score(paths[0])
    for name, work in ways.items():
        started = time.perf_counter()
        work()
        timings.append(Timing(name, len(paths) / (time.perf_counter() - started)))
    return timings


def peak_memory(model: Path, folder: Path, count: int, out: Path) -> float:
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
    command += ["--model", str(model), "--csv", str(out / f"{count}.csv"), "--quiet"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout) * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--photos", type=int, default=24, help="photos in each timed folder")
    parser.add_argument("--memory-photos", type=int, default=500, help="0 leaves memory out")
    parser.add_argument("--workers", type=int, help="decoding threads")
    args = parser.parse_args()
    print(
        f"{args.backbone}, torch {torch.__version__} with {torch.get_num_threads()} threads, "
        f"{platform.machine()} with {os.cpu_count()} cores, "
        f"load at the start {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        model = make_model(out / "model", args.backbone)
        for title, size in (("12 MP", LARGE), ("web", WEB)):
            paths = make_photos(out / title, size, max(args.photos, args.memory_photos))
            timings = time_folder(model, paths[: args.photos], args.workers)
            print(f"\n{f'{args.photos} photos, {title} ({size[0]}×{size[1]})':<44}photos/s  ratio")
            for timing in timings:
                ratio = timing.photos_per_second / timings[0].photos_per_second
                print(f"  {timing.name:<42}{timing.photos_per_second:8.2f}  {ratio:5.2f}")
        if args.memory_photos:
            print("\npeak memory of shamisa score, 12 MP")
            for count in (args.memory_photos // 5, args.memory_photos):
                print(
                    f"  {count:>5} photos  {peak_memory(model, out / '12 MP', count, out):.2f} GB"
                )


if __name__ == "__main__":
    main()
