"""``shamisa join``: from two models to one that scores."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from shamisa_cli.cli import app
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.regions import Regions
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.join import first_difference
from shamisa_cli.models.store import load_encoder, random_encoder, save_encoder

Run = Callable[..., Result]


def shamisa(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that sees photos whole, by a small EfficientNet."""
    folder = tmp_path_factory.mktemp("join") / "start"
    protocol = ViewingProtocol(short_side=96, crops="whole", scales=(1.0,))
    config = ModelConfig("start", "test_efficientnet", 1, "regions", protocol=protocol)
    encoder = random_encoder(config, seed=1)
    config = dataclasses.replace(config, feature_size=encoder.feature_size)
    save_encoder(folder, encoder, config)
    return folder


@pytest.fixture(scope="module")
def tuned(start: Path, scores: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, fine-tuned; its checks may have kept the start, so that it is moved anyway."""
    out = tmp_path_factory.mktemp("join") / "tuned"
    how = "--all", "--epochs", 1, "--workers", 0, "--out", out
    made = run("finetune", scores, "--model", start, *how)
    assert made.exit_code == 0, made.output
    encoder, config = load_encoder(out / "model")
    with torch.no_grad():
        encoder.backbone.get_parameter("conv_head.weight").mul_(1.5).add_(0.01)
        for values in encoder.backbone.get_submodule("blocks")[-1].parameters():
            values.mul_(1.1)
    save_encoder(out / "model", encoder, config)
    return out / "model"


def test_a_joined_model_has_the_features_of_both_and_scores(
    start: Path, tuned: Path, scores: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "both"
    made = shamisa("join", start, tuned, "--out", out)
    assert made.exit_code == 0, made.output
    (one, config), (two, facts) = load_encoder(start), load_encoder(tuned)
    both, joined = load_encoder(out)
    block = first_difference(one.backbone, two.backbone)
    assert block is not None
    assert joined.ends == (min(block, len(one.backbone.get_submodule("blocks")) - 1),)
    assert f"{joined.feature_size} features, the new end from block {joined.ends[0]}" in made.output
    assert joined.feature_size > config.feature_size
    assert joined.seen == facts.seen != ()
    assert joined.training["start"]["name"] == "start"
    x = torch.rand(1, 3, 96, 128)
    with torch.no_grad():
        found = set(both(x)[0].tolist())
        for each in (one, two):
            assert set(each(x)[0].tolist()) <= found

    fitted = run("fit", scores, "--model", out, "--name", "mine", "--allow-seen")
    assert fitted.exit_code == 0, fitted.output
    photo = next(scores.parent.glob("*.png"))
    scored = shamisa("score", photo, "--model", out)
    assert scored.exit_code == 0, scored.output
    assert "both@" in scored.output
    again = run("finetune", scores, "--model", out, "--all", "--epochs", 0.2, "--workers", 0,
                "--allow-seen", "--out", tmp_path / "on")  # fmt: skip
    assert again.exit_code == 0, again.output
    assert load_encoder(tmp_path / "on/model")[1].ends == joined.ends


def test_a_joined_model_gets_one_more_end(start: Path, tuned: Path, tmp_path: Path) -> None:
    weighted = tmp_path / "weighted"
    encoder, config = load_encoder(start)
    regions = Regions((0.1, 0.2, 0.3, 0.5, 0.7, 1.1, 1.3))
    save_encoder(weighted, encoder, dataclasses.replace(config, regions=regions))
    other = tmp_path / "other"
    end, facts = load_encoder(tuned)
    with torch.no_grad():
        end.backbone.get_parameter("conv_head.weight").mul_(0.7)
    save_encoder(other, end, dataclasses.replace(facts, seen=("0" * 16,)))
    assert shamisa("join", weighted, tuned, "--out", tmp_path / "two").exit_code == 0
    made = shamisa("join", tmp_path / "two", other, "--out", tmp_path / "three")
    assert made.exit_code == 0, made.output
    two, three = (load_encoder(tmp_path / name)[1] for name in ("two", "three"))
    (block,) = two.ends
    assert three.ends == (block, block)
    late = regions.maps[block + 1 :]
    assert three.regions.maps == (*regions.maps, *late, *late)
    assert three.feature_size - two.feature_size == two.feature_size - config.feature_size
    assert three.seen == (*facts.seen, "0" * 16)
    x = torch.rand(1, 3, 96, 128)
    folders = [tmp_path / name for name in ("three", "two", "weighted")]
    with torch.no_grad():
        found, before, alone = (set(load_encoder(each)[0](x)[0].tolist()) for each in folders)
    assert alone < before < found


def test_what_cannot_be_joined_is_told(
    start: Path, tuned: Path, headless: Path, tmp_path: Path
) -> None:
    def refused(*arguments: object) -> str:
        result = shamisa("join", *arguments)
        assert result.exit_code == 2, result.output
        return result.output

    out = tmp_path / "out"
    assert "their weights are the same; nothing to join" in refused(start, start, "--out", out)
    assert "backbone differs" in refused(start, headless, "--out", out)
    assert "only EfficientNets with pooling = regions" in refused(headless, headless, "--out", out)
    other = Path(shutil.copytree(tuned, tmp_path / "other"))
    encoder, config = load_encoder(other)
    save_encoder(other, random_encoder(config, seed=9), config)
    assert "their first stages differ" in refused(start, other, "--out", out)
    gray = dataclasses.replace(config.preprocessing, mean=(0.5, 0.5, 0.5))
    save_encoder(other, encoder, dataclasses.replace(config, preprocessing=gray))
    assert "preprocessing differs" in refused(start, other, "--out", out)
    assert not out.exists()
    assert shamisa("join", start, tuned, "--out", out).exit_code == 0
    assert "out: has several ends; join" in refused(start, out, "--out", tmp_path / "more")
    assert "out: has the last stages of" in refused(out, tuned, "--out", tmp_path / "more")
    assert "is not empty; choose a new folder" in refused(start, tuned, "--out", out)
    assert "Missing option '--out'" in refused(start, tuned)
    no_such = shamisa("join", "lite", tuned, "--out", tmp_path / "more")
    assert "Did you mean lite0" in no_such.output


def test_a_second_end_that_was_pretrained(start: Path, scores: Path, tmp_path: Path) -> None:
    """It never looked at whole photos; the joined model does, as its start."""
    settings = tmp_path / "run.toml"
    settings.write_text(
        'backbone = "test_efficientnet"\ntrained = 0.3\nsteps = 2\ncrop = "32"\n'
        "[batch]\ntiny_batches = 2\nreferences = 1\ngroups = 1\nlevels = 2\n"
        "[projector]\nhidden = 16\nout = 8\n[graphs]\n"
        'remove = ["ref_dist", "ref_ref", "dist_dist", "knn", "transport"]\n'
        '[optimizer]\nname = "adamw"\nlr = 0.01\n',
        encoding="utf-8",
    )
    run = tmp_path / "run"
    how = "--config", settings, "--init", start, "--out", run, "--workers", 0
    made = shamisa("pretrain", "--photos", scores.parent, *how)
    assert made.exit_code == 0, made.output
    made = shamisa("join", start, run / "model", "--out", tmp_path / "both")
    assert made.exit_code == 0, made.output
    (one, config), (both, joined) = load_encoder(start), load_encoder(tmp_path / "both")
    assert joined.protocol == config.protocol
    assert joined.pooling == "regions"
    assert joined.training["other"]["config"]["trained"] == 0.3
    x = torch.rand(1, 3, 96, 128)
    with torch.no_grad():
        assert set(one(x)[0].tolist()) <= set(both(x)[0].tolist())


def test_training_on_starts_from_one_end(
    start: Path, tuned: Path, scores: Path, tmp_path: Path
) -> None:
    out = tmp_path / "both"
    assert shamisa("join", start, tuned, "--out", out).exit_code == 0
    how = "--backbone", "test_efficientnet", "--init", out, "--out", tmp_path / "run"
    made = shamisa("pretrain", "--photos", scores.parent, *how)
    assert made.exit_code == 2, made.output
    assert "has several ends; take one such as lite0" in made.output
