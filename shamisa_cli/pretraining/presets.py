"""Presets, config files and options, merged into one resolved PretrainConfig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shamisa_cli.errors import UsageError, unknown_name
from shamisa_cli.pretraining.ablations import changes_of, check_over
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.settings import from_mapping, merge, read_toml

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "shamisa": {},
    "arniqa": {"graphs": {"sources": {"arniqa": {}}}},
    "reiqa": {"graphs": {"sources": {"reiqa": {}}}},
    "contrique": {"graphs": {"sources": {"contrique": {}}}},
    "vicreg": {"graphs": {"sources": {"vicreg": {}}}},
    # Ours, for training from random weights: what the bundled ones were made with, and what was
    # tried to come to this, is in docs/experiments/recipes.md.
    "scratch": {
        "init": "random",
        # Small crops teach as much a step, and cost a third; larger ones at last, as when scoring.
        "crop": "64:0.75,112",
        # As many crops as published, of three times the photos.
        "batch": {"tiny_batches": 6, "references": 3, "groups": 2, "levels": 3},
        "pooling": "log_stages",
        "statistics": "scene",
        "optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 0.02, "clip_norm": 1.0},
        "schedule": {"name": "cosine", "warmup_steps": 100},
        "photos": {"flip": True, "scale": (0.5, 1.0)},
        "projector": {"hidden": 1024, "out": 512},
        # With the published weights the rank of z falls by two thirds within 100 steps.
        "objective": {"variance": 25.0, "invariance": 10.0, "covariance": 2.0},
        # Learned shares fall onto one source within ten steps (docs/graph-sources.md).
        "graphs": {
            "alpha": "fixed",
            "sources": {
                **PretrainConfig().graphs.sources,
                "degradation": {"function": 0.5, "severity": 0.5},
            },
        },
    },
}
"""Each says what differs from the published configuration."""


def resolve(
    preset: str,
    config_file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    ablations: Sequence[str] = (),
    base: Mapping[str, Any] | None = None,
) -> PretrainConfig:
    """The config of a run: preset, base, ablations, config file, options, each over the last.

    A table under ``graphs.sources`` adds or changes one source; ``graphs.remove`` lists names of
    sources to leave out. Options of the objective are forgotten where another one is named. Keys
    that nobody knows are refused with near matches.

    Parameters
    ----------
    preset : one of ``PRESETS``.
    config_file, options : what comes over the preset and over the ablations, the options last.
    ablations : names from ``ablations.ABLATIONS``, as ``A1`` or ``C1:k=7``. What comes over them
        may not undo them.
    base : what the ablations differ from, where that is not the preset itself.

    Raises
    ------
    UsageError
        for whatever is unknown or wrong, and for ablations that do not go together.
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    default = PretrainConfig()
    merged: dict[str, Any] = {
        "objective": default.objective,
        "graphs": {"sources": default.graphs.sources},
    }
    merged = merge(merged, PRESETS[preset])
    if "sources" in PRESETS[preset].get("graphs", {}):
        merged["graphs"]["sources"] = dict(PRESETS[preset]["graphs"]["sources"])
    merged = _over(merged, base or {}, "the base")
    changes = changes_of(ablations)
    _check_sources(merged, changes, ablations)
    merged = _over(merged, changes, "the ablations")
    from_file = read_toml(config_file) if config_file is not None else {}
    for over, where in ((from_file, str(config_file)), (options or {}, "the options")):
        check_over(over, where, ablations)
        merged = _over(merged, over, where)
    return from_mapping(PretrainConfig, merged, "the configuration")


def _check_sources(
    merged: Mapping[str, Any], changes: Mapping[str, Any], ablations: Sequence[str]
) -> None:
    """Refuse ablations of graph sources that are not there to be changed."""
    graphs = changes.get("graphs", {})
    for name in (*graphs.get("remove", ()), *graphs.get("sources", ())):
        if name not in merged["graphs"]["sources"]:
            raise UsageError(
                f"the ablations {', '.join(ablations)} change graph source {name!r}, which this "
                f"configuration has not; it has {', '.join(merged['graphs']['sources'])}"
            )


def _over(base: Mapping[str, Any], over: Mapping[str, Any], where: str) -> dict[str, Any]:
    """``base`` with ``over``, which comes from ``where``, merged into it."""
    objective = _table(over, "objective", where)
    merged = _with_removals(merge(base, over), where)
    if objective.get("name", base["objective"]["name"]) != base["objective"]["name"]:
        merged["objective"] = dict(objective)
    return merged


def _with_removals(merged: dict[str, Any], where: str) -> dict[str, Any]:
    """``merged`` without the sources that ``graphs.remove`` names, and without that key."""
    graphs = dict(_table(merged, "graphs", where))
    sources = dict(_table(graphs, "sources", where))
    remove = graphs.pop("remove", [])
    if not isinstance(remove, list):
        raise UsageError(f"{where}: graphs.remove: expected a list of names, got {remove!r}")
    for name in remove:
        if name not in sources:
            raise unknown_name(f"graph source to remove in {where}:", name, sources)
        del sources[name]
    return {**merged, "graphs": {**graphs, "sources": sources}}


def _table(values: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """The table ``key`` of ``values``; whatever else stands there is refused."""
    table = values.get(key, {})
    if not isinstance(table, Mapping):
        raise UsageError(f"{where}: {key}: expected a table, got {table!r}")
    return table
