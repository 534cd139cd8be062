"""What a map is asked to show, and what cannot be meant; refused before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.options import check_files
from shamisa_cli.maps.projection import Method, check_method

Kind = Literal["photos", "dataset", "ladder"]
COLORS: dict[Kind, tuple[str, ...]] = {
    "photos": ("score",),
    "dataset": ("mos", "score"),
    "ladder": ("distortion", "severity", "score"),
}
"""What pictures can be colored by; the first is the default."""


@dataclass(frozen=True)
class EmbedOptions:
    """The options of ``shamisa embed``, by their names there."""

    paths: tuple[str, ...]
    recursive: bool
    dataset: str | None
    root: Path | None
    photos: Path | None
    sample: int | None
    color_by: str | None
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
    def color(self) -> str:
        """What the map is colored by: what is asked for, or what suits the pictures."""
        return self.color_by or COLORS[self.kind][0]


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
    if asked.color not in COLORS[asked.kind]:
        raise UsageError(
            f"--color-by {asked.color}: {asked.kind} can be colored by "
            f"{' or '.join(COLORS[asked.kind])}"
        )
    if asked.head and asked.color != "score":
        raise UsageError(f"--head is for --color-by score, not {asked.color}")
    check_method(asked.method)
    check_files((asked.csv, asked.plot), asked.plot)
