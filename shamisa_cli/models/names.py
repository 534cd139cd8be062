"""Models by name: bundled, a local folder, or a repository of the Hub that was pulled.

``weights/<name>/`` of the source tree is ``shamisa_cli/bundled/<name>/`` in the wheel.
"""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_data_path

from shamisa_cli.errors import WeightsError, near_matches
from shamisa_cli.hub.names import (
    SCHEME,
    HubName,
    cache_folder,
    cached_file,
    cached_names,
    parse_hub_name,
)

DEFAULT_MODEL = "duo"
CONFIG_FILE = "config.json"
"""The file that tells that a folder holds a model."""
EXPLAIN_FILES = ("explain.json", "explain.safetensors")
"""Beside the weights of a model that can explain its scores."""


def bundled_folder() -> Path:
    """Where the bundled models are: in the wheel, or ``weights/`` beside an editable install."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "bundled"
    return inside if inside.is_dir() else package.parent / "weights"


def is_bundled(folder: Path) -> bool:
    """Whether the model in ``folder`` came with the program, so that a reinstall replaces it."""
    return folder.resolve().parent == bundled_folder().resolve()


def user_folder() -> Path:
    """Where the system keeps what a person's programs keep; no installation touches it."""
    return user_data_path("shamisa", appauthor=False)


def bundled_models() -> list[str]:
    """Names of the bundled models."""
    return sorted(p.parent.name for p in bundled_folder().glob(f"*/{CONFIG_FILE}"))


def locate_model(name: str) -> Path:
    """The folder of a model, by the one kind of name that every command takes (docs/hub.md).

    A folder ``owner/name`` goes before a repository of that name. Repositories are looked for in
    the Hub's cache; only ``shamisa pull`` fetches them.

    Raises
    ------
    WeightsError
        if there is no such model; the message lists what was tried, and the nearest names.
    UsageError
        for a name that begins with ``hf://``, and goes on wrongly.
    """
    asked = DEFAULT_MODEL if name == "default" else name
    if asked in bundled_models():
        return bundled_folder() / asked
    local = None if name.startswith(SCHEME) else _local_model(name)
    if local is not None:
        return local
    on_hub = parse_hub_name(name)
    config = cached_file(on_hub, CONFIG_FILE) if on_hub else None
    if config is not None:
        return config.parent
    raise _not_found(name, on_hub)


def _local_model(name: str) -> Path | None:
    """The local folder ``name``; None if there is none, an error if it holds no model."""
    try:
        folder = Path(name).expanduser()
        if (folder / CONFIG_FILE).is_file():
            return folder
        is_there = folder.is_dir()
    except (OSError, RuntimeError):  # a name too long for a path, a user who is not there
        return None
    if is_there:
        raise WeightsError(f"{folder}: no {CONFIG_FILE} in this folder, so it holds no model")
    return None


def _not_found(name: str, on_hub: HubName | None) -> WeightsError:
    """What was tried, the nearest names, and how to fetch what is not here."""
    bundled = ["default", *bundled_models()]
    tried = f"no bundled model ({', '.join(bundled)}), no folder"
    known, hint = [*bundled, *_neighbors(name)], ""
    if on_hub is not None:
        tried += f", not, or not all of it, in the Hub's cache ({cache_folder()})"
        start = SCHEME if name.startswith(SCHEME) else ""
        cached = (start + other.removeprefix(SCHEME) for other in cached_names())
        known += [other for other in cached if other != f"{start}{on_hub.repo}"]
        hint = f" Where there is a network, run: shamisa pull {on_hub}"
    near = near_matches(name, known)
    guess = f" Did you mean {' or '.join(near)}?" if near else ""
    return WeightsError(f"unknown model {name!r}: {tried}.{guess}{hint}")


def _neighbors(name: str) -> list[str]:
    """Model folders beside a folder ``name``, which may be what was meant."""
    try:
        around = Path(name).expanduser().parent
        return sorted(str(path.parent) for path in around.glob(f"*/{CONFIG_FILE}"))
    except (OSError, RuntimeError):
        return []
