"""Heads that are fitted on ladders and edits leak nothing, and come into order; calibration."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.evaluate import evaluate
from shamisa_cli.evaluation.ridge import fit_ridge
from shamisa_cli.evaluation.splits import random_splits
from shamisa_cli.ladders.calibration import calibration_knots, with_calibration
from shamisa_cli.ladders.edits import AS_IT_IS, EDITS, EditedPhotos
from shamisa_cli.ladders.fit import fit_with_lessons
from shamisa_cli.ladders.heads import divide_ladders, evaluate_with_lessons
from shamisa_cli.ladders.ladder import Ladders, score_ladders
from shamisa_cli.ladders.lessons import (
    ALLOWED,
    AS_THEY_ARE,
    BEST,
    WORST,
    LessonOptions,
    make_lessons,
)
from shamisa_cli.models.head import Head, HeadInfo, to_score

SIZE = 7
STRENGTHS = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64)
RANGE = (0.0, 100.0)
ALONE = LessonOptions(5.0, 2.0, 0.0, 0.0, 0.0)


def _ladders(n_photos: int, per_photo: int = 2, seed: int = 1) -> Ladders:
    generator = torch.Generator().manual_seed(seed)
    n = n_photos * per_photo
    falling = torch.linspace(1, 0, 5)[None, :, None] * torch.ones(SIZE)
    noise = 0.2 * torch.randn(n, 5, SIZE, generator=generator)
    damage = torch.linspace(0, 0.4, 5) + 0.01 * torch.rand(n, 5, generator=generator)
    photos = tuple(Path(f"{i // per_photo}.png") for i in range(n))
    return Ladders(falling + noise, damage, ("jpeg", "darken") * (n // 2), photos)


def _edits(ladders: Ladders) -> EditedPhotos:
    generator = torch.Generator().manual_seed(7)
    photos = tuple(dict.fromkeys(ladders.photos))
    names = (AS_IT_IS, *EDITS)
    rows = {name: torch.randn(len(photos), SIZE, generator=generator) for name in names}
    return EditedPhotos(rows, photos)


def _scored(n: int = 60) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, 3, SIZE, generator=generator)
    return features, 50 + 10 * features[:, :, 0].mean(1) + 3 * torch.randn(n, generator=generator)


@pytest.mark.parametrize("n_photos", [5, 12, 50])
def test_no_photo_is_in_two_parts(n_photos: int) -> None:
    parts = divide_ladders(_ladders(n_photos))
    photos = [set(part.photos) for part in parts]
    assert sum(map(len, photos)) == len(set.union(*photos)) == n_photos
    assert len(photos[1]) == len(photos[2]) == round(0.2 * n_photos)
    assert len(parts[0].features) == 2 * len(photos[0])


def test_weight_0_is_the_plain_evaluation_with_the_same_strengths() -> None:
    features, scores = _scored()
    splits = random_splits([str(i) for i in range(60)], n_splits=3)
    plain = evaluate(features, scores, splits, STRENGTHS)
    flat = _ladders(2)
    flat = replace(flat, features=torch.zeros_like(flat.features))
    lessons = make_lessons(_ladders(5), None, replace(ALONE, weight=0.0), RANGE)
    weighted = evaluate_with_lessons(features, scores, splits, lessons, flat, STRENGTHS)
    for a, b in zip(plain, weighted, strict=True):
        np.testing.assert_allclose(b.validation, a.validation, atol=1e-9)
        assert b.strength == a.strength
        np.testing.assert_allclose(b.predictions, a.predictions)
        assert b.measures == pytest.approx(a.measures)


def test_each_split_is_a_fit_of_its_own() -> None:
    """Starting from another split's weights leaves no trace of that split."""
    features, scores = _scored()
    splits = random_splits([str(i) for i in range(60)], n_splits=3)
    ladders = _ladders(5)
    lessons = make_lessons(ladders, _edits(ladders), LessonOptions(), RANGE)
    each = evaluate_with_lessons(features, scores, splits, lessons, _ladders(4, seed=2), STRENGTHS)
    for split, result in zip(splits, each, strict=True):
        train = features[split.train], scores[split.train]
        w, b = fit_with_lessons(*train, result.strength, lessons)
        expected = features[split.test].double().mean(1) @ w + b
        np.testing.assert_allclose(result.predictions, expected, rtol=1e-6)


def test_ladders_are_scored_by_the_regressor() -> None:
    ladders = _ladders(3)
    up = torch.ones(SIZE, dtype=torch.float64)
    results = score_ladders(ladders, up)
    by_hand = (ladders.features.double().sum(-1).diff(dim=1) < 0).double().mean()
    assert results["all"].in_order == pytest.approx(float(by_hand))
    assert score_ladders(ladders, -up)["all"].tau == pytest.approx(-results["all"].tau)


def test_ladders_come_into_order() -> None:
    """Severity moves the features along a direction that the scores know nothing of."""
    features, scores = _scored()
    rising = _ladders(6)
    rising = replace(rising, features=-rising.features)
    plain, _ = fit_ridge(features, scores, 0.7)
    lessons = make_lessons(rising, None, replace(ALONE, weight=10.0), RANGE)
    ordered, _ = fit_with_lessons(features, scores, 0.7, lessons)
    after, before = (score_ladders(rising, w)["all"].in_order for w in (ordered, plain))
    assert after > 0.9 > before


def test_pairs_are_of_neighbors_and_of_both_ends() -> None:
    ladders = _ladders(2, per_photo=1)
    levels = ladders.features.double()
    made = make_lessons(ladders, None, replace(ALONE, drop=9.0), (0.0, 50.0)).pairs
    assert made.rows.shape == (10, SIZE)
    assert made.wanted.tolist() == [1.0] * 8 + [4.5] * 2  # percent of the range
    torch.testing.assert_close(made.rows[5], levels[1, 1] - levels[1, 2])
    torch.testing.assert_close(made.rows[9], levels[1, 0] - levels[1, 4])
    assert make_lessons(ladders, None, ALONE, RANGE).pairs.wanted.tolist() == [2.0] * 8


def test_edits_are_compared_with_their_own_photo() -> None:
    ladders = _ladders(3)
    ladders = replace(ladders, distortions=("white_noise", "darken") * 3)
    edits = _edits(ladders)
    lessons = make_lessons(ladders, edits, LessonOptions(), RANGE)
    photo = edits.features[AS_IT_IS].double()
    second = ladders.features[:, 1].double()
    pairs, at = lessons.pairs, 24
    torch.testing.assert_close(pairs.rows[at : at + 6], photo.repeat_interleave(2, 0) - second)
    torch.testing.assert_close(pairs.rows[at + 6 : at + 9], second[::2] - photo)
    assert pairs.wanted[at + 6 : at + 9].tolist() == [-ALLOWED["white_noise"]] * 3
    torch.testing.assert_close(pairs.rows[at + 9 :][:3], photo - edits.features["blur"].double())
    mirrored = edits.features["mirror"].double() - photo
    torch.testing.assert_close(lessons.changes.rows[-3:], mirrored)
    assert not lessons.changes.wanted.any()


def test_proxies_fall_with_damage_from_the_best_to_the_worst() -> None:
    ladders = _ladders(3)
    proxies = make_lessons(ladders, _edits(ladders), LessonOptions(), (1.0, 5.0)).proxies
    scores = 100 * (proxies.wanted - 1) / 4
    damage, of_levels = ladders.damage[:, 1:].flatten(), scores[: 6 * 4]
    assert of_levels[damage.argsort()].diff().max() < 0
    assert of_levels.min() > WORST
    assert of_levels.max() == pytest.approx(BEST)
    assert scores[6 * 4 :].tolist() == pytest.approx([BEST] * 3)
    share = proxies.shares[6 * 4 :].sum() / proxies.shares.sum()
    assert float(share) == pytest.approx(AS_THEY_ARE)


def test_other_good_photos_are_proxies_beside_those_of_the_ladders() -> None:
    """All photos as they are count alike, and as much together as without the others."""
    ladders, others = _ladders(3), torch.randn(4, SIZE)
    edits = replace(_edits(ladders), others=others)
    few = make_lessons(ladders, _edits(ladders), LessonOptions(), RANGE).proxies
    many = make_lessons(ladders, edits, LessonOptions(), RANGE).proxies
    levels = 6 * 4
    torch.testing.assert_close(many.rows[:-4], few.rows)
    torch.testing.assert_close(many.rows[-4:], others.double())
    assert many.wanted[levels:].tolist() == pytest.approx([BEST] * 7)
    for proxies in (few, many):
        share = proxies.shares[levels:].sum() / proxies.shares.sum()
        assert float(share) == pytest.approx(AS_THEY_ARE)
    assert len(set(many.shares[levels:].tolist())) == 1
    basis = torch.linalg.qr(torch.randn(SIZE, 2, dtype=torch.float64))[0]
    part = edits.select({edits.photos[1]}).project(basis)
    torch.testing.assert_close(part.as_they_are[1:], others.double() @ basis)
    assert len(part.as_they_are) == 5


raws = st.lists(st.floats(-1e3, 1e3).map(lambda v: round(v, 2)), min_size=1, max_size=9)


@given(raws, raws)
def test_calibration_is_monotone_or_refused(strongest: list[float], pristine: list[float]) -> None:
    groups = np.array(strongest), np.array(pristine)
    low, high = (float(np.median(each)) for each in groups)
    if not low < high:
        with pytest.raises(UsageError, match=f"cannot be calibrated.*{low:.1f}.*{high:.1f}"):
            calibration_knots(*groups)
        return
    knots = calibration_knots(*groups)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(knots))
    assert (knots[0][1], knots[-1][1]) == (0.0, 100.0)
    assert to_score(low, knots).score == pytest.approx(20)
    assert to_score(high, knots).score == pytest.approx(80)


def test_scores_follow_a_logistic_curve() -> None:
    knots = calibration_knots(np.array([30.0]), np.array([60.0]))
    for raw in np.linspace(-20, 110, 50):
        at = np.log(4) * (raw - 45) / 15
        assert to_score(float(raw), knots).score == pytest.approx(100 / (1 + np.exp(-at)), abs=0.6)


def test_a_head_of_scores_that_fall_is_calibrated_upside_down() -> None:
    info = HeadInfo("a", "b", (0.0, 90.0), False, 5, SIZE, 1.0)
    head = with_calibration(Head(torch.zeros(SIZE), 0.0, info), np.array([20.0]), np.array([70.0]))
    assert to_score(90.0 - 20.0, head.info.knots).score == pytest.approx(20)
    assert to_score(90.0 - 70.0, head.info.knots).score == pytest.approx(80)
