"""What method lml is made of, part by part: the ablations of docs/finetuning.md.

    python benchmarks/contrast.py --root ~/iqa [--splits 2] [--epochs 3] [--places 1]

Each row is one change of the contrast, over the same splits: the median test SRCC of the kept
state, its mean difference from labels alone (``regress``), in how many splits it is ahead, and how
spread out the places of one photo are at the end, beside those of different photos (ρ). What is
done is kept in --out, and not done again.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from statistics import fmean, median
from typing import Any

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.splits import Split, random_splits
from shamisa_cli.finetuning.config import FinetuneConfig, resolve
from shamisa_cli.finetuning.kept import Kept, keep_early
from shamisa_cli.finetuning.manifold import held_out_spread
from shamisa_cli.finetuning.run import finetune_split
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder
from shamisa_cli.training.checkpoint import checkpoints, load_checkpoint

NONE = {"coeff": 0.0}
START = "frozen start"
ALL_POSITIVE = {"salient_pair": NONE, "same_image_apart": NONE, "reiqa": {}}
ROWS: dict[str, dict[str, Any]] = {
    START: {},
    "regress": {"weight": 0.0},
    "lml": {},
    "no other place of the photo": {"sources": {"same_image_apart": NONE}},
    "other places count 0.25": {"sources": {"same_image_apart": {"coeff": 0.25}}},
    "other places count 4": {"sources": {"same_image_apart": {"coeff": 4.0}}},
    "no other photo": {"sources": {"other_image_apart": NONE}},
    "all crops positive": {"sources": ALL_POSITIVE},
    "no teacher": {"momentum": 0.0},
    "saliency center": {"saliency": "center"},
    "saliency random": {"saliency": "random"},
    "student is the anchor": {"anchor": "student"},
    "soft": {"sources": {"same_image_apart": {"soft": True}}},
    "3 random places": {"places": 3},
    "7 random places": {"places": 7},
    "weight 1": {"weight": 1.0},
    "weight 1, all crops positive": {"weight": 1.0, "sources": ALL_POSITIVE},
    "weight 10": {"weight": 10.0},
    "weight 10, all crops positive": {"weight": 10.0, "sources": ALL_POSITIVE},
}


def config_of(row: str, asked: argparse.Namespace) -> FinetuneConfig:
    """The run of a row."""
    contrast = {"places": asked.places, **ROWS[row]}
    epochs = 0.0 if row == START else asked.epochs
    given = {"method": "lml", "epochs": epochs, "checks": asked.checks, "seed": asked.seed}
    return resolve(None, {**given, "workers": 1, "contrast": contrast})


def end_of(out: Path, start: FrozenEncoder) -> FrozenEncoder:
    """The encoder at the end of the run in ``out``, kept or not."""
    saved = checkpoints(out / "checkpoints")
    if not saved:
        return start
    state = load_checkpoint(saved[-1]).model
    made = copy.deepcopy(start.encoder)
    own = {k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")}
    made.load_state_dict(own)
    return start.with_encoder(made.eval())


def measure(
    row: str,
    number: int,
    split: Split,
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    kept: Kept | None,
    asked: argparse.Namespace,
) -> dict[str, float]:
    """SRCC of the linear probe and of the kept state, and ρ at the end."""
    folder = asked.out / row.replace(" ", "-") / f"split-{number:02d}"
    result = folder / "row.json"
    if not result.is_file():
        made = finetune_split(frozen, found, split, config_of(row, asked), folder, kept=kept)
        folder.mkdir(parents=True, exist_ok=True)
        end, settings = end_of(folder, frozen), config_of("lml", asked)
        spread = held_out_spread(end, found, split, settings, kept)
        srcc = {"probe": made.probe.measures["srcc"], "srcc": made.measures["srcc"]}
        result.write_text(json.dumps({**srcc, **spread}), encoding="utf-8")
    return json.loads(result.read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--dataset", default="clive")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--checks", type=int, default=2)
    parser.add_argument("--places", type=int, default=1, help="random places of each photo")
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=[*ROWS])
    parser.add_argument("--out", type=Path, default=Path("runs/contrast"))
    asked = parser.parse_args()
    encoder, config = load_encoder(locate_model(asked.model))
    frozen = FrozenEncoder(asked.model, encoder.eval(), config.protocol)
    dataset = open_dataset(asked.dataset, asked.root)
    found = frozen.dataset(dataset, print)
    splits = random_splits(found.dataset.references, asked.splits, asked.seed)
    kept = keep_early(frozen, found, config_of("lml", asked))
    rows: dict[str, list[dict[str, float]]] = {}
    for row in asked.rows:
        for number, split in enumerate(splits):
            rows.setdefault(row, []).append(measure(row, number, split, frozen, found, kept, asked))
    print(f"{'row':<28}{'SRCC':>7}{'gain':>8}  {'ahead':<6}{'ρ':>8}{'standard':>9}")
    for row in rows:
        print(line(row, rows))


def line(row: str, rows: dict[str, list[dict[str, float]]]) -> str:
    """A row of the table, beside ``regress``."""
    made, plain = rows[row], rows.get("regress", rows[row])
    gains = [a["srcc"] - b["srcc"] for a, b in zip(made, plain, strict=True)]
    middle, ahead = median(each["srcc"] for each in made), sum(gain > 0 for gain in gains)
    spread = "".join(f"{fmean(e[kind] for e in made):>9.3f}" for kind in ("plain", "standard"))
    return f"{row:<28}{middle:>7.3f}{fmean(gains):>+8.3f}  {ahead} of {len(gains)}{spread}"


if __name__ == "__main__":
    main()
