"""Ablations by name: what each changes, which go together, and that every one of them trains."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
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
from shamisa_cli.errors import UsageError
from shamisa_cli.graphs.source import GraphInputs, engine_inputs
from shamisa_cli.pretraining.ablations import ABLATIONS, keys_of, parse_ablation, settings_text
from shamisa_cli.pretraining.batches import step_metadata
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.model import PretrainLoss, PretrainModel
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.settings import from_mapping, to_mapping
from shamisa_cli.training.parallel import Ranks

TINY: dict[str, Any] = {
    "backbone": "test_resnet",
    "crop": "32",
    "batch": {"tiny_batches": 1, "references": 2, "groups": 2, "levels": 3},
    "projector": {"hidden": 16, "out": 8},
    "graphs": {"sources": {"transport": {"prototypes": 4}}},
}
PUBLISHED = tuple(PretrainConfig().graphs.sources)
NAMES = (
    *("A1", "A2", "A3", "A4"),
    *(f"B{k}" for k in range(1, 9)),
    *("C1", "C2", "C3", "D1", "D2", "D3", "D4", "E1", "E2", "F1", "G1", "H1"),
)


@cache
def encoder() -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder.from_name("test_resnet")


def step(*ablations: str, base: dict[str, Any] = TINY) -> tuple[PretrainModel, PretrainLoss]:
    """The loss of one mini-batch, with its gradients."""
    settings = resolve("shamisa", base=base, ablations=ablations)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PretrainModel(encoder(), settings)
    draws = torch.Generator().manual_seed(1)
    references = torch.rand(settings.batch.n_references, 3, 32, 32, generator=draws)
    metadata = step_metadata(settings, 0)
    loss = model(distort_batch(references, metadata, settings.batch, draws), metadata, Ranks())
    model.zero_grad()
    loss.total.backward()
    return model, loss


@cache
def plain() -> PretrainLoss:
    return step()[1]


def test_the_list_is_whole() -> None:
    assert tuple(ABLATIONS) == NAMES
    for name in NAMES:
        ablation = ABLATIONS[name]
        assert ablation.what
        assert ablation.why.endswith((".", "?"))
        if ablation.parameter:
            assert isinstance(ablation.value(), int)


@pytest.mark.parametrize("name", NAMES)
def test_an_ablation_changes_its_own_keys_only(name: str) -> None:
    published, changed = (
        to_mapping(resolve("shamisa")),
        to_mapping(resolve("shamisa", ablations=[name])),
    )
    assert from_mapping(PretrainConfig, changed, "itself") == resolve("shamisa", ablations=[name])
    differing = {key for key in published if published[key] != changed[key]}
    assert differing == {key[0] for key in keys_of(ABLATIONS[name].changes)}
    for table in differing - {"objective"}:
        inner = {key[1] for key in keys_of(ABLATIONS[name].changes) if key[0] == table}
        inner = {"sources" if key == "remove" else key for key in inner}
        assert {k for k in published[table] if published[table][k] != changed[table][k]} == inner


@pytest.mark.parametrize("name", NAMES)
def test_every_ablation_trains(name: str) -> None:
    model, loss = step(name)
    assert bool(loss.total.isfinite())
    weights = next(model.encoder.backbone.parameters())
    assert weights.grad is not None
    assert float(weights.grad.abs().max()) > 0
    if name not in ("A4", "G1"):  # of which only gradients differ, at first
        assert not torch.equal(loss.total, plain().total)


def test_the_sources_that_are_left_out() -> None:
    def left(*names: str) -> tuple[str, ...]:
        return tuple(resolve("shamisa", ablations=names).graphs.sources)

    for k, name in enumerate(PUBLISHED, 1):
        assert set(PUBLISHED) - set(left(f"B{k}")) == {name}
    assert left("B7") == PUBLISHED[:4]
    assert left("B8") == PUBLISHED[4:]
    assert left("B1", "B6") == PUBLISHED[1:5]
    torch.testing.assert_close(step("B2")[1].combined.alpha, torch.full((5,), 1 / 5))


def test_no_scale_views_has_the_full_scale_half_of_the_batch() -> None:
    """And the balance of the terms: each is as it would be, were that half all there is."""
    _, loss = step("E1")
    layout = resolve("shamisa", base=TINY, ablations=["E1"]).batch
    assert (layout.views, len(loss.z)) == (1, layout.n)
    z = loss.z.detach().double()
    hinge = (1 - (z.var(0) + 1e-4).sqrt()).clamp_min(0).mean().item()
    assert loss.terms["variance"].item() == pytest.approx(hinge, rel=1e-4)
    squared = z.T.cov().square()
    off = (squared.sum() - squared.diagonal().sum()).item() / z.shape[1]
    assert loss.terms["covariance"].item() == pytest.approx(2 * off, rel=1e-3)


def test_infonce_over_the_published_graphs() -> None:
    """Every pair that A does not join is a negative, of weight 1."""
    _, loss = step("H1")
    attraction = loss.combined.graph.dense().double()
    apart = (attraction == 0).double().fill_diagonal_(0)
    assert torch.equal(loss.combined.repulsion.dense().double(), apart)
    z = F.normalize(loss.z.detach().double(), dim=1)
    e: Tensor = (z @ z.T / 0.1).exp()
    losses = []
    for i, row in enumerate(attraction):
        joined = row.nonzero()[:, 0].tolist()
        each = [-(e[i, j] / (e[i, j] + (apart[i] * e[i]).sum())).log() * row[j] for j in joined]
        losses.append(sum(float(x) for x in each) / float(row.sum()))
    assert loss.terms["contrast"].item() == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_a_balanced_alpha_leaves_the_loss_as_it_is() -> None:
    balanced = {**TINY, "graphs": {**TINY["graphs"], "alpha": "balanced"}}
    model, loss = step(base=balanced)
    settings = resolve("shamisa", base=balanced)
    assert torch.equal(loss.total, plain().total)
    mixture: Any = model.graphs.mixture
    expected = torch.autograd.grad(
        model.graphs(_inputs(loss, settings)).balance, mixture.layers[-1].bias
    )
    torch.testing.assert_close(mixture.layers[-1].bias.grad, expected[0])
    model.zero_grad()


def _inputs(loss: PretrainLoss, settings: PretrainConfig) -> GraphInputs:
    h, z = loss.h.detach(), loss.z.detach()
    return engine_inputs(settings.batch, step_metadata(settings, 0), h, z)


def test_preset_base_ablations_file_options(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[graphs.sources.knn]\ncoeff = 0.5\n[objective]\ntemperature = 0.2\n")
    base = {
        "batch": {"levels": 4},
        "optimizer": {"lr": 0.5},
        "graphs": {"sources": {"knn": {"k": 9}}},
    }
    config = resolve(
        "scratch",
        path,
        {"optimizer": {"lr": 0.1}},
        base=base,
        ablations=["E2:levels=3", "C1", "H1"],
    )
    assert (config.batch.levels, config.batch.groups) == (3, 2)
    assert config.graphs.sources["knn"] == {"k": 15, "coeff": 0.5}
    assert config.objective == {"name": "infonce", "temperature": 0.2}
    assert (config.optimizer.name, config.optimizer.lr) == ("adamw", 0.1)
    assert "degradation" in resolve("scratch", ablations=["B8"]).graphs.sources


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["A11"], "unknown ablation 'A11'. Did you mean A1"),
        (["a1"], "unknown ablation 'a1'. Did you mean A1"),
        (["Z9"], "unknown ablation 'Z9'. Known: A1, A2"),
        (["A2", "A3"], "ablations A2 and A3 both change graphs.alpha: leave one of them out"),
        (["C1", "C1:k=7"], "ablations C1 and C1:k=7 both change graphs.sources.knn.k"),
        (["B5", "B7"], "ablations B5 and B7 both change graphs.remove.knn"),
        (["B5", "C1:k=7"], "ablation C1:k=7 changes knn, which B5 leaves out"),
        (["F1", "B8", "A1"], "ablation F1 changes ref_dist, which B8 leaves out"),
        (["B7", "B8"], "ablations B7 and B8 leave no graph source"),
        (["A1:k=7"], "ablation A1:k=7: A1 has no parameter"),
        (["C1:n=7"], "ablation C1:n=7: expected C1:k=15, with a value of your own"),
        (["C1:"], "ablation C1:: expected C1:k=15"),
        (["C1:k=many"], "ablation C1:k=many: k: expected int, got 'many'"),
        (["D1:max_functions=9"], "max_functions must be 1 to 7, got 9"),
        (["C3:topk_each=0"], "topk_each must be at least 1, got 0"),
        (["A1", "G1"], "detach = false needs binary = false"),
        (["A4", "G1"], 'detach = false needs alpha other than "learned"'),
    ],
)
def test_what_does_not_go_together_is_refused(names: Sequence[str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        resolve("shamisa", ablations=names)


@pytest.mark.parametrize(
    ("names", "over", "key"),
    [
        (["A1", "A2"], {"graphs": {"alpha": "fixed"}}, "graphs.alpha clashes with ablation A2"),
        (["C1"], {"graphs": {"sources": {"knn": {"k": 3}}}}, "knn.k clashes with ablation C1"),
        (
            ["B5"],
            {"graphs": {"sources": {"knn": {"coeff": 3}}}},
            "knn.coeff clashes with ablation B5",
        ),
        (["B5"], {"graphs": {"sources": {"knn": {}}}}, "sources.knn clashes with ablation B5"),
        (
            ["H1"],
            {"objective": {"name": "graph_vicreg"}},
            "objective.name clashes with ablation H1",
        ),
    ],
)
def test_what_comes_over_an_ablation_may_not_undo_it(
    names: Sequence[str], over: dict[str, Any], key: str
) -> None:
    with pytest.raises(UsageError, match=f"the options: .*{key}: leave one of them out"):
        resolve("shamisa", options=over, ablations=names)


def test_sources_that_are_not_there_cannot_be_changed() -> None:
    message = "the ablations C1 change graph source 'knn', which this configuration has not"
    with pytest.raises(UsageError, match=message):
        resolve("arniqa", ablations=["C1"])


def test_some_go_together() -> None:
    config = resolve("shamisa", ablations=["A1", "B1", "F1", "B2", "D2", "D3", "E1"])
    assert set(config.graphs.sources) == {"ref_ref", "dist_dist", "knn", "transport"}
    assert config.graphs.sources["dist_dist"] == {"decay": "reciprocal"}
    assert (config.compositions.discrete, config.compositions.severities) == (True, "uniform")


def test_a_run_by_the_command(tmp_path: Path, sample_photos: list[Image.Image]) -> None:
    photos, out = tmp_path / "photos", tmp_path / "run"
    photos.mkdir()
    for k, photo in enumerate(sample_photos):
        photo.crop((100, 60, 260, 220)).save(photos / f"{k}.png")
    file = tmp_path / "run.toml"
    file.write_text(
        'backbone = "test_resnet"\ninit = "random"\nworkers = 0\ndevice = "cpu"\ncrop = "64"\n'
        "[batch]\ntiny_batches = 1\nreferences = 2\ngroups = 2\n"
        "[projector]\nhidden = 16\nout = 8\n"
    )
    names = ("A1", "C1:k=3", "D4", "E1", "E2")
    arguments = ["pretrain", "--photos", str(photos), "--out", str(out), "--config", str(file)]
    arguments += [word for name in names for word in ("--ablation", name)]
    done = CliRunner().invoke(app, [*arguments, "--alpha", "balanced", "--steps", "2"])
    assert done.exit_code == 0, done.output
    for name in names:
        assert f"ablation {name}: {parse_ablation(name).what}" in done.output
    assert "ablation C1:k=3: the neighbors k of each crop in knn; published: 31 " in done.output
    assert "(graphs.sources.knn.k = 3)" in done.output
    kept = json.loads((out / "config.json").read_text())
    assert kept["graphs"]["binary"]
    assert kept["graphs"]["sources"]["knn"] == {"k": 3}
    assert (kept["batch"]["views"], kept["batch"]["levels"]) == (1, 2)
    assert kept["graphs"]["alpha"] == "balanced"
    fewer = [*arguments[:-2], "--alpha", "balanced", "--steps", "3", "--resume"]
    refused = CliRunner().invoke(app, fewer)
    assert refused.exit_code == 2
    assert "was made with another batch" in refused.output


def test_the_page_has_the_same_list() -> None:
    page = Path(__file__).parents[2] / "docs" / "experiments" / "ablations.md"
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line[:1] == "|"][2:]
    expected = []
    for name, ablation in ABLATIONS.items():
        keys = "; ".join(f"`{line}`" for line in settings_text(ablation.changes))
        what = ablation.what.replace("|", "\\|")
        expected.append(f"| {name} | {what} | {ablation.why} | {keys} |")
    assert rows == expected


def test_the_command_that_lists_them() -> None:
    listed = CliRunner().invoke(app, ["ablations"])
    assert listed.exit_code == 0
    for name, ablation in ABLATIONS.items():
        assert f"{name:<4} {ablation.what}\n" in listed.output
        assert ", ".join(settings_text(ablation.changes)) in listed.output
    assert "     another value: C1:k=15\n" in listed.output
