"""What comes out of the layers that are not trained: once a view, and the same training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetuning_toy import WHOLE, halved

from shamisa_cli.encoders.encoder import train_last
from shamisa_cli.encoders.ends import add_end
from shamisa_cli.encoders.halves import early_half
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.splits import Split, random_splits
from shamisa_cli.finetuning import kept as kept_module
from shamisa_cli.finetuning import run as run_module
from shamisa_cli.finetuning import views as views_module
from shamisa_cli.finetuning.kept import Kept, first_trained_block, keep_early, views_of
from shamisa_cli.finetuning.run import Finetuned, features_of, finetune_split, make_task, rounded
from shamisa_cli.finetuning.study import finetune_splits
from shamisa_cli.models.store import random_encoder
from shamisa_cli.progress import progress_bar


@pytest.fixture(scope="module", autouse=True)
def _no_plots() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "plot_training", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def made(
    whole: FrozenEncoder,
    seen: DatasetFeatures,
    split: Split,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Finetuned, list[float]]:
    """A run, and its losses."""
    return run(whole, seen, split, tmp_path_factory.mktemp("kept"))


def run(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split, out: Path, **changes: object
) -> tuple[Finetuned, list[float]]:
    losses: list[float] = []
    done = finetune_split(
        whole, seen, split, halved(**changes), out, lambda record: losses.append(record["total"])
    )
    return done, losses


def test_gradients_are_those_of_the_whole_encoder(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split
) -> None:
    settings = halved()
    kept = keep_early(whole, seen, settings)
    assert kept is not None
    found = []
    for some in (kept, None):
        task = make_task(whole, seen, split, settings, 2.0, kept=some)
        task.loss(task.model.train(), task.views[0]).total.backward()
        found.append({name: p.grad for name, p in task.model.named_parameters()})
    by_kept, by_whole = found
    trained = {name for name, gradient in by_whole.items() if gradient is not None}
    assert trained
    assert trained == {name for name, gradient in by_kept.items() if gradient is not None}
    for name in trained:
        error = (by_kept[name] - by_whole[name]).norm() / by_whole[name].norm()
        assert error < 1e-2, name


def test_losses_and_result_are_those_of_the_whole_encoder(
    whole: FrozenEncoder,
    seen: DatasetFeatures,
    split: Split,
    made: tuple[Finetuned, list[float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_module, "keep_early", lambda *_: None)
    plain, losses = run(whole, seen, split, tmp_path)
    assert made[1] == pytest.approx(losses, rel=1e-2)
    assert made[1] != losses
    assert [c.srcc for c in made[0].checks] == pytest.approx(
        [c.srcc for c in plain.checks], abs=0.05
    )


def test_keeping_tells_how_far_it_is(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = keep_early(whole, seen, halved())
    assert kept is not None
    kept.fill(views_of(split))
    assert capsys.readouterr().err == ""  # the encoder is quiet
    kept = keep_early(whole, seen, halved())
    assert kept is not None
    kept.quiet, seconds = False, itertools.count(step=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_module, "progress_bar", partial(progress_bar, clock=seconds.__next__))
        kept.fill(views_of(split))
        kept.fill(views_of(split))  # nothing is left to do, or to tell
    count = len({image for image, _ in views_of(split)})
    lines = capsys.readouterr().err.splitlines()
    told = [f"first layers, {done} of {count} photos" for done in range(2, count + 1, 2)]
    assert [line.rsplit(", ", 2)[0] for line in lines] == told


def test_a_check_sees_the_features_of_the_whole_encoder(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split
) -> None:
    kept = keep_early(whole, seen, halved())
    assert kept is not None
    kept.fill(views_of(split))
    tuned = make_task(whole, seen, split, halved(), 2.0).model.encoder
    with torch.no_grad():
        for parameter in tuned.backbone.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * parameter.std() * torch.randn(parameter.shape)
    other = whole.with_encoder(rounded(tuned))
    some = torch.cat([split.val, split.test, split.val])  # kept, computed, and twice
    expected = features_of(other, seen, some)
    found = kept.features_of(other, some)
    moved = (expected - seen.features[some]).norm(dim=2)
    off = (found - expected).norm(dim=2)
    assert (off < 1e-3 * expected.norm(dim=2)).all()
    assert (off < 0.05 * moved).all()


def test_layers_that_are_not_trained_run_once_a_view(
    whole: FrozenEncoder, seen: DatasetFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over two splits; and no mini-batch opens a file."""
    calls: list[torch.Tensor] = []

    def spied(encoder: Any, x: torch.Tensor, joint: Any) -> Any:
        calls.append(x)
        return early_half(encoder, x, joint)

    monkeypatch.setattr(kept_module, "early_half", spied)
    monkeypatch.setattr(views_module, "decode", None)
    splits = random_splits(seen.dataset.references, 2, seed=3)
    studied = finetune_splits(
        whole,
        seen,
        splits,
        [1.0],
        halved(epochs=1.0, checks=1),
        tmp_path,
        print,
        lambda record: None,
    )
    assert len(list(studied)) == 2
    views = {view for split in splits for view in views_of(split)}
    assert len(views) < sum(len(views_of(split)) for split in splits)
    assert len(calls) == len(views)
    assert len({x.numpy().tobytes() for x in calls}) == len(calls)


def test_memory_is_bounded_and_changes_nothing(
    whole: FrozenEncoder,
    seen: DatasetFeatures,
    split: Split,
    made: tuple[Finetuned, list[float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run with little memory, killed and resumed with much, ends bit for bit as one with much."""
    sizes: list[int] = []
    fill = Kept.fill

    def spied(self: Kept, views: Any) -> Any:
        known = fill(self, views)
        found = [early for scales in self._kept.values() for early in scales]
        sizes.append(sum(early.maps.nbytes + early.features.nbytes for early in found))
        assert 0 < len(known) < len(views_of(split))
        return known

    original, calls = run_module.agreement, itertools.count()

    def killed(*args: Any) -> float:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(Kept, "fill", spied)
        patch.setattr(run_module, "agreement", killed)
        with pytest.raises(KeyboardInterrupt):
            run(whole, seen, split, tmp_path, keep_mb=0.5)
    assert 0.3e6 < sizes[0] <= 0.5e6
    resumed, losses = run(whole, seen, split, tmp_path, keep_mb=math.inf)
    assert resumed.checks == made[0].checks
    assert losses == made[1][-len(losses) :]
    assert np.array_equal(resumed.predictions, made[0].predictions)


def test_where_the_first_layers_cannot_be_had_apart(
    whole: FrozenEncoder, seen: DatasetFeatures, frozen: FrozenEncoder, found: DatasetFeatures
) -> None:
    assert keep_early(whole, seen, halved()) is not None
    assert keep_early(whole, seen, halved(crop=48)) is None
    assert keep_early(whole, seen, halved(trained=1.0)) is None
    assert keep_early(frozen, found, halved()) is None  # five crops
    last = FrozenEncoder("toy", frozen.encoder, WHOLE.protocol, device="cpu")
    assert keep_early(last, found, halved()) is None


def test_the_first_trained_block() -> None:
    backbone = random_encoder(WHOLE).backbone
    shares = (0.1, 0.3, 0.5, 0.7, 1.0)
    assert [first_trained_block(backbone, share) for share in shares] == [4, 3, 2, 1, None]
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_the_second_end_is_the_last_layer_of_all() -> None:
    """It is trained with the first one's last stages, and before these."""
    backbone = random_encoder(WHOLE).backbone
    add_end(backbone, 3)
    shares = (0.1, 0.3, 0.5, 0.7, 1.0)
    assert [first_trained_block(backbone, share) for share in shares] == [5, 4, 2, 1, None]
    train_last(backbone, 0.1)
    trained = {name for name, each in backbone.named_parameters() if each.requires_grad}
    assert trained == {
        name for name, _ in backbone.named_parameters() if name.startswith("second.")
    }
