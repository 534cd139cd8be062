"""Names on the Hub, ``[hf://]owner/name[@revision]``, and what this machine's cache has of them.

Nothing here uses the network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from shamisa_cli.errors import UsageError

SCHEME = "hf://"
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_REVISION = r"[^\s@\\:~^?*\[/][^\s@\\:~^?*\[]*"
"""Letters of a branch or tag; never a path that leads out of a folder."""
_NAME = re.compile(rf"(?P<owner>{_PART})/(?P<name>{_PART})(?:@(?P<revision>{_REVISION}))?")
_LONGEST = 96
"""Letters of ``owner/name``, says the Hub."""


@dataclass(frozen=True)
class HubName:
    """A repository on the Hub.

    Attributes
    ----------
    owner, name : as in its address, https://huggingface.co/owner/name.
    revision : branch, tag or commit; None is the main branch.
    kind : what the repository holds; datasets have addresses of their own.
    """

    owner: str
    name: str
    revision: str | None = None
    kind: Literal["model", "dataset"] = "model"

    @property
    def repo(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    @property
    def path(self) -> str:
        """What follows the Hub's address: ``owner/name`` or ``datasets/owner/name``."""
        return self.repo if self.kind == "model" else f"datasets/{self.repo}"

    def __str__(self) -> str:
        return f"{SCHEME}{self.path}" + (f"@{self.revision}" if self.revision else "")


def parse_hub_name(text: str) -> HubName | None:
    """The repository that ``text`` names; None if ``text`` has another form.

    A UsageError for a text that begins with ``hf://`` and has another form.
    """
    match = _NAME.fullmatch(text.removeprefix(SCHEME))
    if match:
        name = HubName(match["owner"], match["name"], match["revision"])
        refused = "--" in name.repo or ".." in match[0] or name.repo.endswith(".git")
        if not refused and len(name.repo) <= _LONGEST:
            return name
    if text.startswith(SCHEME):
        raise UsageError(f"{text}: a name on the Hub is {SCHEME}owner/name or with @revision")
    return None


def require_hub_name(text: str) -> HubName:
    """:func:`parse_hub_name`, and a UsageError where that gives None."""
    name = parse_hub_name(text)
    if name is None:
        raise UsageError(f"{text!r}: expected a name on the Hub, {SCHEME}owner/name[@revision]")
    return name


def require_dataset_name(text: str) -> HubName:
    """The repository of datasets ``[hf://][datasets/]owner/name[@revision]``, else a UsageError."""
    short = text.removeprefix(SCHEME).removeprefix("datasets/")
    return replace(require_hub_name(short), kind="dataset")


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
