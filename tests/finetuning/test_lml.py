"""Method lml: the contrast of places against worked numbers, and what a run makes of it."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetuning_toy import BASE, WHOLE, config, end_of, halved, unreadable
from torch import Tensor, nn

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.encoders.halves import Early
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.finetuning import run as run_module
from shamisa_cli.finetuning.config import ContrastConfig, FinetuneConfig
from shamisa_cli.finetuning.contrast import LocalContrast, Nodes, momentum_for
from shamisa_cli.finetuning.contrasted import check_contrast, identities
from shamisa_cli.finetuning.kept import keep_early, looked
from shamisa_cli.finetuning.run import Finetuned, finetune_split, make_task
from shamisa_cli.finetuning.task import Finetuning
from shamisa_cli.finetuning.views import LabeledViews, Views
from shamisa_cli.models.store import random_encoder
from shamisa_cli.training.task import Loss

SMALL: dict[str, Any] = {"places": 2, "side": 48, "hidden": 16, "out": 8}


def lml(**contrast: Any) -> FinetuneConfig:
    return short(method="lml", contrast={**SMALL, **contrast})


def short(**changes: Any) -> FinetuneConfig:
    """Two steps, each with a look after it."""
    return halved(epochs=0.5, **changes)


def task_of(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split, settings: FinetuneConfig
) -> Finetuning:
    kept = keep_early(whole, seen, settings)
    return make_task(whole, seen, split, settings, 2.0, kept=kept)


def contrast_of_unit_vectors(
    overlap: float = 0.0,
    anchor: str = "teacher",
    identity: Sequence[int] = (0, 1),
    **sources: dict[str, Any],
) -> float:
    """Two photos with one other place each: the vectors of the method's worked example."""
    every: dict[str, dict[str, Any]] = {
        "salient_pair": {}, "same_image_apart": {}, "other_image_apart": {}
    }  # fmt: skip
    settings = ContrastConfig(
        temperature=0.5,
        places=1,
        anchor=anchor,
        sources={**every, **sources},  # type: ignore[arg-type]
    )
    plain, shares = torch.tensor([[-1.0, 1.0], [1.0, -1.0]]), torch.tensor([0.0, 1.0])
    made = LocalContrast(
        random_encoder(BASE), plain, shares, torch.tensor(identity), settings, 10, 1, seed=0
    )
    made.projector, made.teacher_projector = nn.Sequential(), nn.Sequential()
    h = torch.tensor([[0.6, 0.8], [0.0, 1.0], [0.8, 0.6], [-1.0, 0.0]])
    teacher, image = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 1, 1])
    shared = torch.tensor([1.0, overlap, 1.0, 0.0])
    return float(made(Nodes(h, teacher, image, torch.tensor([0, 1]), shared)))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 1.327377),
        ({"same_image_apart": {"coeff": 0.0}}, 1.240246),
        ({"other_image_apart": {"coeff": 0.0}}, 0.263282),
        ({"same_image_apart": {"coeff": 0.5}}, 1.284840),
        ({"same_image_apart": {"soft": True}, "overlap": 0.25}, 1.313912),
        ({"anchor": "student"}, 1.474380),
    ],
)
def test_worked_numbers(settings: dict[str, Any], expected: float) -> None:
    assert contrast_of_unit_vectors(**settings) == pytest.approx(expected, abs=2e-6)


NONE = {"coeff": 0.0}


def test_all_crops_of_a_photo_alike_against_loops() -> None:
    """The paradigm that LML-IQA argues against: each place attracts all others of its photo."""
    teacher = {0: [(1.0, 0.0)], 1: [(0.0, 1.0)]}
    student = {0: [(0.6, 0.8), (0.0, 1.0)], 1: [(0.8, 0.6), (-1.0, 0.0)]}
    losses = []
    for photo, places in student.items():
        for at, (x, y) in enumerate(places):
            alike = [*teacher[photo], *places[:at], *places[at + 1 :]]
            others = sum(math.exp((x * a + y * b) / 0.5) for a, b in student[1 - photo])
            each = [math.exp((x * a + y * b) / 0.5) for a, b in alike]
            losses.append(sum(math.log(1 + others / e) for e in each) / len(each))
    sources = {"salient_pair": NONE, "same_image_apart": NONE, "reiqa": {}}
    found = contrast_of_unit_vectors(anchor="every", **sources)
    assert found == pytest.approx(sum(losses) / len(losses), abs=2e-6)
    assert found != pytest.approx(contrast_of_unit_vectors(**sources), abs=0.1)


def test_two_files_of_one_content_are_one_photo() -> None:
    """So they hold nothing apart: the control are two photos."""
    alone = {"same_image_apart": NONE}
    assert contrast_of_unit_vectors(**alone) > 0.1
    assert contrast_of_unit_vectors(identity=(0, 0), **alone) == 0
    assert identities(["a", "b", "a", "c", "b"]).tolist() == [0, 1, 0, 3, 1]


def test_a_place_that_is_the_most_salient_one_again_repels_nothing() -> None:
    """As every place of a photo that is no larger than a place."""
    apart = contrast_of_unit_vectors(overlap=0.99)
    assert apart == contrast_of_unit_vectors()
    same = contrast_of_unit_vectors(overlap=1.0)
    assert same < apart - 0.01
    assert same > contrast_of_unit_vectors(same_image_apart=NONE)  # that of the other photo


def test_the_contrast_is_scale_free_and_standard() -> None:
    """Features are made standard by the training part's mean and deviation."""
    features = 5 + 3 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    features[:, 3] = 2.0  # never varies
    made = LocalContrast(
        random_encoder(BASE),
        features,
        torch.zeros(50),
        torch.arange(50),
        ContrastConfig(**SMALL),
        10,
        1,
        seed=0,
    )
    found = made.standard(features)
    assert torch.allclose(found.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(found[:, :3].std(0, correction=0), torch.ones(3), atol=1e-4)
    assert not found[:, 3].any()


def test_teacher_is_a_moving_average_in_closed_form() -> None:
    """Under a constant student ξ_n = θ + mⁿ·(ξ_0 − θ)."""
    settings = ContrastConfig(**SMALL, momentum=0.9)
    start, student = random_encoder(BASE, seed=1), random_encoder(BASE, seed=2)
    made = LocalContrast(
        start, torch.randn(9, 8), torch.zeros(9), torch.arange(9), settings, None, 1, seed=0
    )
    first = copy.deepcopy(made.projector)
    with torch.no_grad():
        for each in made.projector.parameters():
            each += 1.0
    for _ in range(7):
        made.update(student)
    for begun, constant, teacher in (
        (start, student, made.teacher),
        (first, made.projector, made.teacher_projector),
    ):
        parts = (begun.parameters(), constant.parameters(), teacher.parameters())
        for before, fixed, after in zip(*parts, strict=True):
            assert torch.allclose(after, fixed + 0.9**7 * (before - fixed), atol=1e-5)


def test_momentum_follows_the_length_of_the_run() -> None:
    found = [momentum_for(steps) for steps in (1, 100, 290, 10**6, None)]
    assert found == pytest.approx([0.9, 0.9, 1 - 10 / 290, 0.999, 0.99])


def test_teacher_has_no_gradient_and_stays_in_evaluation(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split
) -> None:
    task = task_of(whole, seen, split, lml(weight=1.0))
    contrast = task.model.train().contrast
    assert contrast is not None
    loss = task.loss(task.model, [*task.views[0], *turned(task, 0)])
    loss.total.backward()
    assert set(loss.terms) == {"regression", "contrast"}
    assert loss.terms["contrast"] > 0
    teachers = [*contrast.teacher.parameters(), *contrast.teacher_projector.parameters()]
    assert all(each.grad is None for each in teachers)
    assert not any(module.training for module in contrast.teacher.modules())
    assert all(float(each.grad.abs().max()) > 0 for each in contrast.projector.parameters())
    before = [each.clone() for each in teachers]
    with torch.no_grad():
        for each in (*task.model.encoder.parameters(), *contrast.projector.parameters()):
            each += 0.1
    task.after_step(loss, 1)
    assert all(not torch.equal(a, b) for a, b in zip(before, teachers, strict=True))


def turned(task: Finetuning, number: int) -> list[Any]:
    """What the teacher gets of a mini-batch."""
    *_, last = next(task.batches(iter([(number, 0.0)])))
    return [last]


@pytest.fixture(scope="module")
def run(
    whole: FrozenEncoder,
    seen: DatasetFeatures,
    split: Split,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Finetuned, Path]:
    """A run of method lml, and its folder."""
    out = tmp_path_factory.mktemp("lml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "plot_training", lambda *_: None)
        return finetune_split(whole, seen, split, lml(), out), out


def test_without_weight_it_is_regress_bit_for_bit(
    whole: FrozenEncoder,
    seen: DatasetFeatures,
    split: Split,
    tmp_path: Path,
    run: tuple[Finetuned, Path],
) -> None:
    plain = finetune_split(whole, seen, split, short(), tmp_path / "regress")
    found = finetune_split(whole, seen, split, lml(weight=0.0), tmp_path / "lml")
    assert found.checks == plain.checks
    assert np.array_equal(found.predictions, plain.predictions)
    runs = (tmp_path / "regress", tmp_path / "lml", run[1])
    regress, without, with_weight = (end_of(out, "encoder.") for out in runs)
    assert all(torch.equal(regress[name], without[name]) for name in regress)
    assert any(not torch.equal(regress[name], with_weight[name]) for name in regress)


def test_a_resumed_run_ends_as_one_that_was_not_stopped(
    whole: FrozenEncoder,
    seen: DatasetFeatures,
    split: Split,
    run: tuple[Finetuned, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The teacher, too, goes on as it was."""
    calls, original = itertools.count(), run_module.agreement

    def killed(*args: Any) -> float:
        if next(calls) == 2:  # after the start's and the first look
            raise KeyboardInterrupt
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "agreement", killed)
        with pytest.raises(KeyboardInterrupt):
            finetune_split(whole, seen, split, lml(), tmp_path)
    made = finetune_split(whole, seen, split, lml(), tmp_path)
    assert made.checks == run[0].checks
    ends = [end_of(out) for out in (run[1], tmp_path)]
    assert any(name.startswith("contrast.teacher.") for name in ends[0])
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(values, ends[1][name]) for name, values in ends[0].items())
    with pytest.raises(UsageError, match="another contrast"):
        finetune_split(whole, seen, split, lml(temperature=0.5), tmp_path)


def test_only_photos_of_the_training_part_are_seen(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Student and teacher see the same photos, mirrored otherwise; and no score of others."""
    task = task_of(whole, seen, split, lml())
    looked: list[tuple[int, bool]] = []
    original = LabeledViews.__getitem__

    def spied(self: LabeledViews, number: int) -> list[Any]:
        views = original(self, number)
        for some in views:
            looked.extend(zip(some.images.tolist(), some.mirrored.tolist(), strict=True))
        return views

    monkeypatch.setattr(LabeledViews, "__getitem__", spied)
    batches = task.batches(iter((number, 0.0) for number in range(8)))
    for _ in range(4):
        next(batches)
        half = len(looked) // 2
        student, teacher = looked[:half], looked[half:]
        assert sorted(teacher) == sorted((image, not mirrored) for image, mirrored in student)
        assert {image for image, _ in looked} <= set(split.train.tolist())
        looked.clear()
    assert task.model.contrast is not None
    known = ~task.model.contrast.shares.isnan()
    assert known.nonzero().flatten().tolist() == sorted(split.train.tolist())


def test_no_statistic_is_of_other_parts(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split
) -> None:
    """NaN in all that is known of them: targets, heads and the contrast stay as they are."""
    others = torch.cat([split.val, split.test])
    features, scores = seen.features.clone(), seen.dataset.scores.clone()
    features[others], scores[others] = math.nan, math.nan
    unknown = replace(seen, features=features, dataset=replace(seen.dataset, scores=scores))
    for settings in (short(), lml()):
        clean, task = (make_task(whole, each, split, settings, 2.0) for each in (seen, unknown))
        assert torch.equal(task.targets[split.train], clean.targets[split.train])
        assert task.targets[others].isnan().all()
        buffers = dict(task.model.named_buffers())
        assert {"weights", "biases"} <= buffers.keys()
        assert ("contrast.deviation" in buffers) == settings.contrasts
        for name, values in clean.model.named_buffers():
            assert torch.equal(buffers[name], values), name


@pytest.mark.parametrize("apart", [True, False])
def test_a_photo_that_is_twice_in_a_mini_batch_is_turned_each_time(
    apart: bool, whole: FrozenEncoder, seen: DatasetFeatures, split: Split
) -> None:
    """Seven images of three: seen as it is and mirrored, one is turned the other way both times."""
    settings = lml()
    kept = keep_early(whole, seen, settings) if apart else None
    look = partial(LabeledViews, seen.dataset.images, split.train[:3], whole.protocol, settings)
    alone: dict[tuple[int, bool], Tensor] = {}
    for turned in (False, True):
        for views in (views for number in range(6) for views in look(turned=turned)[number]):
            for k, view in enumerate(
                zip(views.images.tolist(), views.mirrored.tolist(), strict=True)
            ):
                one = slice(k, k + 1)
                some = Views((views.pixels[0][one],), views.images[one], views.mirrored[one])
                alone[view] = cells_of(looked(kept, [some])[0][0][0])[0]
    assert len(alone) == 6

    def mirrored(cells: Tensor, image: int) -> bool:
        ways = [way for way in (False, True) if torch.equal(cells, alone[image, way])]
        assert len(ways) == 1
        return ways[0]

    both = set()
    for number in range(6):
        ours = looked(kept, look()[number])
        theirs = looked(kept, look(turned=True)[number], turned=True)
        for (student, images), (teacher, same) in zip(ours, theirs, strict=True):
            assert torch.equal(images, same)
            ways = []
            for k, image in enumerate(images.tolist()):
                ways.append((image, mirrored(cells_of(student[0])[k], image)))
                assert mirrored(cells_of(teacher[0])[k], image) != ways[-1][1]
            both |= {image for image, way in ways if (image, not way) in ways}
    assert both


def cells_of(seen: Tensor | Early) -> Tensor:
    return (seen.maps if isinstance(seen, Early) else seen).float()


@pytest.mark.parametrize("apart", [True, False])
def test_mixed_precision_changes_little(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split, apart: bool
) -> None:
    found = []
    for precision in ("fp32", "bf16"):
        settings = short(method="lml", contrast=SMALL, precision=precision)
        kept = keep_early(whole, seen, settings) if apart else None
        task = make_task(whole, seen, split, settings, 2.0, kept=kept)
        loss = task.loss(task.model.train(), next(task.batches(iter([(0, 0.0)]))))
        loss.total.backward()
        found.append(float(loss.terms["contrast"]))
    assert found[1] == pytest.approx(found[0], rel=0.1)


@pytest.mark.parametrize("saliency", ["spectral", "center", "random"])
def test_every_saliency_trains(
    saliency: str, whole: FrozenEncoder, seen: DatasetFeatures, split: Split
) -> None:
    assert torch.isfinite(first_loss(whole, seen, split, lml(saliency=saliency)).total)


def first_loss(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split, settings: FinetuneConfig
) -> Loss:
    """Of the first mini-batch."""
    task = task_of(whole, seen, split, settings)
    return task.loss(task.model.train(), next(task.batches(iter([(0, 0.0)]))))


def test_attention_of_a_vit_trains(scores: Path, split: Split) -> None:
    """It sees photos whole, also those that are no whole number of patches."""
    base = replace(WHOLE, backbone="test_vit", feature_size=64, pooling="last", statistics="none")
    vit = FrozenEncoder("vit", random_encoder(base, seed=1), base.protocol, device="cpu")
    seen = vit.dataset(open_dataset(str(scores), None), unreadable)
    settings = lml(saliency="attention")
    check_contrast(settings, vit)
    assert first_loss(vit, seen, split, settings).terms["contrast"] > 0


@pytest.mark.parametrize("sources", [{}, {"same_image_apart": {"coeff": 0.0}}])
def test_a_mini_batch_of_one_image(
    sources: dict[str, Any], whole: FrozenEncoder, seen: DatasetFeatures, split: Split
) -> None:
    """No other photo is there to be held apart from."""
    settings = short(method="lml", images=1, contrast={**SMALL, "sources": sources})
    loss = first_loss(whole, seen, split, settings)
    assert torch.isfinite(loss.total)
    assert bool(loss.terms["contrast"] > 0) == (not sources)


def test_kept_layers_change_little(
    whole: FrozenEncoder, seen: DatasetFeatures, split: Split
) -> None:
    """The nodes are of the same photos; windows of maps know a little of what is around them."""
    found: list[Tensor] = []
    for kept in (None, keep_early(whole, seen, lml())):
        task = make_task(whole, seen, split, lml(saliency="center"), 2.0, kept=kept)
        batch = next(task.batches(iter([(0, 0.0)])))
        found.append(task.loss(task.model.eval(), batch).terms["contrast"])
    assert float(found[1]) == pytest.approx(float(found[0]), rel=0.5)


def test_what_is_refused(frozen: FrozenEncoder, whole: FrozenEncoder) -> None:
    with pytest.raises(UsageError, match="leave crop out"):
        config(method="lml", crop=64)
    with pytest.raises(UsageError, match="method lml chooses places of whole photos"):
        check_contrast(lml(), frozen)
    check_contrast(halved(), frozen)
    twice = FrozenEncoder("twice", whole.encoder, replace(whole.protocol, scales=(1.0, 0.5)))
    with pytest.raises(UsageError, match="at one scale, and this model has 2"):
        check_contrast(lml(), twice)
    with pytest.raises(UsageError, match="needs a ViT with a class token"):
        check_contrast(lml(saliency="attention"), whole)
    nothing = {name: {"coeff": 0.0} for name in ("same_image_apart", "other_image_apart")}
    with pytest.raises(UsageError, match="nothing is held apart"):
        contrast_of_unit_vectors(**nothing)
    with pytest.raises(UsageError, match="momentum must be below 1"):
        lml(momentum=1.0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("dist_dist", "dist_dist: needs composition, which labeled photos lack"),
        ("transport", "transport: learns by a loss of its own"),
        ("salient_pear", "Did you mean salient_pair"),
    ],
)
def test_sources_that_cannot_do_with_labeled_photos(
    source: str, message: str, whole: FrozenEncoder
) -> None:
    """Refused before any feature is made."""
    with pytest.raises(UsageError, match=message):
        check_contrast(lml(sources={source: {}}), whole)
