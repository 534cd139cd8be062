"""What fine-tuning is worth to a head that also learns from ladders, split by split.

    python benchmarks/tuned.py runs/finetune --root DATA --ladders PHOTOS [--splits 3] [--seed 0]

The folder is of a finished ``shamisa finetune``, by the same model, splits and seed. On each split
two heads are fitted in the way of ``shamisa fit --ladders --splits-of``: on features of the start,
and of the state that fine-tuning kept, which saw the training part alone. Printed are test SRCC and
RMSE, and the share of adjacent ladder levels in order on a fifth of the photos, which are in
neither fit. Photos whose ladders took part in the run are not drawn.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from statistics import fmean

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.evaluation.datasets import evaluate_dataset
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.seen import is_one_of
from shamisa_cli.evaluation.splits import Split, random_splits
from shamisa_cli.finetuning.apart import split_encoders
from shamisa_cli.ladders.extract import extract_edits, extract_ladders
from shamisa_cli.ladders.heads import judge, teach
from shamisa_cli.ladders.ladder import draw_photos
from shamisa_cli.ladders.lessons import LessonOptions
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder
from shamisa_cli.progress import say_skipped


def measure(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    photos: list[Path],
    others: list[Path],
    per_photo: int,
) -> dict[str, float]:
    """Test figures of one encoder on one split, by a head with ladders."""
    ladders = extract_ladders(frozen, photos, say_skipped, per_photo)
    readable = list(dict.fromkeys(ladders.photos))
    edits = extract_edits(frozen, readable, others=others, skip=say_skipped)
    taught = teach(found.dataset, found.features, ladders, edits, LessonOptions())
    judged = judge(taught, evaluate_dataset(frozen.name, found, [split]))
    figures = judged.result.results[0].measures
    order = judged.ladders["all"].in_order
    return {"srcc": figures["srcc"], "rmse": figures["rmse"], "in order": order}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of shamisa finetune")
    parser.add_argument("--dataset", default="clive")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--model", default="lite0", help="where the run started")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ladders", type=Path, required=True, help="folder of good photos")
    parser.add_argument("--ladder-photos", type=int, default=48)
    parser.add_argument("--good-photos", type=int, default=0, help="others, as they are")
    parser.add_argument("--ladder-per-photo", type=int, default=12)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--features-cache", type=Path)
    asked = parser.parse_args()
    encoder, config = load_encoder(locate_model(asked.model))
    how = {"cache": asked.features_cache, "precision": asked.precision, "workers": 1}
    start = FrozenEncoder(asked.model, encoder.eval(), config.protocol, **how)
    dataset = open_dataset(asked.dataset, asked.root)
    found = start.dataset(dataset, say_skipped)
    splits = random_splits(dataset.references, asked.splits, asked.seed)
    encoders = split_encoders(asked.run, splits)
    seen = frozenset().union(*(each.ladders for each in encoders))
    count = asked.ladder_photos + asked.good_photos
    drawn = draw_photos(asked.ladders, count, asked.seed, without=partial(is_one_of, seen))
    with_photos = drawn[: asked.ladder_photos], drawn[asked.ladder_photos :], asked.ladder_per_photo
    rows: list[tuple[dict[str, float], dict[str, float]]] = []
    print(f"{'split':<7}{'SRCC':>7}{'tuned':>8}{'RMSE':>8}{'tuned':>8}{'in order':>10}{'tuned':>8}")
    for number, each in enumerate(encoders):
        each.check(found)
        tuned = start.with_encoder(each.load(start.encoder), keep=True)
        own = tuned.dataset(dataset, say_skipped)
        before = measure(start, found, each.split, *with_photos)
        after = measure(tuned, own, each.split, *with_photos)
        rows.append((before, after))
        print(line(f"{number + 1}", before, after), flush=True)
    before, after = (
        {key: fmean(each[key] for each in column) for key in column[0]}
        for column in zip(*rows, strict=True)
    )
    print(line("mean", before, after))


def line(name: str, before: dict[str, float], after: dict[str, float]) -> str:
    """A row of the table."""
    srcc, rmse, order = ((before[key], after[key]) for key in ("srcc", "rmse", "in order"))
    return (
        f"{name:<7}{srcc[0]:>7.3f}{srcc[1]:>8.3f}{rmse[0]:>8.2f}{rmse[1]:>8.2f}"
        f"{order[0]:>10.3f}{order[1]:>8.3f}"
    )


if __name__ == "__main__":
    main()
