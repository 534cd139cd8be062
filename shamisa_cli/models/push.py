"""A model folder to the Hub, checked first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from shamisa_cli.errors import ShamisaError, WeightsError
from shamisa_cli.hub.client import explained
from shamisa_cli.hub.names import HubName
from shamisa_cli.hub.upload import Uploaded, prepare_repository, read_text, upload_model
from shamisa_cli.models.card import CARD_FILE, dead_links, pictures, updated_card
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import HeadInfo
from shamisa_cli.models.heads import HEADS_FOLDER, choose_head, list_heads
from shamisa_cli.models.names import CONFIG_FILE
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
    config, heads = check_model(folder)
    card = read_card(folder)
    if card is not None:
        card = updated_card(card, config, heads, name, license)  # refused before anything is made
    listing = prepare_repository(name, private=private)
    if card is None:
        card = updated_card(read_text(name, CARD_FILE, listing), config, heads, name, license)
    with explained(name, place="TMPDIR"), TemporaryDirectory() as staging:
        files = stage(folder, Path(staging), card)
        dead = dead_links(card, {*files, *listing.digests})
        if dead:
            say(f"{CARD_FILE}: these links lead nowhere on the Hub: {', '.join(dead)}")
        return upload_model(Path(staging), name, message, create_pr=create_pr)


def read_card(folder: Path) -> str | None:
    """The card of a model folder, if it has one.

    Raises
    ------
    ShamisaError
        if it cannot be read as UTF-8.
    """
    path = folder / CARD_FILE
    try:
        return path.read_text(encoding="utf-8-sig") if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ShamisaError(f"{path}: cannot be read as UTF-8: {error}") from error


def check_model(folder: Path) -> tuple[ModelConfig, list[HeadInfo]]:
    """Config and heads of a model, the default head first.

    Raises
    ------
    WeightsError
        if a file is missing or damaged, or does not fit the others.
    """
    _, config = load_encoder(folder)
    heads = [choose_head(folder, name, config).info for name in list_heads(folder)]
    if config.default_head and config.default_head not in list_heads(folder):
        raise WeightsError(f"{folder}: its default head {config.default_head!r} is missing")
    return config, sorted(heads, key=lambda head: head.name != config.default_head)


def stage(folder: Path, staging: Path, card: str) -> list[str]:
    """Copy what is pushed into ``staging``; returns the paths there."""
    files = [folder / CONFIG_FILE, folder / WEIGHTS_FILE]
    for name in list_heads(folder):
        files += [folder / HEADS_FOLDER / f"{name}{end}" for end in (".json", ".safetensors")]
    files += [folder / picture for picture in pictures(card, folder)]
    for file in files:
        to = staging / file.relative_to(folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
    (staging / CARD_FILE).write_text(card, encoding="utf-8", newline="")
    return [CARD_FILE, *(file.relative_to(folder).as_posix() for file in files)]
