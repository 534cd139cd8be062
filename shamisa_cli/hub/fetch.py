"""Files from the Hub by its own client: whole models into its cache, single files into a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

from shamisa_cli.digests import file_digest
from shamisa_cli.errors import HubError, ShamisaError
from shamisa_cli.hub.client import explained, time_limit
from shamisa_cli.hub.names import HubName

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
FILES = (WEIGHTS, "heads/*.json", "heads/*.safetensors", "explain.*", "README.md")
"""With the config, all that is fetched of a model's repository."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True)
class Listing:
    """What a repository holds at one commit.

    Attributes
    ----------
    commit : 40 hexadecimal digits.
    private : whether only its owner sees it.
    digests : by path, the SHA-256 of each file; "" where the Hub states none (small files).
    """

    commit: str
    private: bool
    digests: Mapping[str, str]


def list_repository(name: HubName) -> Listing:
    """The files of a repository, by one question to the Hub."""
    from huggingface_hub import HfApi, constants

    with explained(name):
        ask = HfApi().model_info if name.kind == "model" else HfApi().dataset_info
        info = ask(
            name.repo,
            revision=name.revision,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,  # the client's own None is no limit at all
        )
    files = info.siblings or []
    digests = {file.rfilename: file.lfs.sha256 if file.lfs else "" for file in files}
    return Listing(str(info.sha), bool(info.private), digests)


def fetch_model(name: HubName, check_config: Callable[[Path], object]) -> Path:
    """Fetch a model; returns its folder in the Hub's cache.

    Only :data:`FILES` and config.json are fetched, and only what the cache lacks. config.json comes
    last, once the others are checked: a folder that has one is whole.

    ``check_config`` is called before anything large is fetched; it raises if the config.json that
    it is given is not that of a usable model.

    Raises
    ------
    HubError
        if it cannot be had, is no model, or holds its weights only as pickles.
    """
    from huggingface_hub import hf_hub_download

    listing = list_repository(name)
    _check_files(name, listing)
    with explained(name), time_limit():
        _check_config(name, listing, check_config)
        for file in listing.digests:
            if any(fnmatch(file, pattern) for pattern in FILES):
                path = hf_hub_download(name.repo, file, revision=listing.commit)
                _check_digest(name, file, Path(path), listing)
        config = Path(hf_hub_download(name.repo, CONFIG, revision=name.revision))
    if config.parent.name != listing.commit:
        raise HubError(f"{name}: changed while it was fetched; run the command again")
    return config.parent


def fetch_file(name: HubName, file: str, listing: Listing, folder: Path, place: str) -> Path:
    """Fetch ``file`` of the listed commit into ``folder``, unless it is there; returns its path.

    ``place`` is the setting that says where files go, for messages.
    """
    from huggingface_hub import hf_hub_download

    with explained(name, place=place), time_limit():
        path = Path(
            hf_hub_download(
                name.repo, file, repo_type=name.kind, revision=listing.commit, local_dir=folder
            )
        )
        _check_digest(name, file, path, listing)
    return path


def _check_files(name: HubName, listing: Listing) -> None:
    """Refuse a repository that holds no model, or has pickles for weights."""
    if WEIGHTS not in listing.digests:
        pickles = sorted(path for path in listing.digests if path.endswith(PICKLES))
        if pickles:
            raise HubError(
                f"{name}: holds its weights only as pickles ({', '.join(pickles[:3])}). A pickle "
                f"can run any code, so none is ever read: ask its owner for {WEIGHTS}"
            )
        raise HubError(f"{name}: holds no model: there is no {WEIGHTS}")
    if CONFIG not in listing.digests:
        raise HubError(f"{name}: holds no model of shamisa or timm: there is no {CONFIG}")


def _check_config(name: HubName, listing: Listing, check_config: Callable[[Path], object]) -> None:
    """Check config.json outside the cache, where a refused one would make a model seem whole."""
    from huggingface_hub import hf_hub_download

    with TemporaryDirectory() as folder:
        path = Path(hf_hub_download(name.repo, CONFIG, revision=listing.commit, local_dir=folder))
        try:
            check_config(path)
        except ShamisaError as error:  # the temporary path helps no one
            raise HubError(f"{name}: {str(error).replace(str(path), CONFIG)}") from error


def _check_digest(name: HubName, file: str, path: Path, listing: Listing) -> None:
    """Compare a file with the Hub's digest; one that differs is removed.

    The client itself compares sizes, and after a download by Xet the content.
    """
    expected = listing.digests[file]
    if expected and file_digest(path) != expected:
        path.resolve().unlink()  # the content, where the path is a link of the cache
        path.unlink(missing_ok=True)
        raise HubError(f"{name}: {file} arrived damaged, and was removed; run the command again")
