"""Ladders beside human scores: which photos are read, what the loss asks, what comes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetuning_toy import BASE, config, end_of, unreadable
from PIL import Image
from scipy.ndimage import gaussian_filter

from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.ridge import fit_ridge
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.finetuning import ladders as ladders_module
from shamisa_cli.finetuning.judges import judge_on_ladders
from shamisa_cli.finetuning.ladders import (
    LadderPart,
    LadderViews,
    Rungs,
    divide_photos,
    make_ladder_part,
    order_loss,
)
from shamisa_cli.finetuning.run import Finetuned, finetune_split, make_task
from shamisa_cli.finetuning.same_run import begin, check_same_run, run_facts
from shamisa_cli.finetuning.watch import Check, Watch
from shamisa_cli.ladders.extract import extract_ladders
from shamisa_cli.models.store import random_encoder
from shamisa_cli.training.optimizer import make_optimizer


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """12 smooth pictures of their own, unlike the scored ones."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(1)
    paths = []
    for i in range(12):
        pixels = gaussian_filter(rng.normal(0, 1, (96, 96, 3)), (3, 3, 0))
        pixels = 128 + 60 * pixels / pixels.std()
        path = folder / f"{i}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def part(frozen: FrozenEncoder, photos: list[Path]) -> LadderPart:
    return make_ladder_part(frozen, Path(), photos, 0, unreadable)


def test_loss_against_a_loop() -> None:
    scores = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    short = [max(0.0, 0.3 - (row[k] - row[k + 1])) for row in scores.tolist() for k in range(4)]
    assert float(order_loss(scores, 0.3)) == pytest.approx(sum(short) / 24, rel=1e-5)
    assert float(order_loss(torch.tensor([[4.0, 3, 2, 1, 0]]), 1.0)) == 0


def test_a_tenth_of_the_photos_is_held_out(
    frozen: FrozenEncoder, photos: list[Path], tmp_path: Path
) -> None:
    parts = divide_photos([Path(f"{i}.jpg") for i in range(40)], seed=3)
    assert [len(some) for some in parts] == [36, 2, 2]
    assert set().union(*parts) == {Path(f"{i}.jpg") for i in range(40)}
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    skipped: list[PhotoError] = []
    part = make_ladder_part(frozen, tmp_path, [broken, *photos[:5]], 0, skipped.append)
    assert str(broken) in str(skipped[0])
    assert {*part.train, *part.choose.photos, *part.held_photos} == set(photos[:5])
    sizes = [len(part.train), len(part.choose.photos), len(part.held.photos)]
    assert sizes == [3, len(DISTORTIONS), len(DISTORTIONS)]
    with pytest.raises(UsageError, match=f"{tmp_path}: 4 photos; ladders need at least 5"):
        make_ladder_part(frozen, tmp_path, [broken, *photos[:4]], 0, skipped.append)


def test_rungs_are_the_engines_levels_of_one_place(photos: list[Path]) -> None:
    views = LadderViews(photos[:5], BASE.protocol, config(ladders=3))
    made = [rungs for number in range(8) for rungs in views[number]]
    again = views[7]
    assert all(torch.equal(a, b) for a, b in zip(made[-1].pixels, again[-1].pixels, strict=True))
    full = [rungs.pixels[0] for rungs in made]
    assert {tuple(pixels.shape) for pixels in full} == {(5, 3, 64, 64)}
    loss = [(pixels[0].float() - pixels[4].float()).abs().mean() for pixels in full]
    assert min(loss) > 0.5  # every one of the 24 distortions is among them, and each does harm


def test_every_photo_and_distortion_comes_equally_often(
    photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    def noted(photo: Image.Image, name: str, seed: int) -> list[Image.Image]:
        shown.append(name)
        return [photo] * 5

    read: list[Path] = []
    monkeypatch.setattr(ladders_module, "ladder_images", noted)
    original = ladders_module.decode
    monkeypatch.setattr(ladders_module, "decode", lambda path: read.append(path) or original(path))
    views = LadderViews(photos, BASE.protocol, config(ladders=4))
    for number in range(6):
        assert len(views[number]) == 4
    assert sorted(shown) == sorted(DISTORTIONS)
    assert sorted(read) == sorted(2 * photos)


def test_without_weight_it_is_plain_regression(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    part: LadderPart,
    tmp_path: Path,
) -> None:
    """Bit for bit."""
    ends = []
    for weight, ladders in ((1.0, None), (0.0, part)):
        out, settings = tmp_path / f"{weight}", config(epochs=0.5, ladder_weight=weight)
        finetune_split(frozen, found, split, settings, out, ladders=ladders)
        ends.append(end_of(out))
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(values, ends[1][name]) for name, values in ends[0].items())


def test_photos_held_out_are_not_read_in_training(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    tuned: Finetuned,
    part: LadderPart,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And a run with other photos is not gone on with."""
    read: set[Path] = set()
    opened = Path.open

    def spied(self: Path, *args: Any, **options: Any) -> Any:
        read.add(self)
        return opened(self, *args, **options)

    monkeypatch.setattr(Path, "open", spied)
    original = ladders_module.decode
    monkeypatch.setattr(ladders_module, "decode", lambda path: read.add(path) or original(path))
    settings = config(ladders=2, epochs=1.5, checks=1)
    made = finetune_split(frozen, found, split, settings, tmp_path, ladders=part)
    assert read >= set(part.train)
    assert not read & set(part.held_photos)
    assert made.checks[0].srcc == tuned.checks[0].srcc
    assert [check.in_order is not None for check in made.checks] == [True, True]
    log = (tmp_path / "log.jsonl").read_text()
    assert '"regression"' in log
    assert '"ladder"' in log
    other = dataclasses.replace(part, train=part.train[1:])
    with pytest.raises(UsageError, match="another photos for ladders"):
        finetune_split(frozen, found, split, settings, tmp_path, ladders=other)


def test_training_puts_ladders_in_order(
    frozen: FrozenEncoder, found: DatasetFeatures, split: Split, part: LadderPart
) -> None:
    """Of photos held out, by the heads as they are."""
    settings = config(ladders=4, ladder_weight=3.0, lr=5e-3)
    task = make_task(frozen, found, split, settings, 10.0, part.train)
    assert task.ladders is not None
    head = task.model.weights[task.model.mean_head, 0]

    def in_order() -> float:
        encoder = task.model.encoder.eval()
        tuned = frozen.with_encoder(encoder)
        photos = [*dict.fromkeys(part.choose.photos), *part.held_photos]
        ladders = extract_ladders(tuned, photos, unreadable)
        return float((np.diff((ladders.features @ head).numpy(), axis=1) < 0).mean())

    before = in_order()
    optimizer = make_optimizer(task.model, settings.optimizer)
    for number in range(12):
        task.model.train()
        batch: list = [*task.views[number], *task.ladders[number]]
        loss = task.loss(task.model, batch)
        assert loss.total.item() == pytest.approx(
            loss.terms["regression"].item() + 3 * loss.terms["ladder"].item(), rel=1e-5
        )
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    assert in_order() > before + 0.1


def test_the_kept_state_is_the_best_by_scores_and_order_together(
    frozen: FrozenEncoder, found: DatasetFeatures, tmp_path: Path
) -> None:
    """A little is lost in the order of scores, much is won in the order of ladders."""
    watch = Watch(tmp_path, 0.80, 0.70)
    fit = torch.ones(found.features.shape[-1], dtype=torch.float64), 1.0
    encoder = random_encoder(BASE, seed=2)
    for check in (Check(5, 0.78, 0.80), Check(9, 0.85, 0.71)):
        watch.look(check, encoder if check.step == 5 else frozen.encoder, fit)
    assert watch.best.step == 5
    kept = watch.kept(frozen.encoder)[0].backbone.state_dict()
    assert all(torch.equal(kept[key], each) for key, each in encoder.backbone.state_dict().items())
    again = Watch(tmp_path, 0.80, 0.70)
    again.resume(9)
    assert again.checks == watch.checks


def test_order_of_the_ladders_that_choose(
    frozen: FrozenEncoder, found: DatasetFeatures, split: Split, part: LadderPart
) -> None:
    train = found.features[split.train], found.dataset.scores[split.train]
    w, _ = fit_ridge(*train, 10.0)
    again = frozen.with_encoder(random_encoder(BASE, seed=2))
    photos = list(dict.fromkeys(part.choose.photos))
    by_other = extract_ladders(again, photos, unreadable)
    for tuned, ladders in ((None, part.choose), (again, by_other)):
        scores = (ladders.features.double() @ w).numpy()
        in_order = np.mean([row[k] > row[k + 1] for row in scores for k in range(4)])
        assert part.in_order(tuned, w) == pytest.approx(in_order)


def test_ladders_are_judged_by_the_mean_of_all_heads(
    frozen: FrozenEncoder, found: DatasetFeatures, split: Split, part: LadderPart
) -> None:
    """And the gap is of the score range, in standard scores."""
    task = make_task(frozen, found, split, config(ladder_gap=10.0), 10.0, part.train)
    train = found.dataset.scores[split.train]
    low, high = found.dataset.info.score_range
    assert task.gap == pytest.approx(0.1 * (high - low) / float(train.std(correction=0)))
    assert task.ladders is not None
    rungs = task.ladders[0][0]
    assert isinstance(rungs, Rungs)
    heads = [task.model(rungs.pixels, torch.full((5,), k)) for k in range(5)]
    of_mean = task.model(rungs.pixels, torch.full((5,), task.model.mean_head))
    torch.testing.assert_close(of_mean, torch.stack(heads).mean(0), atol=1e-5, rtol=1e-4)


def test_figures_of_photos_held_out(
    frozen: FrozenEncoder, found: DatasetFeatures, split: Split, tuned: Finetuned, part: LadderPart
) -> None:
    """Against a loop over the ladders."""
    other = random_encoder(BASE, seed=2)
    tuned = dataclasses.replace(tuned, encoder=other, best=4)
    both = judge_on_ladders(tuned, frozen, found, split, part)
    train = found.features[split.train], found.dataset.scores[split.train]
    heads = {"probe": fit_ridge(*train, tuned.probe.strength), "tuned": tuned.fit}
    again = frozen.with_encoder(other)
    made = {"probe": part.held, "tuned": extract_ladders(again, part.held_photos, unreadable)}
    for name, (w, _) in heads.items():
        scores = (made[name].features.double() @ w).numpy()
        in_order = np.mean([row[k] > row[k + 1] for row in scores for k in range(4)])
        assert getattr(both, name)["in_order"] == pytest.approx(in_order)
    assert both.probe != both.tuned


def test_a_run_of_an_older_version_goes_on(
    frozen: FrozenEncoder, found: DatasetFeatures, split: Split, tmp_path: Path
) -> None:
    facts = run_facts(frozen, found, split, config())
    older = {k: v for k, v in facts["config"].items() if not k.startswith("ladder")}
    begin(tmp_path, {**facts, "config": older})
    check_same_run(tmp_path, facts)
    begin(tmp_path / "other", {**facts, "config": {**older, "images": 99}})
    with pytest.raises(UsageError, match="another images"):
        check_same_run(tmp_path / "other", facts)


def test_ladders_are_part_of_what_a_run_is_made_with(
    frozen: FrozenEncoder, found: DatasetFeatures, split: Split, part: LadderPart, tmp_path: Path
) -> None:
    """Unless they weigh nothing."""
    plain = run_facts(frozen, found, split, config())
    begin(tmp_path, run_facts(frozen, found, split, config(), part))
    with pytest.raises(UsageError, match="another photos for ladders"):
        check_same_run(tmp_path, plain)
    chosen_by_others = dataclasses.replace(part, choose=part.held)
    with pytest.raises(UsageError, match="another photos that choose"):
        check_same_run(tmp_path, run_facts(frozen, found, split, config(), chosen_by_others))
    without = config(ladder_weight=0.0)
    facts = (run_facts(frozen, found, split, without, each) for each in (None, part))
    assert next(facts) == next(facts)
