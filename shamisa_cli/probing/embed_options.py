"""What a map is asked to show, and what cannot be meant; refused before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shamisa_cli.errors import UsageError
from shamisa_cli.probing.options import check_files
from shamisa_cli.probing.projection import Method, check_method

Kind = Literal["photos", "dataset", "ladder"]
COLOURS: dict[Kind, tuple[str, ...]] = {
    "photos": ("score",),
    "dataset": ("mos", "score"),
    "ladder": ("distortion", "severity", "score"),
}
"""What pictures can be coloured by; the first is the default."""


@dataclass(frozen=True)
class EmbedOptions:
    """The options of ``shamisa embed``, by their names there."""

    paths: tuple[str, ...]
    recursive: bool
    dataset: str | None
    root: Path | None
    photos: Path | None
    sample: int | None
    colour_by: str | None
    method: Method
    seed: int
    model: str
    head: str | None
    plot: Path | None
    csv: Path | None
    features_cache: Path | None
    device: str
    precision: str
    workers: int
    quiet: bool

    @property
    def kind(self) -> Kind:
        """Where the pictures come from."""
        if self.dataset is None:
            return "photos"
        return "ladder" if self.dataset == "ladder" else "dataset"

    @property
    def colour(self) -> str:
        """What the map is coloured by: what is asked for, or what suits the pictures."""
        return self.colour_by or COLOURS[self.kind][0]


def check_options(asked: EmbedOptions) -> None:
    """Refuse combinations that cannot be meant.

    Raises
    ------
    UsageError
        which says what to give instead.
    """
    if bool(asked.paths) == bool(asked.dataset):
        raise UsageError(
            "which pictures? Give photos or folders, or --dataset NAME, or --dataset ladder with "
            "--photos FOLDER: one of these"
        )
    if (asked.kind == "ladder") != (asked.photos is not None):
        raise UsageError("--dataset ladder and --photos, whose ladders it makes, go together")
    if not (asked.plot or asked.csv):
        raise UsageError("nothing to make: give --plot FILE, --csv FILE, or both")
    if asked.colour not in COLOURS[asked.kind]:
        raise UsageError(
            f"--colour-by {asked.colour}: {asked.kind} can be coloured by "
            f"{' or '.join(COLOURS[asked.kind])}"
        )
    if asked.head and asked.colour != "score":
        raise UsageError(f"--head is for --colour-by score, not {asked.colour}")
    check_method(asked.method)
    check_files((asked.csv, asked.plot), asked.plot)
