"""What everyday photos score with a bundled head, by heads that did not see them.

    python benchmarks/everyday.py --root DATA [--model lite0] [--head mixed]

A head keeps 16 others, each fitted to a draw of the images with replacement (a bootstrap), to tell
its uncertainty. Each image is judged by those whose draw it is not in: their mean, mapped to 0-100.
The draws are repeated from their seed. That they are the right ones shows in the rank correlations
with people's scores: those of images in a draw are far higher.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.evaluation.everyday import with_everyday
from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder
from shamisa_cli.evaluation.measures import srcc
from shamisa_cli.evaluation.splits import choose_splits
from shamisa_cli.evaluation.uncertainty import BOOTSTRAPS
from shamisa_cli.models.card import SHARES
from shamisa_cli.models.heads import load_head
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder
from shamisa_cli.progress import say_skipped


def draws(parts: list[int], images: int) -> np.ndarray:
    """(16, images) bool: which image is in the draw of which head.

    The heads of each split, of so many training images, were drawn before.
    """
    generator = torch.Generator().manual_seed(0)
    for size in parts:
        for _ in range(BOOTSTRAPS // 2):
            torch.randint(size, (size,), generator=generator)
    inside = np.zeros((BOOTSTRAPS, images), dtype=bool)
    for drawn in inside:
        drawn[torch.randint(images, (images,), generator=generator).numpy()] = True
    return inside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--head", default="mixed")
    parser.add_argument("--features-cache", type=Path)
    args = parser.parse_args()

    folder = locate_model(args.model)
    encoder, config = load_encoder(folder)
    head = load_head(folder, args.head)
    assert head.spread is not None, "this head has no uncertainty, and no bootstraps"
    frozen = FrozenEncoder(
        config.name, encoder, config.protocol, cache=args.features_cache, precision="fp32"
    )
    found = frozen.dataset(open_dataset(head.info.dataset, args.root), say_skipped)
    features, wanted = found.features.double().mean(1), found.dataset.scores.numpy()
    splits = choose_splits(found.dataset, n_splits=10, seed=0, kind="auto")

    weights = head.weight.double() + head.spread[:, :-1].double()
    predicted = (weights @ features.T).numpy() + head.bias + head.spread[:, -1:].double().numpy()
    inside = draws([len(split.train) for split in splits], len(wanted))
    for name, part in (("in", inside), ("out of", ~inside)):
        each = [srcc(predicted[k, at], wanted[at]) for k, at in enumerate(part)]
        print(f"SRCC {name} the draw, median of {BOOTSTRAPS} heads: {np.median(each):.3f}")

    judged = ~inside.all(0)
    unseen = np.ma.masked_array(predicted, inside).mean(0).compressed()
    print(f"SRCC of the mean of unseen: {srcc(unseen, wanted[judged]):.3f}")
    table = with_everyday(head, unseen, found.dataset).info.everyday
    assert table is not None
    print(f"{table.photos}, percentile: score")
    print(", ".join(f"{share} %: {table.scores[share]:.0f}" for share in SHARES))
    same = head.info.everyday is not None and np.allclose(
        table.scores, head.info.everyday.scores, atol=0.05
    )
    print(f"the table of the head is {'the same' if same else 'another'}")


if __name__ == "__main__":
    main()
