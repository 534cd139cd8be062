"""What ``shamisa fit`` asks of severity ladders: its options, and what heads learn from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from shamisa_cli.commands.shared import (
    FOLDER,
    draw_ladder_photos,
    option_group,
    per_photo_option,
    sample_option,
)
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder, Skip
    from shamisa_cli.ladders.heads import TaughtDataset


@dataclasses.dataclass(frozen=True)
class LadderRequest:
    """The ladders that take part in the fit; none without a folder of photos."""

    ladders: Path | None
    ladder_photos: int
    good_photos: int
    ladder_per_photo: int
    ladder_weight: float
    ladder_gap: float
    ladder_drop: float
    proxy_weight: float
    edit_weight: float
    calibrate: bool

    def __post_init__(self) -> None:
        context = click.get_current_context()
        for field in dataclasses.fields(self) if self.ladders is None else ():
            if context.get_parameter_source(field.name) is ParameterSource.COMMANDLINE:
                option = "--" + field.name.replace("_", "-")
                raise UsageError(f"{option} has no effect without --ladders FOLDER")

    def draw(self, seed: int, without: Callable[[Path], bool]) -> list[Path]:
        """The photos to make ladders of, then the others; too few are refused.

        None of ``without`` is drawn.
        """
        others = self.good_photos if self.proxy_weight else 0
        count = self.ladder_photos + others
        return draw_ladder_photos(self.ladders, "--ladders", count, seed, without)

    def teach(
        self,
        frozen: FrozenEncoder,
        found: DatasetFeatures,
        photos: list[Path],
        seed: int,
        skip: Skip,
        count: int | None = None,
    ) -> TaughtDataset:
        """What heads of a dataset learn from beside its scores: ``photos``, see :meth:`draw`.

        Ladders are of ``count`` of them, or of as many as are asked for.
        """
        from shamisa_cli.ladders.extract import extract_edits, extract_ladders
        from shamisa_cli.ladders.heads import teach
        from shamisa_cli.ladders.ladder import check_photos
        from shamisa_cli.ladders.lessons import LessonOptions

        photos, others = photos[: self.ladder_photos], photos[self.ladder_photos :]
        ladders = extract_ladders(frozen, photos[:count], skip, self.ladder_per_photo, seed)
        readable = list(dict.fromkeys(ladders.photos))
        check_photos(self.ladders or Path(), len(readable))
        weights = self.ladder_weight, self.ladder_gap, self.ladder_drop
        options = LessonOptions(*weights, self.proxy_weight, self.edit_weight)
        edits = extract_edits(frozen, readable, seed, others, skip) if self.edits else None
        return teach(found.dataset, found.features, ladders, edits, options)

    @property
    def edits(self) -> bool:
        """Whether photos are edited: for the fit itself, or as they are, for calibration."""
        return bool(self.proxy_weight or self.edit_weight or self.calibrate)


AT_LEAST_0 = click.FloatRange(0)
ladder_options = option_group(
    "request",
    LadderRequest,
    click.option("--ladders", type=FOLDER, help="Also put ladders of these photos in order."),
    sample_option("--ladder-photos"),
    click.option(
        "--good-photos",
        type=click.IntRange(0),
        default=2000,
        help="So many of its other photos, as they are, should score high.",
    ),
    per_photo_option("--ladder-per-photo"),
    click.option(
        "--ladder-weight",
        type=AT_LEAST_0,
        default=20.0,
        help="What all pairs in order count; all human scores count 1.",
    ),
    click.option(
        "--ladder-gap",
        type=AT_LEAST_0,
        default=5.0,
        help="Fall from each level to the next, in percent of the score range.",
    ),
    click.option(
        "--ladder-drop",
        type=AT_LEAST_0,
        default=0.0,
        help="Fall from the mildest to the strongest level, likewise.",
    ),
    click.option(
        "--proxy-weight",
        type=AT_LEAST_0,
        default=1.0,
        help="What scores by MDSI of ladders, and of photos as they are, count.",
    ),
    click.option(
        "--edit-weight",
        type=AT_LEAST_0,
        default=2.0,
        help="What harmless edits of these photos count.",
    ),
    click.option(
        "--calibrate",
        is_flag=True,
        help="Scores: strongest ladder levels at 20, the ladders' photos as they are at 80.",
    ),
)
