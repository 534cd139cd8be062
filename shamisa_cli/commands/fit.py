"""``shamisa fit``: a head from human scores, kept for the model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from shamisa_cli.commands.completion import complete_dataset
from shamisa_cli.commands.shared import (
    FILE,
    FOLDER,
    Skipped,
    allow_seen_option,
    check_files,
    command,
    draw_ladder_photos,
    feature_options,
    flags_for,
    mention_part,
    mention_seen,
    model_option,
    open_model,
    option_group,
    overwrite_option,
    per_photo_option,
    root_option,
    sample_option,
    split_options,
)
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from shamisa_cli.evaluation.datasets import DatasetResult
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip
    from shamisa_cli.ladders.ladder import LadderResult
    from shamisa_cli.models.config import ModelConfig
    from shamisa_cli.models.head import Head


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

    def draw(self, seed: int) -> list[Path]:
        """The photos to make ladders of, then the others; too few are refused."""
        others = self.good_photos if self.proxy_weight else 0
        return draw_ladder_photos(self.ladders, "--ladders", self.ladder_photos + others, seed)

    def fit(
        self,
        name: str,
        result: DatasetResult,
        features: Tensor,
        frozen: FrozenEncoder,
        photos: list[Path],
        seed: int,
        skip: Skip,
    ) -> tuple[Head, DatasetResult, dict[str, LadderResult] | None]:
        """A head on the images' features (n, K, F) and on ``photos``, see :meth:`draw`, if any."""
        from shamisa_cli.evaluation.datasets import fit_head
        from shamisa_cli.evaluation.ridge import image_features
        from shamisa_cli.ladders.extract import extract_edits, extract_ladders
        from shamisa_cli.ladders.heads import fit_head_with_ladders
        from shamisa_cli.ladders.ladder import check_photos
        from shamisa_cli.ladders.lessons import LessonOptions

        if not photos:
            return fit_head(name, result, features), result, None
        photos, others = photos[: self.ladder_photos], photos[self.ladder_photos :]
        ladders = extract_ladders(frozen, photos, skip, self.ladder_per_photo, seed)
        readable = list(dict.fromkeys(ladders.photos))
        check_photos(self.ladders or Path(), len(readable))
        weights = self.ladder_weight, self.ladder_gap, self.ladder_drop
        options = LessonOptions(*weights, self.proxy_weight, self.edit_weight)
        edits = extract_edits(frozen, readable, seed) if self.edits else None
        if edits and others:
            good = image_features(frozen.features(others, skip, what="good photos")[1])
            edits = dataclasses.replace(edits, others=good)
        return fit_head_with_ladders(
            name, result, features, ladders, edits, options, calibrate=self.calibrate
        )

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


@command()
@click.argument("dataset", shell_complete=complete_dataset)
@click.option("--name", required=True, help="Name of the head, for: shamisa score --head NAME.")
@root_option
@model_option
@split_options
@ladder_options
@click.option("--json", type=FILE, help="Write everything measured as JSON.")
@overwrite_option
@allow_seen_option
@feature_options
def fit(
    dataset: str,
    name: str,
    root: Path | None,
    model: str,
    splits: dict[str, Any],
    request: LadderRequest,
    json: Path | None,
    overwrite: bool,
    allow_seen: bool,
    features: dict[str, Any],
) -> None:
    """Fit a head to the human scores of DATASET, and keep it (shamisa models shows where).

    DATASET is a CSV with the columns image and mos, or a name (see: shamisa datasets). The head is
    fitted on all images. Its figures are of heads fitted in the same way on a part of them, as in
    shamisa probe. More in docs/probing.md.

    \b
    shamisa fit mine.csv --name mine      then: shamisa score photos/ --head mine
    shamisa fit clive --name mixed --ladders photos/ --calibrate
    """
    from shamisa_cli.datasets.registry import open_dataset
    from shamisa_cli.evaluation.datasets import evaluate_dataset
    from shamisa_cli.evaluation.splits import choose_splits
    from shamisa_cli.models.heads import check_head_name, save_head
    from shamisa_cli.models.store import encoder_digest

    check_files(json, overwrite=overwrite)
    check_head_name(name)
    scored = open_dataset(dataset, root)
    mention_part(scored)
    chosen = choose_splits(scored, **splits)
    photos = request.draw(splits["seed"])
    folder, config, frozen = _frozen(model, name, overwrite, scored.info.short_side, features)
    digest = encoder_digest(folder, config)  # now: a training may go on while features are made
    if not allow_seen:
        mention_seen(config, scored)
    skipped = Skipped()
    found = frozen.dataset(scored, skipped)
    result = evaluate_dataset(frozen.name, found, chosen)
    head, of_head, ladders = request.fit(
        name, result, found.features, frozen, photos, splits["seed"], skipped
    )
    head = dataclasses.replace(head, info=dataclasses.replace(head.info, encoder=digest))
    _tell(result, head, of_head, ladders, json)
    path = save_head(folder, head, overwrite=overwrite)
    click.echo(f"\nhead {name} on {head.info.n_images} images: {path}")
    skipped.tell("in the fit")


def _frozen(
    model: str, name: str, overwrite: bool, short_side: int | None, features: dict[str, Any]
) -> tuple[Path, ModelConfig, FrozenEncoder]:
    """Folder, config and encoder of a model that can have a head ``name`` for such photos."""
    from shamisa_cli.models.heads import check_new_head

    folder, config, frozen = open_model(model, features)
    with flags_for("overwrite"):
        check_new_head(folder, name, overwrite=overwrite)
    seen = frozen.protocol_for(short_side)
    if seen != config.protocol:
        raise UsageError(
            f"the dataset is viewed by {seen}, but the model scores by {config.protocol}; "
            f"change protocol in {folder / 'config.json'} of a copy"
        )
    return folder, config, frozen


def _tell(
    result: DatasetResult,
    head: Head,
    of_head: DatasetResult,
    ladders: dict[str, LadderResult] | None,
    json: Path | None,
) -> None:
    """Print the figures, and write them if that is asked for."""
    from shamisa_cli.evaluation import report
    from shamisa_cli.evaluation.evaluate import summarize
    from shamisa_cli.files import write_text
    from shamisa_cli.ladders.ladder import ladder_cells

    rows = [result.row()] + ([of_head.row("with ladders")] if ladders else [])
    click.echo(report.text_table(report.row_cells(rows)), nl=False)
    if ladders:
        click.echo(f"\n{head.info.note}")
        click.echo("a fifth of the ladders' photos, by a head fitted on the others:")
        click.echo(report.text_table(ladder_cells(ladders)), nl=False)
    if json:
        figures = {"info": head.info, "measures": summarize(of_head.results)}
        everything = {"rows": rows, "splits": result.split_facts()}
        write_text(json, report.json_text({**everything, "head": figures, "ladders": ladders}))
