"""A model folder to the Hub, checked first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from shamisa_cli.errors import ShamisaError, WeightsError
from shamisa_cli.hub.client import explained
from shamisa_cli.hub.fetch import fetch_file
from shamisa_cli.hub.names import HubName
from shamisa_cli.hub.upload import Uploaded, prepare_repository, upload_model
from shamisa_cli.models.card import CARD_FILE, dead_links, pictures, updated_card
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import HeadInfo
from shamisa_cli.models.heads import HEADS_FOLDER, choose_head, find_head, list_heads
from shamisa_cli.models.names import CONFIG_FILE, EXPLAIN_FILES
from shamisa_cli.models.store import load_encoder
from shamisa_cli.models.weights import WEIGHTS_FILE


def push_model(
    folder: Path,
    name: HubName,
    *,
    message: str,
    private: bool = False,
    create_pr: bool = False,
    license: str | None = None,
    say: Callable[[str], object],
) -> Uploaded:
    """Check a model, update its card, and upload both; ``folder`` itself stays as it is.

    The card is that of the folder, or else that of the repository, or else a new one.

    Parameters
    ----------
    folder : model folder.
    name : where to; its revision is the branch.
    message : of the commit.
    private : make the repository private, if it has to be made.
    create_pr : open a pull request, rather than change the branch.
    license : for the card; see :func:`~shamisa_cli.models.card.updated_card`.
    say : hears which links of the card lead nowhere on the Hub.

    Raises
    ------
    WeightsError
        if the model is not whole; then nothing is sent.
    HubError
        if the Hub refuses, or cannot be reached.
    """
    config, heads = _check_model(folder)
    made = partial(updated_card, config=config, heads=heads, name=name, license=license)
    here = _read_card(folder, folder)
    card = made(here) if here is not None else None  # refused before anything is sent
    listing = prepare_repository(name, private=private)
    with explained(name, place="TMPDIR"), TemporaryDirectory() as staging:
        if card is None:
            if CARD_FILE in listing.digests:
                fetch_file(name, CARD_FILE, listing, Path(staging), place="TMPDIR")
            card = made(_read_card(Path(staging), name))
        files = _stage(folder, Path(staging), card)
        dead = dead_links(card, {*files, *listing.digests})
        if dead:
            say(f"{CARD_FILE}: these links lead nowhere on the Hub: {', '.join(dead)}")
        return upload_model(Path(staging), name, message, create_pr=create_pr)


def _read_card(folder: Path, whose: object) -> str | None:
    """The card in ``folder``, if there is one."""
    path = folder / CARD_FILE
    try:
        return path.read_text(encoding="utf-8-sig") if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ShamisaError(f"{whose}: its {CARD_FILE} cannot be read as UTF-8: {error}") from error


def _check_model(folder: Path) -> tuple[ModelConfig, list[HeadInfo]]:
    """Config and heads of a model that is whole, the default head first."""
    _, config = load_encoder(folder)
    heads = [choose_head(folder, name, config).info for name in list_heads(folder)]
    if config.default_head and config.default_head not in list_heads(folder):
        raise WeightsError(f"{folder}: its default head {config.default_head!r} is missing")
    return config, sorted(heads, key=lambda head: head.name != config.default_head)


def _stage(folder: Path, staging: Path, card: str) -> list[str]:
    """Copy what is pushed into ``staging``; returns the paths there."""
    files = {name: folder / name for name in (CONFIG_FILE, WEIGHTS_FILE)}
    for head in list_heads(folder):
        files |= {f"{HEADS_FOLDER}/{file.name}": file for file in find_head(folder, head)}
    files |= {name: folder / name for name in EXPLAIN_FILES if (folder / name).is_file()}
    for picture in pictures(card, folder):
        files[PurePath(picture).as_posix()] = folder / picture
    for name, file in files.items():
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, staging / name)
    (staging / CARD_FILE).write_text(card, encoding="utf-8", newline="")
    return [CARD_FILE, *files]
