"""Is the place that people look at worth more than another? Ridge on one crop of each photo.

    python benchmarks/saliency.py --root ~/iqa [--dataset clive] [--model default] [--side 224]

For the most salient crop by two maps, the center and a random crop: the median test SRCC over 20
splits, and the mean difference from the random and from the central crop, split by split. The photo
as the model itself sees it is the control at the other end.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean, median
from typing import get_args

import torch
from PIL import Image
from torch import Tensor

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.evaluation.evaluate import evaluate
from shamisa_cli.evaluation.splits import random_splits
from shamisa_cli.finetuning.saliency import Saliency, salient_window
from shamisa_cli.imaging.decode import decode
from shamisa_cli.imaging.resample import limit_short_side
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder
from shamisa_cli.progress import progress_bar
from shamisa_cli.seeds import generator

KINDS = [kind for kind in get_args(Saliency) if kind != "attention"]
"""Attention is for ViTs."""


class Views:
    """Features of one crop a kind, and of the photo as the model sees it. State: the model."""

    def __init__(self, model: str, side: int) -> None:
        self.encoder, config = load_encoder(locate_model(model))
        self.encoder.eval()
        self.extractor = FeatureExtractor(self.encoder, config.protocol)
        self.viewing_side = config.protocol.short_side
        self.side = side

    def of(self, photo: Image.Image, number: int) -> dict[str, Tensor]:
        """(K, F) features by kind; ``number`` seeds the random crop."""
        photo = limit_short_side(photo, self.viewing_side)
        found = {"as scored": self.extractor.features(photo)}
        for kind in KINDS:
            left, top = salient_window(kind, self.encoder, photo, self.side, generator(0, number))
            crop = photo.crop((left, top, left + self.side, top + self.side))
            found[kind] = self.extractor.features(crop).mean(0, keepdim=True)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--dataset", default="clive")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--side", type=int, default=224, help="px of a crop")
    asked = parser.parse_args()
    dataset, views = open_dataset(asked.dataset, asked.root), Views(asked.model, asked.side)
    rows: dict[str, list[Tensor]] = {}
    with progress_bar(len(dataset.images), "crops") as bar:
        for number, path in enumerate(dataset.images):
            for kind, features in views.of(decode(path), number).items():
                rows.setdefault(kind, []).append(features)
            bar.update()
    splits = [s for seed in (0, 1) for s in random_splits(dataset.references, 10, seed)]
    srcc = {
        kind: [r.measures["srcc"] for r in evaluate(torch.stack(found), dataset.scores, splits)]
        for kind, found in rows.items()
    }
    print(f"{asked.model}, {len(dataset.images)} photos of {dataset.info.name}, {asked.side} px\n")
    controls = ("random", "center")
    titles = "".join(f"{'minus ' + control:>14}{'ahead in':>10}" for control in controls)
    print(f"{'view':<12}{'SRCC':>8}{titles} of {len(splits)}")
    for kind, values in srcc.items():
        gains = [[a - b for a, b in zip(values, srcc[c], strict=True)] for c in controls]
        cells = "".join(f"{fmean(gain):>+14.3f}{sum(g > 0 for g in gain):>10}" for gain in gains)
        print(f"{kind:<12}{median(values):>8.3f}{cells}")


if __name__ == "__main__":
    main()
