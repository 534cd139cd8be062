"""Preset, config file and options say the same things, and refuse what nobody knows."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from shamisa_cli.errors import UsageError
from shamisa_cli.pretraining.config import PretrainConfig, crop_side, parse_crop
from shamisa_cli.pretraining.presets import PRESETS, resolve
from shamisa_cli.settings import from_mapping, to_mapping


def test_the_default_is_the_published_configuration() -> None:
    config = resolve("shamisa")
    assert config == PretrainConfig()
    assert (config.batch.n_references, config.batch.n_distorted, config.batch.n) == (12, 240, 252)
    assert (config.optimizer.name, config.optimizer.lr) == ("sgd", 1.5e-3)
    assert (config.projector.hidden, config.projector.out) == (3072, 768)
    assert not config.projector_batch_norm
    assert config.graphs.alpha == "fixed"


def test_file_and_options_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'backbone = "resnet18"\n[batch]\nlevels = 4\n[graphs]\nremove = ["transport"]\n'
        "[graphs.sources.knn]\nk = 7\ncoeff = 0.5\n"
    )
    graphs = {"remove": ["transport"], "sources": {"knn": {"k": 7, "coeff": 0.5}}}
    options = {"backbone": "resnet18", "batch": {"levels": 4}, "graphs": graphs}
    by_options = resolve("shamisa", None, options)
    assert resolve("shamisa", path) == by_options
    published = PretrainConfig().graphs.sources
    del published["transport"]
    assert by_options.graphs.sources == {**published, "knn": {"k": 7, "coeff": 0.5}}


def test_another_objective_forgets_the_options_of_the_last(tmp_path: Path) -> None:
    assert resolve("shamisa").objective == {"name": "graph_vicreg"}
    scratch = resolve("scratch").objective
    assert scratch == {
        "name": "graph_vicreg", "variance": 25.0, "invariance": 10.0, "covariance": 2.0,
    }  # fmt: skip
    more = {"objective": {"variance": 3.0}}
    assert resolve("scratch", None, more).objective == {**scratch, "variance": 3.0}
    named = {"objective": {"name": "graph_vicreg", "variance": 3.0}}
    assert resolve("scratch", None, named).objective == {**scratch, "variance": 3.0}
    path = tmp_path / "run.toml"
    path.write_text('[objective]\nname = "infonce"\ntemperature = 0.5\n')
    expected = {"name": "infonce", "temperature": 0.5}
    assert resolve("scratch", path).objective == expected
    cold = {"objective": {"temperature": 0.1}}
    assert resolve("scratch", path, cold).objective == {**expected, "temperature": 0.1}
    back = {"objective": {"name": "graph_vicreg"}}
    assert resolve("scratch", path, back).objective == back["objective"]


def test_options_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("seed = 1\n[optimizer]\nlr = 0.1\nname = 'adamw'\n")
    config = resolve("shamisa", path, {"optimizer": {"lr": 0.2}})
    assert (config.seed, config.optimizer.lr, config.optimizer.name) == (1, 0.2, "adamw")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimiser": {}}, "Did you mean optimizer"),
        ({"batch": {"level": 4}}, "Did you mean levels"),
        ({"optimizer": {"name": "adamm"}}, "Did you mean adamw"),
        ({"steps": 3, "budget": "5m"}, "one of steps, epochs and budget"),
        ({"budget": "5 min"}, "expected a duration"),
        ({"crop": "big"}, "expected a crop"),
        ({"batch": {"levels": 0}}, "at least 1"),
        ({"steps": "many"}, "expected int"),
        ({"graphs": {"remove": ["transprot"]}}, "Did you mean transport"),
        ({"graphs": {"remove": "knn"}}, "graphs.remove: expected a list of names, got 'knn'"),
        ({"graphs": 3}, "graphs: expected a table, got 3"),
        ({"graphs": {"sources": ["knn"]}}, "sources: expected a table"),
        ({"objective": "infonce"}, "the options: objective: expected a table, got 'infonce'"),
        ({"objective": {"name": 3}}, "objective must have a name"),
        (
            {"batch": {"views": 3}},
            "views must be 1 or 2, the scales that photos are cropped at, got 3",
        ),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"epochs": -1}, "epochs must be above 0, got -1"),
        ({"epochs": math.nan}, "epochs must be above 0, got nan"),
        ({"budget": "0s"}, "budget must be above 0, got 0s"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"workers": -1}, "workers must be at least 0, got -1"),
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"optimizer": {"lr": -1.0}}, "optimizer: lr must be above 0, got -1.0"),
        ({"optimizer": {"clip_norm": 0.0}}, "optimizer: clip_norm must be above 0, got 0.0"),
        ({"schedule": {"restart_mult": 0}}, "restart_mult must be at least 1, got 0"),
        ({"schedule": {"restart_epochs": 0}}, "restart_epochs must be above 0, got 0"),
        ({"projector": {"hidden": 0}}, "hidden must be at least 1, got 0"),
        ({"trained": 0.0}, "trained must be above 0, got 0.0"),
        ({"trained": 1.5}, "trained must be at most 1, got 1.5"),
        ({"trained": 0.3, "init": "random"}, "trained below 1 needs a start from trained weights"),
        ({"photos": {"scale": [1.0, 0.5]}}, r"a range within 0 … 1, got \[1.0, 0.5\]"),
    ],
)
def test_what_nobody_knows_is_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve("shamisa", None, options)


def test_an_unknown_preset_and_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean arniqa"):
        resolve("arnika")
    path = tmp_path / "broken.toml"
    path.write_text("a = [1,")
    with pytest.raises(UsageError, match=r"broken\.toml: cannot be read as TOML"):
        resolve("shamisa", path)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_resolved_config_survives_json(preset: str) -> None:
    config = resolve(preset)
    assert from_mapping(PretrainConfig, to_mapping(config), "itself") == config


def test_crop_progression() -> None:
    sides = [crop_side("96:0.25,112:0.6,224", p) for p in (0, 0.24, 0.25, 0.59, 0.6, 1.0)]
    assert sides == [96, 96, 112, 112, 224, 224]
    assert parse_crop("224") == ((224, 1.0),)


@pytest.mark.parametrize(
    "text", ["", "112,224", "224:0.5,112:0.4,96", "16", "a:0.5,224", "8:2,224"]
)
def test_a_wrong_crop_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="crop"):
        parse_crop(text)
