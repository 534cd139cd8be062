"""`pretrain --objective infonce`: published losses with their true negatives, and whole runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from shamisa_cli.cli import app
from shamisa_cli.distortions.engine import distort_batch
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.pretraining.batches import step_metadata
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.model import PretrainLoss, PretrainModel
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.training.parallel import Ranks

TAU = 0.2
BATCH = {"tiny_batches": 2, "references": 2, "groups": 2, "levels": 3}


def config(preset: str, **objective: Any) -> PretrainConfig:
    options = {
        "backbone": "test_resnet",
        "crop": "32",
        "batch": BATCH,
        "projector": {"hidden": 16, "out": 8},
        "objective": {"name": "infonce", "temperature": TAU, **objective},
        "graphs": {"sources": {preset: {"negatives": True}}},
    }
    return resolve(preset, None, options)


@cache
def encoder() -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder.from_name("test_resnet")


def loss_of(settings: PretrainConfig) -> tuple[PretrainModel, PretrainLoss]:
    """What the model makes of random photos that the engine degraded."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PretrainModel(encoder(), settings)
    draws = torch.Generator().manual_seed(1)
    references = torch.rand(settings.batch.n_references, 3, 32, 32, generator=draws)
    metadata = step_metadata(settings, 0)
    crops = distort_batch(references, metadata, settings.batch, draws)
    return model, model(crops, metadata, Ranks())


def cross_entropy(z: Tensor, partner: list[int]) -> float:
    """NT-Xent (SimCLR): which of all other rows is each row's partner?"""
    z = F.normalize(z.double(), dim=1)
    logits = (z @ z.T / TAU).fill_diagonal_(-torch.inf)
    return F.cross_entropy(logits, torch.tensor(partner)).item()


def places(settings: PretrainConfig) -> list[tuple[int, ...]]:
    """(tiny-batch, view, reference, group, level) of each crop; group and level -1: a reference."""
    return [tuple(row) for row in settings.batch.coordinates.tolist()]


def test_vicreg_pairs_with_negatives_are_nt_xent() -> None:
    """Two views of each image, 2N rows: the other view is the partner."""
    settings = config("vicreg")
    at = places(settings)
    partner = [at.index((t, 1 - view, r, g, level)) for t, view, r, g, level in at]
    _, loss = loss_of(settings)
    expected = cross_entropy(loss.z.detach(), partner)
    assert loss.terms["contrast"].item() == pytest.approx(expected, rel=1e-5)
    assert loss.total == loss.terms["contrast"]


def test_arniqa_with_negatives_is_its_own_loss() -> None:
    """NT-Xent over pairs of photos degraded alike, half-scale versions among the negatives."""
    settings = config("arniqa")
    at = places(settings)
    degraded = [k for k, place in enumerate(at) if place[3] >= 0]
    kept = [at[k] for k in degraded]
    partner = [kept.index((t, view, 1 - r, g, level)) for t, view, r, g, level in kept]
    _, loss = loss_of(settings)
    expected = cross_entropy(loss.z.detach()[degraded], partner)
    assert loss.terms["contrast"].item() == pytest.approx(expected, rel=1e-5)


def test_contrique_with_negatives_is_its_own_loss() -> None:
    """log Σ_{k≠i} e^(s_ik/τ) − mean of s_ij/τ over the crops j of i's class, averaged over i."""
    settings = config("contrique", other_positives=True)
    metadata = step_metadata(settings, 0)

    def class_of(place: tuple[int, ...]) -> frozenset[tuple[int, int]]:
        t, _, _, g, level = place
        if g < 0:
            return frozenset()
        functions = metadata.functions[t, g].tolist()
        degrees = metadata.severities[t, g, level].tolist()
        pairs = zip(functions, degrees, strict=True)
        return frozenset((f, round(4 * degree)) for f, degree in pairs if f >= 0)

    classes = [class_of(place) for place in places(settings)]
    assert len(set(classes)) > 3
    _, loss = loss_of(settings)
    z = F.normalize(loss.z.detach().double(), dim=1)
    s = (z @ z.T / TAU).tolist()
    losses = []
    for i, own in enumerate(classes):
        positives = [s[i][j] for j, other in enumerate(classes) if j != i and other == own]
        below = sum(math.exp(s[i][k]) for k in range(len(s)) if k != i)
        losses.append(math.log(below) - sum(positives) / len(positives))
    expected = sum(losses) / len(losses)
    assert loss.terms["contrast"].item() == pytest.approx(expected, rel=1e-5)


def test_gradients_reach_encoder_projector_and_alpha() -> None:
    graphs: Mapping[str, Any] = {
        "alpha": "learned", "sources": {"arniqa": {}, "degradation": {}, "ref_ref": {}},
    }  # fmt: skip
    changed = {"graphs": graphs, "objective": {"name": "infonce"}, "crop": "32", "batch": BATCH}
    options = {"backbone": "test_resnet", "projector": {"hidden": 16, "out": 8}, **changed}
    model, loss = loss_of(resolve("vicreg", None, merged(options)))
    assert loss.terms["auxiliary"] > 0
    torch.testing.assert_close(loss.total, loss.terms["contrast"] + loss.terms["auxiliary"])
    loss.total.backward()
    mixture: Any = model.graphs.mixture
    for weight in (
        next(model.encoder.backbone.parameters()),
        next(model.projector.parameters()),
        mixture.layers[-1].bias,
    ):
        assert weight.grad is not None
        assert float(weight.grad.abs().max()) > 0
    model.zero_grad()


def merged(options: dict[str, Any]) -> dict[str, Any]:
    options["graphs"]["sources"]["vicreg"] = {"negatives": True}
    return options


RUNS = {
    "vicreg": "infonce:temperature=0.1",
    "arniqa": "infonce",
    "contrique": "infonce:other_positives=true",
}


@pytest.mark.parametrize("preset", RUNS)
def test_a_run(tmp_path: Path, sample_photos: list[Image.Image], preset: str) -> None:
    photos, out = tmp_path / "photos", tmp_path / "run"
    photos.mkdir()
    for k, photo in enumerate(sample_photos):
        photo.crop((100, 60, 260, 220)).save(photos / f"{k}.png")
    file = tmp_path / "run.toml"
    file.write_text(
        'backbone = "test_resnet"\ninit = "random"\nworkers = 0\ndevice = "cpu"\n'
        "[batch]\ntiny_batches = 1\nreferences = 2\ngroups = 2\nlevels = 2\n"
        '[projector]\nhidden = 32\nout = 16\n[optimizer]\nname = "adamw"\nlr = 1e-3\n'
    )
    arguments = ["pretrain", "--photos", str(photos), "--out", str(out), "--config", str(file)]
    arguments += ["--preset", preset, "--graph", f"{preset}:negatives=true", "--crop", "64"]
    done = CliRunner().invoke(app, [*arguments, "--objective", RUNS[preset], "--steps", "30"])
    assert done.exit_code == 0, done.output
    assert "objective infonce" in done.output
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    losses = [record["contrast"] for record in records]
    assert sum(losses[-8:]) < sum(losses[:8])
    edges = records[0]["repulsion"]["edges"]
    assert edges == records[0]["repulsion"]["edge_weights"] > records[0]["edges"][preset] > 0
    assert (out / "model" / "model.safetensors").is_file()
    assert list(records[0]["gradients_z"]) == ["contrast"]  # auxiliary is of h
    assert list(records[0]["alignment_z"]) == [preset]
    again = [*arguments, "--objective", "infonce:temperature=0.7", "--steps", "31", "--resume"]
    refused = CliRunner().invoke(app, again)
    assert refused.exit_code == 2
    assert "was made with another objective" in refused.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective", "infonse"], "Did you mean infonce"),
        (["--objective", "infonce:temprature=1"], "Did you mean temperature"),
        (["--objective", "infonce:"], "--objective infonce:: expected name:key=value"),
        (["--objective", "infonce:name=other"], "the name stands first, infonce"),
        (["--objective", "infonce"], "needs a graph source that repels"),
        (["--graph", "vicreg:negatives=true"], "graph source 'vicreg' repels"),
        (["--graph", "vicreg:negatives=3"], "negatives: expected bool, got 3"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, tmp_path: Path) -> None:
    Image.new("RGB", (200, 200)).save(tmp_path / "a.png")
    given = ["pretrain", "--photos", str(tmp_path), "--init", "random", "--out", "run"]
    result = CliRunner().invoke(app, [*given, "--backbone", "test_resnet", *arguments])
    assert result.exit_code == 2
    assert message in result.output
