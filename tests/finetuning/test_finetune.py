"""Fine-tuning on human scores: where it starts, what it sees, what it keeps."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetuning_toy import BASE, config, end_of, unreadable
from sklearn.linear_model import Ridge
from torch import Tensor

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.evaluation.evaluate import STRENGTHS, evaluate
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.measures import MEASURES, plcc
from shamisa_cli.evaluation.splits import Split, random_splits
from shamisa_cli.finetuning import run as run_module
from shamisa_cli.finetuning.config import EPOCHS, resolve
from shamisa_cli.finetuning.model import FinetuneModel, cross_fit, regression_loss
from shamisa_cli.finetuning.run import Finetuned, agreement, finetune_split, predict
from shamisa_cli.finetuning.study import Outcome, finetune_splits, paired, smaller
from shamisa_cli.finetuning.task import Finetuning
from shamisa_cli.finetuning.views import LabeledViews
from shamisa_cli.finetuning.watch import Check
from shamisa_cli.finetuning.whole import finetune_whole, save_model, whole_split
from shamisa_cli.models.heads import load_head
from shamisa_cli.models.store import load_encoder, random_encoder, save_encoder
from shamisa_cli.training.optimizer import make_optimizer


def test_no_epoch_is_the_linear_probe(
    frozen: FrozenEncoder, found: DatasetFeatures, split: Split, tmp_path: Path
) -> None:
    made = finetune_split(frozen, found, split, config(epochs=0), tmp_path / "run")
    assert made is not None
    expected = evaluate(found.features, found.dataset.scores, [split])[0]
    assert made.measures == expected.measures
    assert np.array_equal(made.predictions, expected.predictions)
    assert made.best == 0


def test_each_image_is_judged_by_a_head_that_never_saw_it(
    found: DatasetFeatures, split: Split
) -> None:
    """Against scikit-learn's ridge on standard scores, fold by fold."""
    scores = found.dataset.scores
    heads = cross_fit(found.features, scores[:, None], split.train, 2.0, 4, seed=1)
    train = split.train.numpy()
    y = scores.double().numpy()
    mean, deviation = y[train].mean(), y[train].std()
    x = found.features.double().numpy()
    assert sorted(heads.fold[split.train].bincount().tolist()) == [7, 7, 7, 7]
    assert set(heads.fold[torch.cat([split.val, split.test])].tolist()) == {-1}
    for number in range(4):
        others = [i for i in train if heads.fold[i] != number]
        rows = x[others].reshape(-1, x.shape[-1])
        wanted = np.repeat((y[others] - mean) / deviation, x.shape[1])
        ridge = Ridge(alpha=2.0 * len(others) / len(train)).fit(rows, wanted)
        np.testing.assert_allclose(heads.weights[number, 0], ridge.coef_, atol=1e-5)
        assert float(heads.biases[number]) == pytest.approx(ridge.intercept_, abs=1e-5)


def test_versions_of_one_reference_are_judged_by_one_head(
    found: DatasetFeatures, split: Split
) -> None:
    scores, n = found.dataset.scores[:, None], len(found.dataset.images)

    def folds(references: list[str] | None) -> Tensor:
        return cross_fit(found.features, scores, split.train, 2.0, 4, 1, references).fold

    pairs = [f"photo {i // 2}" for i in range(n)]
    dealt = folds(pairs)
    of_each = {name: {int(dealt[i]) for i in split.train if pairs[i] == name} for name in pairs}
    assert all(len(heads) <= 1 for heads in of_each.values())
    assert set(dealt[split.train].tolist()) == {0, 1, 2, 3}
    alone = folds(None)
    assert torch.equal(alone, folds([str(i) for i in range(n)]))
    assert torch.equal(alone, folds(["the same"] * n))
    two = folds([f"photo {i % 2}" for i in range(n)])
    assert set(two[split.train].tolist()) == {0, 1}


def test_the_model_starts_as_its_heads_on_the_features(
    frozen: FrozenEncoder, found: DatasetFeatures, split: Split
) -> None:
    scores = found.dataset.scores[:, None]
    heads = cross_fit(found.features, scores, split.train, 2.0, 5, seed=1)
    model = FinetuneModel(frozen.encoder, heads, trained=0.5).eval()
    for some in LabeledViews(found.dataset.images, split.train, BASE.protocol, config())[0]:
        fold = heads.fold[some.images]
        h = torch.cat([frozen.encoder(pixels.float() / 255) for pixels in some.pixels], 1)
        expected = [heads.weights[k] @ h[i] + heads.biases[k] for i, k in enumerate(fold)]
        torch.testing.assert_close(model(some.pixels, fold), torch.stack(expected))


def test_the_best_look_at_the_validation_part_is_kept(tuned: Finetuned) -> None:
    assert len(tuned.checks) == 3
    best = max(tuned.checks, key=lambda check: check.srcc)
    assert tuned.best == best.step
    assert [check.step for check in tuned.checks] == [0, 4, 8]


def test_agreement_is_a_mean_around_the_strength() -> None:
    values = np.linspace(0, 1, len(STRENGTHS))
    near = [v for v, s in zip(values, STRENGTHS.tolist(), strict=True) if 0.5 <= s <= 50]
    assert agreement(values, 5.0) == pytest.approx(sum(near) / len(near))
    assert agreement(np.full(len(STRENGTHS), np.nan), 5.0) == -2


def test_training_lowers_the_loss(
    frozen: FrozenEncoder, found: DatasetFeatures, split: Split
) -> None:
    settings, scores = config(lr=3e-3), found.dataset.scores[:, None]
    heads = cross_fit(found.features, scores, split.train, 10.0, 5, seed=1)
    model = FinetuneModel(frozen.encoder, heads, trained=1.0)
    views = LabeledViews(found.dataset.images, split.train, BASE.protocol, settings)
    task = Finetuning(settings, model, heads, views, scores, torch.device("cpu"))
    optimizer = make_optimizer(task.model, settings.optimizer)
    losses = []
    for number in range(40):
        loss = task.loss(task.model.train(), views[number])
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.total.item())
    assert np.mean(losses[-8:]) < 0.7 * np.mean(losses[:8])


def test_validation_and_test_images_are_never_seen(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scores of the test part may be anything, and no batch holds an image of either."""
    seen: set[int] = set()
    original = LabeledViews.__getitem__

    def spied(self: LabeledViews, number: int) -> list:
        views = original(self, number)
        seen.update(image for some in views for image in some.images.tolist())
        return views

    monkeypatch.setattr(LabeledViews, "__getitem__", spied)
    other = found.dataset.scores.clone()
    other[split.test] = torch.linspace(0, 90, len(split.test), dtype=torch.float64)
    changed = dataclasses.replace(found, dataset=dataclasses.replace(found.dataset, scores=other))
    looked: list[list[int]] = []

    def predicted(*arguments: Any) -> np.ndarray:
        looked.append(arguments[2].tolist())
        return predict(*arguments)

    monkeypatch.setattr(run_module, "predict", predicted)
    first = finetune_split(frozen, found, split, config(), tmp_path / "a")
    looks = keep_the_end(monkeypatch)
    second = finetune_split(frozen, changed, split, config(), tmp_path / "b")
    assert seen == set(split.train.tolist())
    assert looks == [check.srcc for check in first.checks]
    ends = [end_of(tmp_path / name) for name in "ab"]
    assert all(torch.equal(values, ends[1][name]) for name, values in ends[0].items())
    assert (second.best, looked) == (8, [split.test.tolist()])  # at the end, and once


def keep_the_end(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let every look at the validation part be better than the last; what they are comes here."""
    looks: list[float] = []
    original = agreement

    def better(*arguments: Any) -> float:
        looks.append(original(*arguments))
        return float(len(looks))

    monkeypatch.setattr(run_module, "agreement", better)
    return looks


def test_a_resumed_run_ends_as_one_that_was_not_stopped(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    tuned: Finetuned,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = itertools.count()
    original = run_module.agreement

    def killed(*args: Any) -> float:
        if next(calls) == 2:  # after the start's and the first look
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(run_module, "agreement", killed)
    with pytest.raises(KeyboardInterrupt):
        finetune_split(frozen, found, split, config(), tmp_path)
    monkeypatch.setattr(run_module, "agreement", original)
    made = finetune_split(frozen, found, split, config(), tmp_path)
    assert made is not None
    assert made.checks == tuned.checks
    assert np.array_equal(made.predictions, tuned.predictions)
    with pytest.raises(UsageError, match="another optimizer, images"):
        finetune_split(frozen, found, split, config(lr=1e-4, images=5), tmp_path)
    other = frozen.with_encoder(random_encoder(BASE, seed=2))
    with pytest.raises(UsageError, match="another model:"):
        finetune_split(other, found, split, config(), tmp_path)
    half = dataclasses.replace(found.dataset, scores=found.dataset.scores / 2)
    with pytest.raises(UsageError, match="another dataset:"):
        finetune_split(frozen, dataclasses.replace(found, dataset=half), split, config(), tmp_path)


def test_shuffled_labels_teach_nothing(
    frozen: FrozenEncoder, found: DatasetFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MEASURES, "plcc_logistic", plcc)  # its fit to noise takes most of the time
    order = torch.randperm(40, generator=torch.Generator().manual_seed(5))
    shuffled = dataclasses.replace(
        found, dataset=dataclasses.replace(found.dataset, scores=found.dataset.scores[order])
    )
    splits = random_splits(found.dataset.references, 6, seed=1)
    once, tell = config(checks=1), (print, lambda r: None)
    made = list(finetune_splits(frozen, shuffled, splits, [1.0], once, tmp_path, *tell))
    assert abs(np.median([each.tuned["srcc"] for each in made])) < 0.45  # 8 test images each
    honest = list(finetune_splits(frozen, found, splits[:2], [1.0], once, tmp_path / "h", *tell))
    assert min(each.tuned["srcc"] for each in honest) > 0.6


def test_way_out_of_a_run_that_diverged(
    frozen: FrozenEncoder, found: DatasetFeatures, split: Split, tmp_path: Path
) -> None:
    """The same folder takes no other rate, so it is not advised."""
    with pytest.raises(ShamisaError, match=r"not finite at step \d\. Begin in another out"):
        finetune_split(frozen, found, split, config(lr=1e30), tmp_path)
    task = run_module.make_task(frozen, found, split, config(), 2.0)
    assert task.way_out(5).endswith("or resume from step 5 with precision fp32")


def test_finished_splits_are_not_done_again(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def study() -> list[Outcome]:
        return list(
            finetune_splits(
                frozen, found, [split], [0.5], config(epochs=0), tmp_path, print, lambda r: None
            )
        )

    first = study()
    monkeypatch.setattr("shamisa_cli.finetuning.study.finetune_split", None)
    assert study() == first
    run = tmp_path / "share-050" / "split-00" / "run.json"
    facts = json.loads(run.read_text())
    run.write_text(json.dumps({**facts, "config": {**facts["config"], "seed": 9}}))
    with pytest.raises(UsageError, match="another seed: resume with the same"):
        study()
    run.unlink()
    with pytest.raises(UsageError, match=r"does not say in run\.json what it was made with"):
        study()


def test_loss_against_a_loop() -> None:
    g = torch.Generator().manual_seed(0)
    found, wanted = 2 * torch.randn(30, 2, generator=g), torch.randn(30, 2, generator=g)
    both = zip(found.flatten().tolist(), wanted.flatten().tolist(), strict=True)
    distances = [abs(a - b) for a, b in both]
    total = sum(0.5 * d * d if d < 1 else d - 0.5 for d in distances)
    assert float(regression_loss(found, wanted)) == pytest.approx(total / 30, rel=1e-5)


@pytest.mark.parametrize("crop", [None, 48])
def test_views_are_of_the_photos_and_repeat(
    found: DatasetFeatures, split: Split, crop: int | None
) -> None:
    def made() -> list[tuple[Tensor, ...]]:
        views = LabeledViews(found.dataset.images, split.train, BASE.protocol, config(crop=crop))
        return [some.pixels for some in views[5]]

    first, again = made(), made()
    side = crop or 64
    for pixels, same in zip(first, again, strict=True):
        assert [tuple(scale.shape[1:]) for scale in pixels] == [(3, side, side)] * 2
        assert all(torch.equal(a, b) for a, b in zip(pixels, same, strict=True))
    views = LabeledViews(found.dataset.images, split.train, BASE.protocol, config(crop=crop))
    epoch = [i for n in range(4) for some in views[n] for i in some.images.tolist()]
    assert len(set(epoch[:28])) == 28  # an epoch has each image once


def test_whole_photos_of_two_sizes(scores: Path, split: Split) -> None:
    data = open_dataset(str(scores), None)
    protocol = ViewingProtocol(512, None, 64, "whole", (1.0,))
    views = LabeledViews(data.images, split.train, protocol, config())[0]
    assert {tuple(some.pixels[0].shape[2:]) for some in views} == {(90, 80), (90, 90)}
    assert sum(len(some.images) for some in views) == 7


def test_a_model_from_all_images(
    frozen: FrozenEncoder, found: DatasetFeatures, tmp_path: Path
) -> None:
    folder = finetune_whole(frozen, BASE, found, config(), tmp_path / "mine")
    assert folder == tmp_path / "mine" / "model"
    encoder, model = load_encoder(folder)
    head = load_head(folder, model.default_head)
    assert (model.name, head.info.dataset, len(model.seen)) == ("mine", "scores", 40)
    again = FrozenEncoder("again", encoder, model.protocol, device="cpu")
    features = again.dataset(found.dataset, unreadable).features
    raws = [head.raw(each) for each in features]
    agreement = np.corrcoef(raws, found.dataset.scores.numpy())[0, 1]
    assert agreement > 0.8


def test_the_saved_head_says_what_the_kept_state_said(
    found: DatasetFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a start as a model folder stores it, in float16; a trained state is kept."""
    keep_the_end(monkeypatch)
    save_encoder(tmp_path / "start", random_encoder(BASE, seed=1), BASE)
    encoder, model = load_encoder(tmp_path / "start")
    stored = FrozenEncoder("stored", encoder, model.protocol, device="cpu")
    own = stored.dataset(found.dataset, unreadable)
    split = whole_split(own, 0)
    made = finetune_split(stored, own, split, config(), tmp_path / "run")
    assert made.best > 0
    folder = save_model(made, model, own, split, config(), tmp_path / "run")
    again, kept = load_encoder(folder)
    head = load_head(folder, kept.default_head)
    features = FrozenEncoder("again", again, kept.protocol, device="cpu").dataset(
        found.dataset, unreadable
    )
    everything = torch.arange(len(found.dataset.images))
    said = predict(stored.with_encoder(made.encoder), own, everything, made.fit)
    np.testing.assert_allclose([head.raw(each) for each in features.features], said, atol=1e-5)
    training = json.loads((folder / "config.json").read_text())["training"]
    (check,) = [each for each in made.checks if each.step == made.best]
    assert training["validation_agreement"] == check.srcc


def test_paired_differences() -> None:
    def outcome(probe: float, tuned: float) -> Outcome:
        return Outcome(0, 1.0, 3, [Check(0, 0.5)], 1.0, {"srcc": probe}, {"srcc": tuned})

    values = [(0.5, 0.6), (0.5, 0.55), (0.7, 0.68), (0.4, 0.49), (0.3, 0.33)]
    made = paired([outcome(*each) for each in values])
    assert made.mean == pytest.approx(0.05)
    assert (made.ahead, made.splits) == (4, 5)
    signs = itertools.product((1, -1), repeat=5)  # ranks 1…5 of |gain|; −0.02 has rank 1
    sums = [sum(r for s, r in zip(sign, range(1, 6), strict=True) if s < 0) for sign in signs]
    assert made.p == pytest.approx(2 * np.mean([s <= 1 for s in sums]))
    assert np.isnan(paired([outcome(0.5, 0.5)]).p)


def test_smaller_training_parts_are_nested(split: Split) -> None:
    parts = [smaller(split, share, seed=0, number=2) for share in (0.2, 0.6, 1.0)]
    assert [len(part.train) for part in parts] == [6, 17, 28]
    assert set(parts[0].train.tolist()) < set(parts[1].train.tolist()) < set(split.train.tolist())
    assert all(torch.equal(part.test, split.test) for part in parts)


def test_config(tmp_path: Path) -> None:
    assert resolve(None, {}).epochs == EPOCHS
    assert resolve(None, {"budget": "5m"}).epochs is None
    file = tmp_path / "run.toml"
    file.write_text("images = 4\n[optimizer]\nlr = 1e-5\n")
    made = resolve(file, {"lr": 2e-5, "epochs": None})
    assert (made.images, made.optimizer.lr, made.optimizer.name) == (4, 2e-5, "adamw")
    with pytest.raises(UsageError, match="Did you mean images"):
        resolve(None, {"image": 4})
    with pytest.raises(UsageError, match="regress"):
        resolve(None, {"method": "regres"})
    with pytest.raises(UsageError, match="at most 1"):
        resolve(None, {"trained": 1.5})
