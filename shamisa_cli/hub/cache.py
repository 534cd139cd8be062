"""What the Hub's cache on this machine holds; nothing here touches the network."""

from __future__ import annotations

from pathlib import Path

from shamisa_cli.hub.names import HubName, parse_hub_name


def cache_folder() -> Path:
    """Where huggingface_hub keeps what it fetched (``HF_HUB_CACHE``, ``HF_HOME``)."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def cached_file(name: HubName, file: str) -> Path | None:
    """A file of the repository as it was last fetched; None if it was not."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name.repo, file, revision=name.revision)
    return Path(found) if isinstance(found, str) else None


def cached_names() -> list[str]:
    """``hf://owner/name`` of the model repositories that the cache holds something of, sorted."""
    folders = cache_folder().glob("models--*--*")
    names = (
        parse_hub_name(folder.name.removeprefix("models--").replace("--", "/"))
        for folder in folders
        if (folder / "snapshots").is_dir()
    )
    return sorted(str(name) for name in names if name is not None)
