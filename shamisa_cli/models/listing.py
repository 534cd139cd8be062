"""Which models are on this machine: bundled, in the Hub's cache, in folders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from shamisa_cli.errors import ShamisaError, WeightsError
from shamisa_cli.hub.names import HubName, cache_folder
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import HeadInfo
from shamisa_cli.models.heads import heads_folder, list_heads, list_user_heads, load_head
from shamisa_cli.models.names import CONFIG_FILE, bundled_folder, bundled_models
from shamisa_cli.settings import read_json_object


@dataclass(frozen=True)
class ModelRow:
    """One model of the list.

    Attributes
    ----------
    where : bundled, cached (pulled from the Hub) or local.
    name : as ``--model`` takes it, or for a timm backbone ``--init``.
    folder : of the model.
    size : bytes on disk.
    backbone : timm name; "" if unknown.
    default_head : the head that is used when none is asked for.
    heads : what they were fitted on, and their figures.
    user_heads : names of those that a person fitted for a bundled model.
    user_folder : of these; "" if there are none.
    note : what is wrong or special; "" for a model that can score.
    """

    where: Literal["bundled", "cached", "local"]
    name: str
    folder: str
    size: int
    backbone: str = ""
    default_head: str = ""
    heads: tuple[HeadInfo, ...] = ()
    user_heads: tuple[str, ...] = ()
    user_folder: str = ""
    note: str = ""


def list_models(folders: Iterable[Path]) -> list[ModelRow]:
    """All models: bundled ones, then cached ones, then those in and below ``folders``."""
    rows = [describe("bundled", name, bundled_folder() / name) for name in bundled_models()]
    rows += [describe("cached", str(name), folder) for name, folder in _cached()]
    for top in folders:
        found = sorted(path.parent for path in top.rglob(CONFIG_FILE) if _is_ours(path))
        rows += [describe("local", str(folder), folder) for folder in found]
    return rows


def describe(where: Literal["bundled", "cached", "local"], name: str, folder: Path) -> ModelRow:
    """One row; its note says what cannot be read."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    row = partial(ModelRow, where, name, str(folder), size)
    architecture = _keys(folder / CONFIG_FILE).get("architecture")
    if architecture is not None:
        return row(str(architecture), note="an init for pretrain")
    try:
        config = ModelConfig.load(folder / CONFIG_FILE)
        heads = tuple(load_head(folder, head).info for head in list_heads(folder))
    except ShamisaError as error:
        return row(note=str(error))
    note = "" if heads else "no head yet: shamisa fit"
    of_user = tuple(list_user_heads(folder))
    where_of_user = str(heads_folder(folder)) if of_user else ""
    return row(config.backbone, config.default_head, heads, of_user, where_of_user, note)


def _cached() -> list[tuple[HubName, Path]]:
    """Names and folders of the models in the Hub's cache, one for each revision."""
    from huggingface_hub import scan_cache_dir

    if not cache_folder().is_dir():
        return []
    found = []
    repositories = scan_cache_dir(cache_folder()).repos
    for repository in sorted(repositories, key=lambda each: each.repo_id):
        if repository.repo_type != "model" or repository.repo_id.count("/") != 1:
            continue
        owner, name = repository.repo_id.split("/")
        for revision in repository.revisions:
            config = revision.snapshot_path / CONFIG_FILE
            if "architecture" not in _keys(config) and not _is_ours(config):
                continue
            for ref in sorted(revision.refs) or [revision.commit_hash]:
                on_hub = HubName(owner, name, None if ref == "main" else ref)
                found.append((on_hub, revision.snapshot_path))
    return found


def _is_ours(config_file: Path) -> bool:
    """Whether this is the config.json of one of our models; those of runs have other keys."""
    return {"backbone", "feature_size"} <= _keys(config_file).keys()


def _keys(config_file: Path) -> dict[str, object]:
    """A config.json as it is; empty if there is none, or it cannot be read."""
    try:
        return read_json_object(config_file, CONFIG_FILE)
    except WeightsError:
        return {}
