"""A study: every variant with every seed under one budget, probed; one at a time, resumable."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.precision import choose_device
from shamisa_cli.errors import ShamisaError, StoppedError, kind_and_reason
from shamisa_cli.experiments.study_file import StudySettings, Variant
from shamisa_cli.experiments.study_probe import SplitMeasures
from shamisa_cli.experiments.study_results import RunResult, keep_result, kept_result, lasting
from shamisa_cli.files import write_text, writing
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.models.store import load_encoder
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.run import save_model
from shamisa_cli.pretraining.start import start_of
from shamisa_cli.pretraining.task import Pretraining, check_photos, photo_facts
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.log import alone_in
from shamisa_cli.training.loop import Trainer

START, RANDOM = "frozen start", "random weights"
"""The titles of the controls."""


@dataclass(frozen=True)
class Planned:
    """One run to come: what it is called, where it goes, and its config.

    ``trains`` is false for a control, which is measured as it begins.
    """

    title: str
    seed: int | None
    folder: Path
    config: PretrainConfig
    trains: bool = True

    @property
    def name(self) -> str:
        """For people."""
        return self.title if self.seed is None else f"{self.title}, seed {self.seed}"


@dataclass(frozen=True)
class Trained:
    """What training gave; the numbers are of the whole run, also where it was resumed."""

    encoder: Encoder
    steps: int
    crops: int
    seconds: float


class Train(Protocol):
    """Trains a run, or goes on with it; see :class:`Pretrained`."""

    def __call__(self, run: Planned) -> Trained: ...

    def facts(self) -> dict[str, Any]:
        """What its runs depend on, beside their config."""
        ...


class Measure(Protocol):
    """Measures encoders; see :class:`~shamisa_cli.experiments.study_probe.Prober`."""

    def measure(self, encoder: Encoder) -> SplitMeasures: ...

    def facts(self) -> dict[str, Any]:
        """What its figures depend on, beside the encoder."""
        ...


@dataclass(frozen=True)
class Pretrained:
    """Trains as ``shamisa pretrain`` does, without its pictures; controls are initial weights.

    Attributes
    ----------
    pool : the photos.
    save_every : steps between two checkpoints.
    on_step : gets the log record of each step, with its ``progress``.
    """

    pool: PhotoPool
    save_every: int
    on_step: Callable[[dict[str, Any]], None]

    def __call__(self, run: Planned) -> Trained:
        """Train ``run`` in its folder, from its newest checkpoint if there is one.

        Raises
        ------
        StoppedError
            if a signal stopped it; what is trained is saved.
        """
        start = start_of(run.config, run.folder, resume=run.trains)
        if not run.trains:
            return Trained(_as_read(start.model.encoder, run.config), 0, 0, 0.0)
        if start.checkpoint is not None:
            check_photos(self.pool, start.checkpoint.facts["photos"])
        task = Pretraining(start.config, start.model, self.pool, choose_device(run.config.device))
        trainer = Trainer(
            task, start.config, run.folder, save_every=self.save_every, checkpoint=start.checkpoint
        )
        with alone_in(run.folder):
            text = json.dumps(to_mapping(run.config), indent=2) + "\n"
            write_text(run.folder / "config.json", text)
            done = trainer.run(self.on_step)
        if done.signal:
            raise StoppedError(done.signal)
        crops = done.step * run.config.accumulate * run.config.batch.n
        return Trained(load_encoder(save_model(task, trainer))[0], done.step, crops, done.elapsed)

    def facts(self) -> dict[str, Any]:
        """The photos."""
        return {"photos": photo_facts(self.pool)}


def _as_read(encoder: Encoder, config: PretrainConfig) -> Encoder:
    """``encoder`` as the model of a run reads it."""
    made = Encoder(encoder.backbone, encoder.preprocessing, config.pooling, config.statistics)
    return made.eval()


def planned_runs(study: StudySettings, out: Path) -> list[Planned]:
    """The runs in their order: controls, then all variants with the first seed, with the second, …

    So what a study has when it is stopped are whole seeds.
    """
    first = study.run_config(Variant("start"), study.seeds[0])
    runs, controls = [], out / "controls"
    if "start" in study.controls and first.init != "random":
        runs.append(Planned(START, None, controls / "start", first, trains=False))
    if "random" in study.controls:
        for seed in study.seeds:
            config = replace(first, init="random", seed=seed)
            folder = controls / "random" / f"seed-{seed}"
            runs.append(Planned(RANDOM, seed, folder, config, trains=False))
    for seed in study.seeds:
        for variant in study.variants:
            folder = out / "runs" / variant.folder / f"seed-{seed}"
            runs.append(Planned(variant.title, seed, folder, study.run_config(variant, seed)))
    return runs


def run_study(
    runs: list[Planned],
    train: Train,
    probe: Measure,
    before: Callable[[Planned], None] = lambda run: None,
) -> Iterator[RunResult]:
    """Train and probe each of ``runs`` that is not finished; yields what each came to.

    A run that fails is a result with its error, and the rest goes on; another call tries it again.
    Controls are what everything is held against: the error of one is raised.

    Parameters
    ----------
    train, probe : what does it.
    before : hears of each run that is about to begin.
    """
    common = {**train.facts(), "probe": probe.facts()}
    for run in runs:
        made_from = {"config": lasting(run.config), **common}
        result = kept_result(run.folder, made_from)
        if result is None:
            before(run)
            result = _run(run, train, probe, made_from)
        yield replace(result, title=run.title)


def _run(run: Planned, train: Train, probe: Measure, made_from: Mapping[str, Any]) -> RunResult:
    """One run: trained, probed, kept; without its checkpoints once it is whole."""
    try:
        trained = train(run)
        splits = probe.measure(trained.encoder)
    except StoppedError:
        raise
    except Exception as error:  # whatever a variant breaks: it is one row, and the rest goes on
        if not run.trains and isinstance(error, ShamisaError):
            raise
        result = RunResult(run.title, run.seed, error=kind_and_reason(error))
        with writing(run.folder):
            keep_result(run.folder, result)
        return result
    result = RunResult(
        run.title,
        run.seed,
        splits,
        steps=trained.steps,
        crops=trained.crops,
        seconds=round(trained.seconds, 1),
        made_from=to_mapping(dict(made_from)),
    )
    with writing(run.folder):
        keep_result(run.folder, result)
        shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)
    return result
