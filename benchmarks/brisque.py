"""BRISQUE on the splits of `shamisa probe`: a figure to stand beside the models' own.

    python benchmarks/brisque.py --dataset clive --root DATA

Mittal, Moorthy and Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", IEEE
Transactions on Image Processing 21(12), 2012: 36 natural scene statistics of the whole photo's
luminance, 18 at full and 18 at half scale, and a support vector regression with a Gaussian kernel
and the published C = 1024 and γ = 0.05. It is fitted on the training part; as nothing is left to
choose, the validation part is not used. The control is the same regression on the photo as 6×6 gray
pixels: 36 numbers that know nothing of noise or blur.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVR
from torch import Tensor
from torch.nn import functional as F

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.encoders.scene_statistics import FLOOR, luminance, map_statistics
from shamisa_cli.evaluation.measures import measure_all
from shamisa_cli.evaluation.splits import Split, random_splits
from shamisa_cli.imaging.decode import decode

FITS = range(2, 18, 4)
"""Where the fits of the four neighbors' products begin: shape, mean, left and right deviation."""


def describe(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """BRISQUE's (36,) statistics of a photo, and its (36,) gray pixels at 6×6 px."""
    pixels = torch.from_numpy(np.array(decode(path))).permute(2, 0, 1)[None].double()
    gray = luminance(pixels).round() / 255
    half, tiny = resized(gray, [side // 2 for side in gray.shape[1:]]), resized(gray, [6, 6])
    return np.concatenate([plain(gray), plain(half)]), tiny.numpy().ravel()


def resized(gray: Tensor, size: list[int]) -> Tensor:
    """(1, h, w) of (1, H, W), bicubic and antialiased."""
    return F.interpolate(gray[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)


def plain(gray: Tensor) -> np.ndarray:
    """(18,) our statistics of one map, without their logarithms and floors: BRISQUE's own."""
    values = map_statistics(gray)[0].numpy()
    shapes = [0, *FITS]
    spreads = [place for start in FITS for place in (start + 2, start + 3)]
    values[shapes] = np.exp(values[shapes])
    values[1] = np.exp(values[1]) - FLOOR
    values[spreads] = (np.exp(values[spreads]) - FLOOR) ** 2  # as variances
    return values


def on_split(features: np.ndarray, scores: np.ndarray, split: Split) -> dict[str, float]:
    """The measures on the test part."""
    model = make_pipeline(MinMaxScaler((-1, 1)), SVR(C=1024, gamma=0.05))
    model.fit(features[split.train], scores[split.train])
    return measure_all(model.predict(features[split.test]), scores[split.test])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--dataset", default="clive")
    parser.add_argument("--root", type=Path, help="default: $SHAMISA_DATA")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    dataset = open_dataset(asked.dataset, asked.root)
    splits = random_splits(dataset.references, asked.splits, asked.seed)
    scores = dataset.scores.numpy()
    print(f"{asked.dataset}: {len(scores)} photos, {asked.splits} splits; median ± deviation")
    described = zip(*map(describe, dataset.images), strict=True)
    for name, features in zip(("BRISQUE", "6×6 gray pixels"), described, strict=True):
        measured = [on_split(np.stack(features), scores, split) for split in splits]
        for measure in measured[0]:
            values = [each[measure] for each in measured]
            print(f"{name}: {measure} {np.median(values):.3f} ± {np.std(values):.3f}")


if __name__ == "__main__":
    main()
