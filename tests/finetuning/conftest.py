"""Scored pictures, a tiny model that sees them, and one run of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from finetuning_toy import BASE, WHOLE, config, unreadable
from PIL import Image

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.splits import Split, random_splits
from shamisa_cli.finetuning.run import Finetuned, finetune_split
from shamisa_cli.models.store import random_encoder


@pytest.fixture(scope="session")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 noisy pictures with a score that is lower the more noise they have."""
    folder = tmp_path_factory.mktemp("labeled")
    rng = np.random.default_rng(0)
    lines = ["image,mos"]
    for i in range(40):
        noise = 2 + 1.5 * i
        base = rng.uniform(120, 130, 3) + np.linspace(-20, 20, 90)[:, None, None]
        pixels = base + rng.normal(0, noise, (90, 80 + 10 * (i % 2), 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{90 - 1.8 * i + rng.normal(0, 2):.2f}")
    (folder / "scores.csv").write_text("\n".join(lines) + "\n")
    return folder / "scores.csv"


@pytest.fixture(scope="session")
def frozen() -> FrozenEncoder:
    return FrozenEncoder("toy", random_encoder(BASE, seed=1), BASE.protocol, device="cpu")


@pytest.fixture(scope="session")
def found(frozen: FrozenEncoder, scores: Path) -> DatasetFeatures:
    return frozen.dataset(open_dataset(str(scores), None), unreadable)


@pytest.fixture(scope="session")
def whole() -> FrozenEncoder:
    return FrozenEncoder("toy", random_encoder(WHOLE, seed=1), WHOLE.protocol, device="cpu")


@pytest.fixture(scope="session")
def seen(whole: FrozenEncoder, scores: Path) -> DatasetFeatures:
    return whole.dataset(open_dataset(str(scores), None), unreadable)


@pytest.fixture(scope="session")
def split(found: DatasetFeatures) -> Split:
    return random_splits(found.dataset.references, 1, seed=3)[0]


@pytest.fixture(scope="session")
def tuned(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    tmp_path_factory: pytest.TempPathFactory,
) -> Finetuned:
    made = finetune_split(frozen, found, split, config(), tmp_path_factory.mktemp("run"))
    assert made is not None
    return made


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves cost more time than such runs; the command's tests have them."""
    monkeypatch.setattr("shamisa_cli.finetuning.run.plot_training", lambda out, checks: None)
