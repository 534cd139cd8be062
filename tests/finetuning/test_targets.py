"""What is learned of each image: its score, and what was done to it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from finetuning_toy import config, unreadable
from PIL import Image

from shamisa_cli.datasets.dataset import Dataset
from shamisa_cli.datasets.registry import open_dataset
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.splits import Split, random_splits
from shamisa_cli.finetuning.run import make_task
from shamisa_cli.finetuning.targets import targets_of
from shamisa_cli.training.optimizer import make_optimizer


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """30 pictures: as they are, noisy, or dark; each kind at two levels of five."""
    folder = tmp_path_factory.mktemp("damaged")
    rng = np.random.default_rng(0)
    lines = ["image,mos,distortion,severity"]
    for i in range(30):
        kind, level = ("as it is", "noise", "dark")[i % 3], (2, 5)[i % 2] if i % 3 else 0
        pixels = rng.uniform(50, 200) + np.linspace(-40, 40, 80)[:, None, None] + np.zeros((80, 3))
        if kind == "noise":
            pixels = pixels + rng.normal(0, 12 * level, pixels.shape)
        if kind == "dark":
            pixels = pixels * 0.9 - 8 * level
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{90 - 10 * level + i / 10},{kind},{level}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return open_dataset(str(folder / "labels.csv"), None)


@pytest.fixture(scope="module")
def looked(frozen: FrozenEncoder, damaged: Dataset) -> DatasetFeatures:
    return frozen.dataset(damaged, unreadable)


@pytest.fixture(scope="module")
def part(damaged: Dataset) -> Split:
    return random_splits(damaged.references, 1, seed=0)[0]


def test_scores_alone_unless_kinds_are_asked_for(damaged: Dataset) -> None:
    torch.testing.assert_close(targets_of(damaged, kinds=False), damaged.scores[:, None])


def test_a_column_for_each_kind_of_damage(damaged: Dataset) -> None:
    """Image by image; what is never damage, such as photos as they are, has no column."""
    found = targets_of(damaged, kinds=True)
    assert found.shape == (30, 3)
    unit = np.ptp(damaged.scores.numpy())
    for i, row in enumerate(found.tolist()):
        severity = float(damaged.severities[i]) / 5 * unit
        dark, noise = (severity * (damaged.distortions[i] == kind) for kind in ("dark", "noise"))
        assert row == pytest.approx([float(damaged.scores[i]), dark, noise])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distortions": ()}, "needs the columns distortion and severity"),
        ({"severities": ()}, "needs the columns distortion and severity"),
        ({"severities": ("",) * 30}, "severity is '', not a finite number"),
        ({"severities": ("nan",) * 30}, "severity is 'nan', not a finite number"),
        ({"severities": ("0",) * 30}, "no image is damaged"),
    ],
)
def test_a_dataset_that_does_not_say_is_refused(
    damaged: Dataset, changes: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        targets_of(dataclasses.replace(damaged, **changes), kinds=True)


def test_kinds_are_learned_beside_the_score(
    frozen: FrozenEncoder, looked: DatasetFeatures, part: Split
) -> None:
    """The heads stay: so what is learned is in the features."""
    settings = config(kinds=True, lr=3e-3)
    task = make_task(frozen, looked, part, settings, 1.0)
    wanted = task.targets[part.train]

    def errors() -> torch.Tensor:
        """(T,) of the training part, each image by the head that never saw it."""
        task.model.eval()
        found = {}
        for number in range(6):
            for views in task.views[number]:
                with torch.no_grad():
                    made = task.model(views.pixels, task.fold[views.images])
                found.update(zip(views.images.tolist(), made, strict=True))
        rows = torch.stack([found[image] for image in part.train.tolist()])
        return (rows - wanted).square().mean(0)

    before = errors()
    assert before.shape == (3,)
    optimizer = make_optimizer(task.model, settings.optimizer)
    for number in range(80):
        loss = task.loss(task.model.train(), task.views[number])
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    after = errors()
    assert after[0] < 0.7 * before[0]
    assert after[1:].sum() < 0.7 * before[1:].sum(), (before, after)
