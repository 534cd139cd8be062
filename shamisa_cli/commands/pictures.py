"""Which pictures ``shamisa embed`` draws, and what they can be colored by."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from shamisa_cli.commands.completion import DATASETS, one_of
from shamisa_cli.commands.shared import (
    FOLDER,
    PassedBy,
    follow_links_option,
    names_given,
    option_group,
    recursive_option,
    root_option,
    seed_option,
)
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip
    from shamisa_cli.maps.points import Points

LADDER_PHOTOS = 8
"""Photos whose ladders are on the map unless --sample says otherwise: 120 pictures each."""

Kind = Literal["photos", "dataset", "datasets", "ladder"]
COLORS: dict[Kind, tuple[str, ...]] = {
    "photos": ("score", "folder", "none"),
    "dataset": ("mos", "score", "dataset"),
    "datasets": ("dataset", "score"),  # human scores of several are in different units
    "ladder": ("distortion", "severity", "score"),
}
"""What pictures can be colored by; the first is the default, but a score needs a head."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Which pictures are on the map; options that do not go together are refused."""

    paths: tuple[str, ...]
    recursive: bool
    follow_links: bool
    dataset: tuple[str, ...]
    root: Path | None
    photos: Path | None
    sample: int | None
    seed: int

    def __post_init__(self) -> None:
        if bool(self.paths) == bool(self.dataset):
            raise UsageError(
                "which pictures? Give photos or folders, or --dataset NAME, or --dataset ladder "
                "with --photos FOLDER: one of these"
            )
        if "ladder" in self.dataset and len(self.dataset) > 1:
            raise UsageError("--dataset ladder stands alone: ladders have no other pictures beside")
        if (self.kind == "ladder") != (self.photos is not None):
            raise UsageError("--dataset ladder and --photos, whose ladders it makes, go together")

    @property
    def kind(self) -> Kind:
        """Where the pictures come from."""
        if not self.dataset:
            return "photos"
        if self.dataset == ("ladder",):
            return "ladder"
        return "dataset" if len(self.dataset) == 1 else "datasets"

    @property
    def name(self) -> str:
        """What the map is of."""
        return ", ".join(self.dataset) or "photos"

    def color(self, color_by: str | None, head: str | None) -> str:
        """What the map is colored by: what is asked for, or what suits the pictures."""
        fitting = COLORS[self.kind]
        color = color_by or fitting[0]
        if color not in fitting:
            raise UsageError(
                f"--color-by {color}: {self.kind} can be colored by {' or '.join(fitting)}"
            )
        if head and color != "score":
            raise UsageError(f"--head is for --color-by score, not {color}")
        return color

    def points(self, frozen: FrozenEncoder, skip: Skip) -> Points:
        """The pictures with their features."""
        from shamisa_cli.datasets.registry import open_dataset
        from shamisa_cli.imaging.paths import expand_paths, list_photos
        from shamisa_cli.ladders.extract import extract_ladders
        from shamisa_cli.ladders.ladder import draw
        from shamisa_cli.maps.points import (
            dataset_points,
            joined_points,
            ladder_points,
            photo_points,
        )

        passed_by = PassedBy()
        how: Any = {"follow_links": self.follow_links, "pass_by": passed_by}
        if not self.dataset:
            found = expand_paths(self.paths, recursive=self.recursive, **how)
            paths = [Path(path) for path in found]
            passed_by.tell()
            if not paths:
                raise UsageError(f"no photos in {', '.join(self.paths)}")
            return photo_points(frozen, paths, skip, self.sample, self.seed)
        if self.photos is None:
            opened = [open_dataset(name, self.root) for name in self.dataset]
            parts = [dataset_points(frozen, each, skip, self.sample, self.seed) for each in opened]
            return parts[0] if len(parts) == 1 else joined_points(parts)
        drawn = draw(list_photos(self.photos, **how), self.sample or LADDER_PHOTOS, self.seed)
        passed_by.tell()
        return ladder_points(extract_ladders(frozen, drawn, skip, seed=self.seed))


picture_options = option_group(
    "pictures",
    Pictures,
    click.argument("paths", nargs=-1, type=click.Path(readable=False)),
    recursive_option,
    follow_links_option,
    click.option(
        "--dataset",
        multiple=True,
        callback=names_given,
        shell_complete=one_of((*DATASETS, "ladder"), "file"),
        help="Instead of PATHS: a name, a CSV with image,mos, several with commas, or ladder.",
    ),
    root_option,
    click.option("--photos", type=FOLDER, help="Photos for --dataset ladder."),
    click.option(
        "--sample",
        type=click.IntRange(1),
        help="So many photos at most, of each dataset, drawn at random.  "
        "[default: all; for ladders, 8]",
    ),
    seed_option,
)
