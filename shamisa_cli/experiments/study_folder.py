"""The folder of a study: what is in it, and whether the study may begin or go on there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.experiments.study_file import StudySettings
from shamisa_cli.files import write_text, writing
from shamisa_cli.settings import read_json_object, to_mapping

MARK = "study.json"
"""The settings of a study."""
TABLE, TABLE_CSV, SPLITS_CSV = "table.md", "table.csv", "splits.csv"
NAMES = (MARK, TABLE, TABLE_CSV, SPLITS_CSV, "runs", "controls")
"""What a study writes."""

MAY_CHANGE = ("variants", "seeds", "baseline", "controls", "about", "save_every", "photos")
"""Settings that may change when a study goes on; variants and seeds may be more or fewer.

Of the photos it is their names that count, not where they are.
"""


def open_folder(out: Path, study: StudySettings, *, resume: bool, overwrite: bool) -> None:
    """Make the folder of a study ready, with its settings in it.

    Raises
    ------
    UsageError
        if it holds a study and neither ``resume`` nor ``overwrite`` is given, or something else;
        or if the study to resume is another one.
    """
    if resume and overwrite:
        raise UsageError("resume goes on with a study, overwrite replaces it: give one of them")
    in_the_way = [out / name for name in NAMES if (out / name).exists()]
    if in_the_way and not (out / MARK).is_file():
        raise UsageError(f"{in_the_way[0]}: is there, and no study made it; choose another out")
    holds_runs = (out / TABLE).exists() or (out / "runs").exists()
    if holds_runs and not (resume or overwrite):
        raise UsageError(
            f"{out} holds a study already: resume it, replace it with overwrite, or choose "
            "another out"
        )
    if in_the_way and resume:
        _check_same(study, out)
    with writing(out):
        for path in in_the_way if overwrite else ():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        out.mkdir(parents=True, exist_ok=True)
    write_text(out / MARK, json.dumps(to_mapping(study), indent=2) + "\n")


def _check_same(study: StudySettings, out: Path) -> None:
    """Refuse to go on with other settings than those in ``out``."""
    try:
        then = read_json_object(out / MARK, "study")
    except WeightsError as error:
        raise UsageError(f"{error}; replace the study with overwrite") from error
    now = to_mapping(study)
    other = [key for key in now if key not in MAY_CHANGE and now[key] != then.get(key)]
    before = {_title(variant): variant for variant in then.get("variants", [])}
    other += [
        f"variant {_title(variant)!r}"
        for variant in now["variants"]
        if before.get(_title(variant), variant) != variant
    ]
    if other:
        raise UsageError(
            f"{out} holds a study with another {', '.join(other)}: go on with the same settings, "
            "replace it with overwrite, or choose another out"
        )


def _title(variant: dict[str, Any]) -> str:
    return str(variant.get("name") or variant.get("ablation"))
