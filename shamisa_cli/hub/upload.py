"""Folders to the Hub, in one commit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shamisa_cli.errors import HubError
from shamisa_cli.hub.client import LOG_IN, explained
from shamisa_cli.hub.fetch import FILES, Listing, list_repository
from shamisa_cli.hub.names import HubName


@dataclass(frozen=True)
class Uploaded:
    """Where an upload went.

    Attributes
    ----------
    address : of the repository, for a browser.
    commit : 40 hexadecimal digits.
    pull_request : address of the pull request that was opened, if any.
    """

    address: str
    commit: str
    pull_request: str | None


def prepare_repository(name: HubName, *, private: bool) -> Listing:
    """Make the repository if there is none yet; returns what it holds.

    Raises
    ------
    HubError
        if there is no token, or it may not do this, or ``private`` is asked for and the
        repository exists and is public.
    """
    from huggingface_hub import HfApi, get_token

    if get_token() is None:
        raise HubError(f"{name}: to push, {LOG_IN} (a token with write access)")
    with explained(name, "write"):
        HfApi().create_repo(name.repo, private=private or None, exist_ok=True)
    listing = list_repository(name)
    if private and not listing.private:
        raise HubError(
            f"{name}: exists already, and is public; make it private in its settings first"
        )
    return listing


def upload_model(folder: Path, name: HubName, message: str, *, create_pr: bool) -> Uploaded:
    """Upload the model in ``folder`` as one commit; heads that it lacks go from the repository."""
    from huggingface_hub import HfApi, constants

    with explained(name, "write"):
        commit = HfApi().upload_folder(
            repo_id=name.repo,
            folder_path=folder,
            revision=name.revision,
            commit_message=message,
            create_pr=create_pr,
            delete_patterns=[pattern for pattern in FILES if pattern != "README.md"],
        )
    return Uploaded(f"{constants.ENDPOINT}/{name.path}", commit.oid, commit.pr_url)
