"""Models from the Hub into its cache: listed first, checked after, and visible only when whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from shamisa_cli.digests import file_digest
from shamisa_cli.errors import HubError, ShamisaError
from shamisa_cli.hub.cache import cached_file
from shamisa_cli.hub.errors import explained
from shamisa_cli.hub.names import HubName
from shamisa_cli.hub.patience import patience

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "model-*.safetensors")
OTHERS = ("model.safetensors.index.json", "heads/*.json", "heads/*.safetensors", "README.md")
"""With the config and the weights, all that is fetched of a model's repository."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_AT_ONCE = 8
"""Files that are fetched at the same time."""


@dataclass(frozen=True)
class Listing:
    """What a repository holds at one commit.

    Attributes
    ----------
    commit : 40 hexadecimal digits.
    private : whether only its owner sees it.
    sizes : bytes by path.
    digests : SHA-256 by path, of the files that the Hub keeps one of (the large ones).
    """

    commit: str
    private: bool
    sizes: Mapping[str, int]
    digests: Mapping[str, str]


def list_repository(name: HubName) -> Listing:
    """The files of a repository, by one question to the Hub.

    Raises
    ------
    HubError
        if it cannot be had; the message says what to do.
    """
    from huggingface_hub import HfApi, constants

    with explained(name):
        ask = HfApi().model_info if name.kind == "model" else HfApi().dataset_info
        info = ask(
            name.repo,
            revision=name.revision,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
    files = info.siblings or []
    return Listing(
        str(info.sha),
        bool(info.private),
        {file.rfilename: file.size or 0 for file in files},
        {file.rfilename: file.lfs.sha256 for file in files if file.lfs},
    )


def fetch_model(name: HubName, check_config: Callable[[Path], object]) -> Path:
    """Fetch a model; returns its folder in the Hub's cache.

    Nothing but safetensors, JSON and the card is fetched. Files that are there already are not
    fetched again, and transfers that were cut go on. config.json comes last, once all other files
    are checked against the Hub's own digests: a folder that has one is whole.

    Parameters
    ----------
    name : the repository.
    check_config : raises if the config.json that it is given is not that of a usable model;
        called before anything large is fetched.

    Raises
    ------
    HubError
        if it cannot be had, is no model, or holds its weights only as pickles.
    """
    from huggingface_hub import hf_hub_download

    listing = _listing_or_what_is_here(name)
    files = model_files(name, listing)
    _check_config(name, listing, check_config)
    with explained(name), patience():
        _check_digests(name, _fetch_files(name, listing, files), listing)
        config = Path(hf_hub_download(name.repo, CONFIG, revision=name.revision))
    if config.parent.name != listing.commit:
        raise HubError(f"{name}: changed while it was fetched; run the command again")
    return config.parent


def _fetch_files(name: HubName, listing: Listing, files: list[str]) -> dict[str, Path]:
    """Fetch ``files`` of the listed commit, several at once; returns where each is in the cache.

    Not by ``snapshot_download``, which lists the files once more, and waits for that list for ever.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]
    from tqdm.contrib.concurrent import thread_map

    def fetch(file: str) -> Path:
        return Path(hf_hub_download(name.repo, file, revision=listing.commit))

    found = thread_map(
        fetch, files, max_workers=_AT_ONCE, tqdm_class=tqdm, desc=f"Fetching {len(files)} files"
    )
    return dict(zip(files, found, strict=True))


def _check_config(name: HubName, listing: Listing, check_config: Callable[[Path], object]) -> None:
    """Look at config.json outside the cache, where one that is refused would be taken for whole."""
    from huggingface_hub import hf_hub_download

    with TemporaryDirectory() as folder, explained(name):
        path = Path(hf_hub_download(name.repo, CONFIG, revision=listing.commit, local_dir=folder))
        try:
            check_config(path)
        except ShamisaError as error:  # its path is of no use to anyone
            raise HubError(f"{name}: {str(error).replace(str(path), CONFIG)}") from error


def _listing_or_what_is_here(name: HubName) -> Listing:
    """:func:`list_repository`; its error says so if there is an earlier copy that can be used."""
    try:
        return list_repository(name)
    except HubError as error:
        here = cached_file(name, CONFIG)
        if here is None:
            raise
        raise HubError(
            f"{error} (as pulled before it is here, and of use: {here.parent})"
        ) from error


def model_files(name: HubName, listing: Listing) -> list[str]:
    """The files of a repository that belong to its model, without config.json.

    Raises
    ------
    HubError
        if it is no model, or has pickles for weights.
    """
    if not any(_any_match(path, WEIGHTS) for path in listing.sizes):
        pickles = [path for path in listing.sizes if path.endswith(PICKLES)]
        if pickles:
            raise HubError(
                f"{name}: holds its weights only as pickles ({', '.join(sorted(pickles)[:3])}). A "
                "pickle can run any code, so none is ever read: ask its owner for model.safetensors"
            )
        raise HubError(f"{name}: holds no model: there is no model.safetensors")
    if CONFIG not in listing.sizes:
        raise HubError(f"{name}: holds no model of ours or timm's: there is no {CONFIG}")
    files = [path for path in listing.sizes if _any_match(path, (*WEIGHTS, *OTHERS))]
    return [path for path in files if ".." not in PurePosixPath(path).parts]


def _check_digests(name: HubName, fetched: Mapping[str, Path], listing: Listing) -> None:
    """Compare with the Hub's digests; files that differ are removed from the cache."""
    damaged = [
        file
        for file, path in fetched.items()
        if file in listing.digests and file_digest(path) != listing.digests[file]
    ]
    for file in damaged:
        fetched[file].resolve().unlink(missing_ok=True)
        fetched[file].unlink(missing_ok=True)
    if damaged:
        raise HubError(
            f"{name}: {', '.join(damaged)} arrived damaged, and was removed; run the command again"
        )


def _any_match(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)
