"""How long a probe takes once features are there, and how much memory beside them.

    python benchmarks/probe.py                                    as on CLIVE: 650 images
    python benchmarks/probe.py --images 10000 --features 4096     as on KonIQ with a ResNet-50

Random features of unit length; 10 splits, 100 strengths. The plain way fits scikit-learn's Ridge
once for every strength; it is timed on one split and five strengths and multiplied up.
"""

from __future__ import annotations

import argparse
import resource
import time

import torch
from sklearn.linear_model import Ridge

from shamisa_cli.evaluation.evaluate import STRENGTHS, evaluate
from shamisa_cli.evaluation.ridge import crop_rows
from shamisa_cli.evaluation.splits import random_splits

CROPS = 5
PLAIN_STRENGTHS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=650)
    parser.add_argument("--features", type=int, default=2560)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--no-plain", action="store_true", help="leave scikit-learn's way out")
    args = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    features = torch.randn(args.images, CROPS, args.features, generator=generator)
    features /= features.norm(dim=-1, keepdim=True)
    scores = 100 * torch.rand(args.images, generator=generator)
    splits = random_splits([str(i) for i in range(args.images)], args.splits)
    held = features.numel() * features.element_size()

    start = time.perf_counter()
    evaluate(features, scores, splits)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{args.images} images, {CROPS} crops, {args.features} features: {held / 1e6:.0f} MB")
    print(f"{args.splits} splits, {len(STRENGTHS)} strengths: {seconds:.1f} s")
    print(f"peak memory of the process: {peak / 1e6:.0f} MB")
    if args.no_plain:
        return
    rows, targets = crop_rows(features[splits[0].train], scores[splits[0].train])
    start = time.perf_counter()
    for strength in STRENGTHS[:: len(STRENGTHS) // PLAIN_STRENGTHS].tolist():
        Ridge(alpha=strength).fit(rows.numpy(), targets.numpy())
    each = (time.perf_counter() - start) / PLAIN_STRENGTHS
    plain = each * len(STRENGTHS) * args.splits
    print(f"one fit for every strength, by scikit-learn: {plain:.0f} s ({plain / seconds:.0f} ×)")


if __name__ == "__main__":
    main()
