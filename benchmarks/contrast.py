"""What method lml is made of, part by part: the ablations of docs/finetuning.md.

    python benchmarks/contrast.py --root ~/iqa --model lite0 [--splits 2] [--epochs 3] [--places 1]

Each row is one change of the contrast, over the same splits: the median test SRCC of the kept
state, its mean difference from labels alone (``regress``), in how many splits it is ahead; and of
the end of the training, kept or not, its median test SRCC, and how spread out the places of one
photo are beside those of different photos (ρ), on features as they are and on standard ones. ρ is
of the same places in every row: the central one of each test photo, and seven at random; test
photos that fill no mini-batch are left out. What is done is kept in --out, and not done again.
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
from shamisa_cli.evaluation.measures import measure_all
from shamisa_cli.evaluation.ridge import fit_ridge
from shamisa_cli.evaluation.splits import Split, random_splits
from shamisa_cli.finetuning.config import FinetuneConfig, resolve
from shamisa_cli.finetuning.kept import Kept, keep_early, looks_at_pixels
from shamisa_cli.finetuning.manifold import held_out_spread
from shamisa_cli.finetuning.run import features_of, finetune_split, predict
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.store import load_encoder
from shamisa_cli.training.checkpoint import checkpoints, load_checkpoint

NONE = {"coeff": 0.0}
START = "frozen start"
JOINED = {"salient_pair": NONE, "same_image_apart": NONE, "reiqa": {}}
ALL_POSITIVE = {"sources": JOINED, "anchor": "every"}
ROWS: dict[str, dict[str, Any]] = {
    START: {},
    "regress": {"weight": 0.0},
    "lml": {},
    "no other place of the photo": {"sources": {"same_image_apart": NONE}},
    "other places count 0.25": {"sources": {"same_image_apart": {"coeff": 0.25}}},
    "other places count 4": {"sources": {"same_image_apart": {"coeff": 4.0}}},
    "no other photo": {"sources": {"other_image_apart": NONE}},
    "all crops positive": ALL_POSITIVE,
    "positive to the salient one alone": {"sources": JOINED},
    "no teacher": {"momentum": 0.0},
    "saliency center": {"saliency": "center"},
    "saliency random": {"saliency": "random"},
    "saliency spectral": {"saliency": "spectral"},
    "the most salient of a few": {"pick": "sampled"},
    "student is the anchor": {"anchor": "student"},
    "soft": {"sources": {"same_image_apart": {"soft": True}}},
    "3 random places": {"places": 3},
    "7 random places": {"places": 7},
    "other places count 14": {"sources": {"same_image_apart": {"coeff": 14.0}}},
    "temperature 0.07": {"temperature": 0.07},
    "temperature 0.5": {"temperature": 0.5},
    "weight 1": {"weight": 1.0},
    "weight 1, all crops positive": {"weight": 1.0, **ALL_POSITIVE},
    "weight 10": {"weight": 10.0},
    "weight 10, all crops positive": {"weight": 10.0, **ALL_POSITIVE},
}
MEASURED = {"saliency": "center", "places": 7}
"""Where ρ is measured: the same places in every row."""

SHAPING = ("dataset", "model", "seed", "epochs", "checks", "places", "side")
"""Options that decide what a row comes to."""


def config_of(row: str, asked: argparse.Namespace) -> FinetuneConfig:
    """The run of a row."""
    return settings(asked, {"places": asked.places, **ROWS[row]}, start=row == START)


def settings(
    asked: argparse.Namespace, contrast: dict[str, Any], *, start: bool = False
) -> FinetuneConfig:
    """A run with a contrast; of ``start`` without a step."""
    epochs = 0.0 if start else asked.epochs
    given = {"method": "lml", "epochs": epochs, "checks": asked.checks, "seed": asked.seed}
    return resolve(None, {**given, "workers": 1, "contrast": {"side": asked.side, **contrast}})


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
    """SRCC of the linear probe, of the kept state and of the end, and ρ at the end."""
    folder = asked.out / row.replace(" ", "-") / f"split-{number:02d}"
    result = folder / "row.json"
    shape = {name: getattr(asked, name) for name in SHAPING}
    if not result.is_file():
        config = config_of(row, asked)
        shared = None if looks_at_pixels(config) else kept
        made = finetune_split(frozen, found, split, config, folder, kept=shared)
        folder.mkdir(parents=True, exist_ok=True)
        end = end_of(folder, frozen)
        figures = {
            "probe": made.probe.measures["srcc"],
            "srcc": made.measures["srcc"],
            "end": srcc_of(end, found, split, made.probe.strength),
            **held_out_spread(end, found, split, settings(asked, MEASURED), kept),
        }
        result.write_text(json.dumps({"shape": shape, **figures}), encoding="utf-8")
    done = json.loads(result.read_text(encoding="utf-8"))
    if done.pop("shape", None) != shape:
        raise SystemExit(f"{result} was made with other options: choose another --out")
    return done


def srcc_of(tuned: FrozenEncoder, found: DatasetFeatures, split: Split, strength: float) -> float:
    """Test SRCC of a ridge on the training part, with the features of another encoder."""
    scores = found.dataset.scores
    fit = fit_ridge(features_of(tuned, found, split.train), scores[split.train], strength)
    predicted = predict(tuned, found, split.test, fit)
    return measure_all(predicted, scores[split.test].double().numpy())["srcc"]


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
    parser.add_argument("--side", type=int, default=224, help="of a place, px")
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
    print(f"{'row':<34}{'SRCC':>6}{'gain':>8}  {'ahead':<6}{'end':>8}{'ρ':>9}{'standard':>9}")
    for row in rows:
        print(line(row, rows))


def line(row: str, rows: dict[str, list[dict[str, float]]]) -> str:
    """A row of the table, beside ``regress``."""
    made, plain = rows[row], rows.get("regress", rows[row])
    gains = [a["srcc"] - b["srcc"] for a, b in zip(made, plain, strict=True)]
    middle, ahead = median(each["srcc"] for each in made), sum(gain > 0 for gain in gains)
    end = median(each["end"] for each in made)
    spread = "".join(f"{fmean(e[kind] for e in made):>9.3f}" for kind in ("plain", "standard"))
    kept = f"{middle:>6.3f}{fmean(gains):>+8.3f}  {ahead} of {len(gains)}"
    return f"{row:<34}{kept}{end:>8.3f}{spread}"


if __name__ == "__main__":
    main()
