"""The folder of a run: what is in it, and what must not be lost when another run begins there."""

from __future__ import annotations

import shutil
from pathlib import Path

from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.files import writing
from shamisa_cli.pretraining.probe import PROBES
from shamisa_cli.settings import read_json_object
from shamisa_cli.training.checkpoint import checkpoints

NAMES = (
    "config.json",
    "log.jsonl",
    PROBES,
    "batch.png",
    "losses.png",
    "graphs.png",
    "dynamics.png",
    "tensorboard",
    "checkpoints",
    "model",
)
"""What a run writes."""


def check_folder(out: Path, *, overwrite: bool = False) -> None:
    """Refuse a new run in ``out`` where it would replace what no run made, or another run.

    A run that saved neither a checkpoint nor a model is no loss. ``overwrite`` allows to replace
    one that did.

    Raises
    ------
    UsageError
        that says what is in the way.
    """
    found = checkpoints(out / "checkpoints")
    in_the_way = [out / name for name in NAMES if (out / name).exists()]
    if not in_the_way:
        return
    if not found and not _has_config(out):
        raise UsageError(f"{in_the_way[0]}: is there, and no run made it; choose another out")
    if overwrite or not (found or (out / "model").exists()):
        return
    ways = "replace it with overwrite, or choose another out"
    if found:
        step = int(found[-1].name[5:])
        raise UsageError(f"{out} holds a run already (step {step}): resume it, {ways}")
    raise UsageError(f"{out} holds a model, and no checkpoint to resume: {ways}")


def remove_run(out: Path) -> None:
    """Remove what a run wrote into ``out``, and nothing else."""
    for path in (out / name for name in NAMES):
        with writing(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _has_config(out: Path) -> bool:
    """Whether config.json is that of a run; a model's has other keys."""
    try:
        return {"backbone", "graphs", "optimizer"} <= read_json_object(
            out / "config.json", "config"
        ).keys()
    except WeightsError:
        return False
