"""What a run of a study came to: kept in its folder, and known again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shamisa_cli.errors import UsageError
from shamisa_cli.files import write_text
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.settings import from_mapping, to_mapping

RESULT = "result.json"
ANYWHERE = ("workers", "device", "precision", "compile", "dynamics_every")
"""Keys of a run's config that may change when a study goes on."""


@dataclass(frozen=True)
class RunResult:
    """One run: a variant or a control, with one seed.

    Attributes
    ----------
    title : of the variant or the control.
    seed : of the study; None for what has no seed, the frozen start.
    splits : measures by name, of each split of the probe; empty for a run that failed.
    error : why it failed; "" if it did not.
    steps, crops, seconds : of its training.
    made_from : everything that its figures depend on.
    """

    title: str
    seed: int | None
    splits: list[dict[str, float]] = field(default_factory=list)
    error: str = ""
    steps: int = 0
    crops: int = 0
    seconds: float = 0.0
    made_from: dict[str, Any] = field(default_factory=dict)

    def values(self, measure: str) -> list[float]:
        """``measure`` of each split; NaN where it is undefined."""
        return [each[measure] for each in self.splits]


def keep_result(folder: Path, result: RunResult) -> None:
    """Write ``result`` into the folder of its run; whole, or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / RESULT, json.dumps(asdict(result), indent=1) + "\n")


def kept_result(folder: Path, made_from: Mapping[str, Any]) -> RunResult | None:
    """What the run in ``folder`` came to; None if it is not finished, or it failed.

    Raises
    ------
    UsageError
        if that run was another one: it was made from something else.
    """
    try:
        values = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        result = RunResult(**values)
    except (OSError, ValueError, TypeError):
        return None
    if result.error:
        return None
    now, then = to_mapping(dict(made_from)), dict(result.made_from)
    begun = from_mapping(PretrainConfig, then["config"], f"{folder / RESULT}: config")
    then["config"] = lasting(begun)  # a key that is younger than the run is as by default there
    if then != now:
        other = ", ".join(_differing(now, then))
        raise UsageError(
            f"{folder}: this run was made with another {other}: go on with the same settings, "
            "overwrite the study, or choose another out"
        )
    return result


def lasting(config: PretrainConfig) -> dict[str, Any]:
    """``config`` as a mapping, without what may change when a study goes on."""
    return {key: value for key, value in to_mapping(config).items() if key not in ANYWHERE}


def _differing(now: Any, then: Any, above: str = "") -> list[str]:
    """The keys in which two mappings differ, as ``config.graphs.alpha``."""
    if not isinstance(now, Mapping) or not isinstance(then, Mapping):
        return [] if now == then else [above]
    keys = list(dict.fromkeys([*now, *then]))
    return [
        key
        for name in keys
        for key in _differing(now.get(name), then.get(name), f"{above}.{name}".lstrip("."))
    ]
