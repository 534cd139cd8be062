"""`shamisa fit --splits-of`: figures by encoders that did not see what they are judged on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.linear_model import Ridge

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.evaluation.splits import random_splits
from shamisa_cli.imaging.decode import decode
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.heads import load_head
from shamisa_cli.models.store import load_encoder, save_encoder

Run = Callable[..., Result]
FAST = "--epochs", 1, "--workers", 0


@pytest.fixture(scope="module")
def tuned(
    run: Run,
    headless: Path,
    scores: Path,
    sample_photos: list[Image.Image],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with a study over two splits, a model from all images, and the photos of ladders."""
    folder = tmp_path_factory.mktemp("tuned")
    (folder / "photos").mkdir()
    for i in range(12):
        sample_photos[i % 2].crop((30 * i, 0, 30 * i + 96, 90)).save(folder / f"photos/{i}.png")
    (folder / "short.toml").write_text("checks = 1\n")
    start = *FAST, "--config", folder / "short.toml", "--model", headless, "--lr", 0.01
    ladders = "--with-ladder", folder / "photos", "--ladder-photos", 6
    for out, how in (("study", ("--splits", 2)), ("all", ("--all",))):
        made = run("finetune", scores, *start, *ladders, *how, "--out", folder / out)
        assert made.exit_code == 0, made.output
    for number in range(2):  # so short a training may keep the start: then these differ anyway
        path = folder / f"study/share-100/split-{number:02d}/best.safetensors"
        state = load_file(path)
        generator = torch.Generator().manual_seed(number)
        for name, values in state.items():
            if "conv" in name:
                state[name] = values * (1 + 0.5 * torch.rand(values.shape, generator=generator))
        save_file(state, path)
    return folder


@pytest.fixture
def fit(run: Run, scores: Path, tuned: Path, tmp_path: Path) -> Run:
    """Fits a head of a copy of the model from all images."""
    model = Path(shutil.copytree(tuned / "all" / "model", tmp_path / "model"))

    def fit(*arguments: object) -> Result:
        given = "--model", model, "--splits", 2, "--name", "apart", "--overwrite"
        return run("fit", scores, *given, *arguments)

    return fit


def by_hand(study: Path, scores: Path, like: Path) -> tuple[list[float], set[int]]:
    """Test RMSE of a ridge over each split's encoder, and the images of the test parts."""
    data = open_dataset(str(scores), None)
    wanted = data.scores.double().numpy()
    found, tested = [], set()
    for number, split in enumerate(random_splits(data.references, 2)):
        folder = study / "share-100" / f"split-{number:02d}"
        strength = json.loads((folder / "result.json").read_text())["strength"]
        encoder, config = load_encoder(like)
        kept = load_file(folder / "best.safetensors")
        prefix = "backbone/"
        weights = {k.removeprefix(prefix): v for k, v in kept.items() if k.startswith(prefix)}
        encoder.backbone.load_state_dict(weights)
        extractor = FeatureExtractor(encoder, config.protocol, "cpu", "fp32")
        features = [extractor.features(decode(path)).double().numpy() for path in data.images]
        crops = len(features[0])
        rows = np.concatenate([features[i] for i in split.train])
        ridge = Ridge(strength).fit(rows, np.repeat(wanted[split.train], crops))
        predicted = [ridge.predict(features[i]).mean() for i in split.test]
        found.append(float(np.sqrt(np.mean((predicted - wanted[split.test]) ** 2))))
        tested.update(split.test.tolist())
    return found, tested


def test_figures_are_of_each_splits_own_encoder(
    fit: Run, tuned: Path, scores: Path, headless: Path, tmp_path: Path
) -> None:
    out = tmp_path / "figures.json"
    made = fit("--splits-of", tuned / "study", "--json", out)
    assert made.exit_code == 0, made.output
    assert "was fine-tuned on" not in made.output
    expected, tested = by_hand(tuned / "study", scores, headless)
    told = [each["rmse"] for each in json.loads(out.read_text())["splits"]]
    assert told == pytest.approx(expected, rel=1e-3)
    info = load_head(tmp_path / "model", "apart").info
    assert info.metrics["rmse"] == pytest.approx(np.median(told))
    assert info.everyday is not None
    assert info.everyday.photos == f"{len(tested)} images of mine"
    assert info.uncertainty is not None
    assert info.note == "figures by encoders of 2 splits"
    flattering = fit("--json", out, "--allow-seen")
    assert flattering.exit_code == 0, flattering.output
    assert [each["rmse"] for each in json.loads(out.read_text())["splits"]] != told


def test_ladders_are_of_photos_that_no_encoder_was_trained_on(
    fit: Run, tuned: Path, tmp_path: Path
) -> None:
    arguments = ["--ladders", tuned / "photos", "--ladder-per-photo", 1]
    made = fit("--splits-of", tuned / "study", *arguments, "--split-photos", 5)
    assert made.exit_code == 0, made.output
    assert "with ladders" in made.output
    info = load_head(tmp_path / "model", "apart").info
    assert info.note.endswith("; figures by encoders of 2 splits")
    assert "8 severity ladders of 8 photos" in info.note  # four of twelve were trained on
    assert 0 <= info.metrics["ladder_in_order"] <= 1
    assert "8 severity ladders" in fit(*arguments, "--allow-seen").output


def test_encoders_that_are_not_of_the_model_are_refused(
    run: Run, scores: Path, tuned: Path, headless: Path, tmp_path: Path
) -> None:
    """One that was trained on other images or not at all, and one of other layers."""
    apart = "--splits", 2, "--name", "apart", "--splits-of", tuned / "study"
    start = shutil.copytree(headless, tmp_path / "start")
    untrained = run("fit", scores, "--model", start, *apart)
    assert untrained.exit_code == 2, untrained.output
    assert "was not trained on mine" in untrained.output
    config = ModelConfig.load(tuned / "all" / "model" / "config.json")
    encoder = Encoder.from_name("test_efficientnet")
    size = encoder.feature_size
    other = replace(config, backbone="test_efficientnet", feature_size=size)
    save_encoder(tmp_path / "other", encoder, other)
    refused = run("fit", scores, "--model", tmp_path / "other", *apart)
    assert refused.exit_code == 2, refused.output
    assert "split-00: has an encoder of other layers than the model" in refused.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--splits-of", "study", "--seed", 1], "was trained on another split"),
        (["--splits-of", "study", "--splits", 3], "split-02: holds no finished split"),
        (["--splits-of", "all"], "split-00: holds no finished split"),
        (["--split-photos", 5], "--split-photos has no effect without"),
        (["--splits-of", "study", "--split-photos", 5], "--split-photos has no effect without"),
    ],
)
def test_what_tells_nothing_is_refused(
    fit: Run, tuned: Path, arguments: list[object], message: str
) -> None:
    named = [tuned / each if each in ("study", "all") else each for each in arguments]
    made = fit(*named)
    assert made.exit_code == 2, made.output
    assert message in made.output
