"""Lessons, both fits, and their figures: planted answers are found, and formulas are as written."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from shamisa_cli.explaining.examples import Examples, window_cover
from shamisa_cli.explaining.fit_kinds import (
    evened,
    fit_kinds,
    logistic,
    photos_split,
    presence,
    threshold_of,
)
from shamisa_cli.explaining.fit_places import fit_places, one_cycle
from shamisa_cli.explaining.lessons import ABSENT, KINDS, SHARE, make_lessons, random_part
from shamisa_cli.explaining.measure import (
    mean_average_precision,
    mean_severity_srcc,
    measure,
    overlap,
)
from shamisa_cli.explaining.tones import TONES
from shamisa_cli.explaining.traces import TRACES

MAPS = torch.tensor([0, 0, 1, 1, 2, 2])
"""Of the six features of :func:`planted`."""


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_a_random_part_has_its_share(seed: int) -> None:
    part = random_part(30, 41, torch.Generator().manual_seed(seed))
    share = float(part.float().mean())
    assert SHARE[0] - 0.01 <= share <= SHARE[1] + 0.01


def test_lessons_say_what_was_done_and_where(sample_photos) -> None:
    photo = sample_photos[0].resize((96, 64))
    lessons = list(make_lessons(photo, torch.Generator().manual_seed(0)))
    again = list(make_lessons(photo, torch.Generator().manual_seed(0)))
    singles = ["single", "part"] * 2 + ["single"] * 22
    assert [lesson.what for lesson in lessons] == [
        "as it is",
        *singles,
        *("few", "part", "few", "few", "composition", "composition"),
    ]
    assert [a.picture.tobytes() for a in lessons] == [b.picture.tobytes() for b in again]
    reference = np.asarray(photo)
    assert bool((lessons[0].severities == ABSENT).all())
    assert not lessons[0].mask.any()
    for before, lesson in pairwise(lessons):
        if lesson.what == "single":
            assert int((lesson.severities != ABSENT).sum()) == 1
            assert lesson.mask.all()
        if lesson.what == "few":
            assert int((lesson.severities != ABSENT).sum()) in (2, 3)
        if lesson.what == "part":
            torch.testing.assert_close(lesson.severities, before.severities)
            mixed = np.where(lesson.mask[..., None], np.asarray(before.picture), reference)
            assert (mixed == np.asarray(lesson.picture)).all()
    kinds = [int(lesson.severities.argmax()) for lesson in lessons if lesson.what == "single"]
    assert sorted(kinds) == list(range(24)), "each kind once"
    other = make_lessons(photo, torch.Generator().manual_seed(1))
    others = [int(lesson.severities.argmax()) for lesson in other if lesson.what == "single"]
    assert others[:2] != kinds[:2], "the kinds that are done to a part are drawn"


def test_logistic_regression_is_that_of_scikit_learn() -> None:
    draws = np.random.default_rng(0)
    x = draws.normal(size=(80, 3))
    there = (x @ [1.0, -2.0, 0.5] + draws.normal(size=80) > 0.3).astype(np.float32)
    penalty = 0.02
    oracle = LogisticRegression(C=1 / (2 * penalty * 80), tol=1e-8, max_iter=1000).fit(x, there)
    labels = torch.tensor(there)[:, None]
    found = logistic(torch.tensor(x).float(), labels, torch.ones_like(labels), penalty)[0]
    np.testing.assert_allclose(found[:-1], oracle.coef_[0], atol=2e-3)
    np.testing.assert_allclose(found[-1], oracle.intercept_[0], atol=2e-3)


def test_what_is_hardly_seen_does_not_count() -> None:
    there, judged = presence(torch.tensor([[ABSENT, 0.05, 0.4]]))
    assert there.tolist() == [[0, 0, 1]]
    assert judged.tolist() == [[1, 0, 1]]
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(40, 2, generator=draws)
    labels = (x[:, :1] > 0).float()
    wrong = labels.clone()
    wrong[:10] = 1 - wrong[:10]
    counted = torch.ones_like(labels)
    counted[:10] = 0
    one, other = (logistic(x, each, counted, 0.1) for each in (labels, wrong))
    torch.testing.assert_close(one, other)


def test_few_untouched_photos_are_accused() -> None:
    probabilities = torch.linspace(0, 1, 101)[:, None].repeat(1, 3)
    threshold = threshold_of(probabilities)
    assert threshold == pytest.approx(0.97)
    assert threshold_of(torch.zeros(5, 3)) == 0.5, "never below what is as likely as not"


def test_few_features_of_a_map_count_more_than_many() -> None:
    """Each by 1/n^¾, 1 in the mean square; tones as a map, three times, and traces, twice."""
    weights = evened(torch.tensor([0, 1, 1, 1, 1]))
    assert len(weights) == 5 + TONES + TRACES
    assert float(weights[0] / weights[1]) == pytest.approx(4**0.75)
    assert float(weights[0] / weights[5]) == pytest.approx(TONES**0.75 / 3)
    assert float(weights[0] / weights[-1]) == pytest.approx(TRACES**0.75 / 2)
    assert float(weights.square().mean()) == pytest.approx(1)


def test_a_map_of_few_features_is_heard_among_many() -> None:
    """Two features see the damage, 300 see nothing of it: learned from few pictures.

    The control counts every feature alike.
    """
    examples, unseen = (_among_many(planted(seed, photos=20), seed) for seed in (0, 1))
    places = fit_places(examples, seed=0, epochs=1)

    def found(maps: torch.Tensor) -> float:
        return measure(unseen, fit_kinds(examples, maps, seed=0), places)["severity_srcc"]

    assert found(torch.tensor([0] * 6 + [1] * 300)) > found(torch.tensor([0] * 306)) + 0.1


def _among_many(examples: Examples, seed: int) -> Examples:
    """With 300 more features, which are noise."""
    draws = torch.Generator().manual_seed(100 + seed)
    noise = torch.randn(len(examples.features), 300, generator=draws).half()
    features, others = examples.features.split([6, TONES + TRACES], dim=1)
    return replace(examples, features=torch.cat([features, noise, others], dim=1))


def planted(seed: int = 0, photos: int = 60) -> Examples:
    """Pictures whose features tell kinds 0 and 1; cells whose first number is damage."""
    draws = torch.Generator().manual_seed(seed)
    rows: dict[str, list[torch.Tensor]] = {each.name: [] for each in fields(Examples)[1:]}
    what: list[str] = []
    for number in range(photos):
        for kind, name in ((None, "as it is"), (number % 2, "single"), (number % 2, "part")):
            severity = 0.0 if kind is None else 0.3 + 0.7 * float(torch.rand((), generator=draws))
            row = torch.full((len(KINDS),), ABSENT)
            feature = 0.1 * torch.randn(6, generator=draws)
            if kind is not None:
                row[kind] = severity
                feature[kind] += 2
                feature[2 + kind] += severity
            covers = torch.tensor([0.0] * 6 + [1.0] * 6)
            covers = {"as it is": covers * 0, "single": covers * 0 + 1}.get(name, covers)
            cell = torch.randn(12, 3, generator=draws)
            cell[:, 0] += 4 * covers * severity
            made = {
                "photo": torch.tensor([number]),
                "severities": row[None],
                "scores": torch.tensor([80.0 - 40 * severity * (name == "single")]),
                "features": torch.cat([feature, torch.zeros(TONES + TRACES)])[None].half(),
                "context": cell.mean(0, keepdim=True).half(),
                "cells": cell.half(),
                "picture": torch.full((12,), len(what)),
                "cover": covers,
            }
            what.append(name)
            for key, value in made.items():
                rows[key].append(value)
    return Examples(tuple(what), **{key: torch.cat(values) for key, values in rows.items()})


def test_drops_are_those_of_the_whole_photo_where_it_is_damaged() -> None:
    examples = planted(photos=2)
    drops = examples.drops()
    severity = float(examples.severities[1].max())
    assert drops[:12].tolist() == [0.0] * 12
    assert drops[12:24].tolist() == pytest.approx([-40 * severity] * 12, rel=1e-4)
    assert drops[24:36].tolist() == pytest.approx([0] * 6 + [-40 * severity] * 6, rel=1e-4)


def test_planted_kinds_and_places_are_found() -> None:
    examples, unseen = planted(0), planted(1)
    kinds = fit_kinds(examples, MAPS, seed=0)
    places = fit_places(examples, seed=0, epochs=60)
    found = measure(unseen, kinds, places)
    assert found["kinds_map_single"] > 0.95
    assert found["kinds_top"] > 0.95
    assert found["kinds_accused"] < 0.1
    assert found["severity_srcc"] > 0.8
    assert found["map_pointing"] > 0.75 > found["map_chance"] + 0.2
    assert places.base == 80
    again = fit_places(examples, seed=0, epochs=60)
    torch.testing.assert_close(again.hidden, places.hidden, atol=0, rtol=0)


def test_shuffled_answers_are_not_found() -> None:
    """The control: with damage dealt out anew, figures are those of chance."""
    examples, unseen = planted(0), planted(1)
    order = torch.randperm(len(examples.features), generator=torch.Generator().manual_seed(5))
    cells = torch.randperm(len(examples.cells), generator=torch.Generator().manual_seed(5))
    shuffled = Examples(
        **(vars(examples) | {"features": examples.features[order], "cells": examples.cells[cells]})
    )
    kinds = fit_kinds(shuffled, MAPS, seed=0)
    found = measure(unseen, kinds, fit_places(shuffled, seed=0, epochs=20))
    assert found["kinds_top"] < 0.75
    assert found["map_pointing"] < found["map_chance"] + 0.25


def test_figures_by_hand() -> None:
    probability = torch.tensor([[0.9], [0.8], [0.7], [0.1]])
    severities = torch.tensor([[0.5], [ABSENT], [0.9], [0.05]])  # the last is hardly seen
    assert mean_average_precision(probability, severities) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(mean_average_precision(probability[:1], torch.full((1, 1), ABSENT)))
    read = torch.tensor([[0.1], [0.2], [0.3]])
    assert mean_severity_srcc(read, torch.tensor([[0.2], [0.4], [0.3]])) == pytest.approx(0.5)
    damaged = torch.tensor([True] * 4 + [False] * 16)
    points = torch.arange(20.0)
    points[3] = 99.0  # three of the four worst cells are damaged
    assert overlap(points, damaged) == pytest.approx((1.0, 3 / 5, 0.2))


def test_cover_is_the_share_of_the_window() -> None:
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[:2, :2] = True  # one cell of 4×4
    cover = window_cover(mask, 4, 4)
    assert cover[0, 0] == pytest.approx(1 / 4)
    assert cover[1, 1] == pytest.approx(1 / 9)
    assert cover[2, 2] == 0


def test_one_photo_is_wholly_in_one_part() -> None:
    photo = torch.tensor([5, 5, 7, 7, 9, 9, 11, 11])
    choosing = photos_split(photo, 0.5, 0)
    assert int(choosing.sum()) == 4
    assert (choosing[::2] == choosing[1::2]).all()


def test_the_rate_rises_and_falls() -> None:
    assert one_cycle(0) < 0.02
    assert one_cycle(0.1) == pytest.approx(1)
    assert one_cycle(0.55) == pytest.approx(0.5)
    assert one_cycle(1) == pytest.approx(0, abs=1e-9)
