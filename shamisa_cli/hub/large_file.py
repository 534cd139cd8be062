"""One large file from the Hub into a folder, over several runs if need be."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from shamisa_cli.digests import file_digest
from shamisa_cli.errors import HubError
from shamisa_cli.hub.errors import explained
from shamisa_cli.hub.fetch import Listing
from shamisa_cli.hub.names import HubName


def fetch_large_file(name: HubName, file: str, listing: Listing, folder: Path, place: str) -> Path:
    """Fetch ``file`` into ``folder``; what an earlier run got of the same content is kept.

    Parameters
    ----------
    name : the repository.
    file : its path there.
    listing : of the repository.
    folder : made if missing. The unfinished file is beside the finished one, ends in ``.part``,
        and is of no use to anyone but this function.
    place : the setting that says where files go, for messages.

    Returns
    -------
    The path of the file, whole: it has the size, and the SHA-256 if any, that the Hub states.

    Raises
    ------
    HubError
        if it cannot be had; run again, it goes on.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    size, digest = listing.sizes[file], listing.digests.get(file, "")
    whole = folder / PurePosixPath(file).name
    part = whole.with_name(f"{whole.name}.{(digest or listing.commit)[:12]}.part")
    with explained(name, place=place):
        folder.mkdir(parents=True, exist_ok=True)
        if whole.is_file() and whole.stat().st_size == size and _is_it(whole, digest):
            return whole
        have = part.stat().st_size if part.is_file() else 0
        if have > size:
            part.unlink()
            have = 0
        _check_room(name, folder, size - have, place)
        url = hf_hub_url(name.repo, file, repo_type=name.kind, revision=listing.commit)
        with part.open("ab") as stream:
            http_get(
                url,
                stream,
                resume_size=have,
                headers=build_hf_headers(),
                expected_size=size,
                displayed_filename=whole.name,
            )
        if not _is_it(part, digest):
            part.unlink()
            raise HubError(f"{name}: {file} arrived damaged, and was removed; run it again")
        part.replace(whole)
    return whole


def _is_it(file: Path, digest: str) -> bool:
    """Whether a file has the content that the Hub states; true if it states none."""
    return not digest or file_digest(file) == digest


def _check_room(name: HubName, folder: Path, size: int, place: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise HubError(
            f"{name}: {size / 1e6:,.0f} MB to fetch, and {free / 1e6:,.0f} MB free in {folder}; "
            f"free some, or let {place} be a folder with room"
        )
