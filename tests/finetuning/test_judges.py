"""Kept states on other datasets, beside the linear probe of the same split."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from finetuning_toy import BASE, config, unreadable
from scipy import stats
from sklearn.linear_model import Ridge

from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.finetuning.judges import Judges, judge_on_dataset, other_dataset
from shamisa_cli.finetuning.run import Finetuned
from shamisa_cli.finetuning.study import Outcome, finetune_splits, paired, study_rows
from shamisa_cli.models.store import random_encoder
from shamisa_cli.training.loop import Trainer


@pytest.fixture(scope="module")
def other(frozen: FrozenEncoder, scores: Path) -> DatasetFeatures:
    """Every third picture, with scores on another scale that people gave anew."""
    rng = np.random.default_rng(4)
    lines = [f"{i}.png,{4.5 - 0.08 * i + rng.normal(0, 0.3):.3f}" for i in range(0, 40, 3)]
    path = scores.parent / "elsewhere.csv"
    path.write_text("\n".join(["image,mos", *lines]) + "\n")
    return other_dataset(frozen, open_dataset(str(path), None), unreadable)


def test_both_heads_predict_all_of_another_dataset(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    tuned: Finetuned,
    other: DatasetFeatures,
) -> None:
    """Against scikit-learn's ridge, and scores on 0-100 by hand."""
    data, train = found.dataset, split.train.numpy()
    low, high = data.info.score_range
    bottom, top = other.dataset.info.score_range
    wanted = (other.dataset.scores.numpy() - bottom) / (top - bottom) * 100
    x = found.features.double().numpy()[train]
    y = np.repeat(data.scores.double().numpy()[train], x.shape[1])
    ridge = Ridge(alpha=tuned.probe.strength).fit(x.reshape(-1, x.shape[-1]), y)
    seen = frozen.dataset(other.dataset, unreadable).features.double().numpy()
    tuned = dataclasses.replace(tuned, encoder=random_encoder(BASE, seed=2), best=4)
    w, b = tuned.fit
    again = frozen.with_encoder(tuned.encoder).dataset(other.dataset, unreadable).features
    raws = {
        "probe": ridge.predict(seen.mean(1)),
        "tuned": again.double().numpy().mean(1) @ w.numpy() + b,
    }
    both = judge_on_dataset(tuned, frozen, found, split, other)
    for name, raw in raws.items():
        predicted = (raw - low) / (high - low) * 100
        measures = getattr(both, name)
        assert measures["srcc"] == pytest.approx(stats.spearmanr(predicted, wanted).statistic)
        rmse = np.sqrt(np.mean((predicted - wanted) ** 2))
        assert measures["rmse"] == pytest.approx(rmse, rel=1e-4)
    assert both.probe != both.tuned


def test_a_dataset_that_is_asked_for_later_needs_no_training(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    other: DatasetFeatures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def study(judges: Judges) -> list[Outcome]:
        tell = (lambda text: None, lambda record: None)
        runs = finetune_splits(frozen, found, [split], [1.0], config(), tmp_path, *tell, judges)
        return list(runs)

    first = study(Judges())[0]
    monkeypatch.setattr(Trainer, "train_step", None)
    later = study(Judges([other]))
    assert (later[0].tuned, later[0].checks) == (first.tuned, first.checks)
    assert set(later[0].elsewhere) == {"elsewhere"}
    monkeypatch.setattr("shamisa_cli.finetuning.study.finetune_split", None)
    assert study(Judges([other])) == later
    assert study(Judges()) == later
    both = later[0].elsewhere["elsewhere"]
    gain = both.tuned["srcc"] - both.probe["srcc"]
    assert paired(later, "elsewhere").mean == pytest.approx(gain)
    rows = study_rows("toy", found, "regress", later, [other])
    assert [(row.tested_on, row.fitted_on, row.images, row.note) for row in rows] == [
        ("scores", "scores", 40, "linear probe"),
        ("scores", "scores", 40, "regress"),
        ("elsewhere", "scores", 14, "linear probe"),
        ("elsewhere", "scores", 14, "regress"),
    ]
    assert rows[3].measures["srcc"].median == both.tuned["srcc"]
