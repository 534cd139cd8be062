"""``shamisa ladder``: does a score fall as distortions grow? No human scores are needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from shamisa_cli.commands.shared import (
    FOLDER,
    Crops,
    PassedBy,
    Skipped,
    check_files,
    command,
    crops_option,
    feature_options,
    follow_links_option,
    model_option,
    open_model,
    per_photo_option,
    sample_option,
    seed_option,
    table_options,
    write_files,
)


@command()
@click.argument("photos", type=FOLDER)
@model_option
@click.option("--head", help="Which head to test.  [default: the model's]")
@follow_links_option
@sample_option("--sample")
@per_photo_option("--per-photo")
@seed_option
@crops_option
@table_options
@feature_options
def ladder(
    photos: Path,
    model: str,
    head: str | None,
    follow_links: bool,
    sample: int,
    per_photo: int,
    seed: int,
    crops: Crops | None,
    files: dict[str, Path | None],
    features: dict[str, Any],
) -> None:
    """Test a head without human scores: does its score fall as damage grows?

    Each photo of the folder PHOTOS is distorted in 24 ways at five severities: its ladders. The
    table has for each distortion the share of adjacent levels of which the milder has the higher
    score, and Kendall's rank correlation with severity. More in docs/probing.md.

    \b
    shamisa ladder photos/
    shamisa ladder photos/ --model fast --head mine --sample 20
    """
    from shamisa_cli.evaluation.report import json_text, markdown_table, text_table
    from shamisa_cli.ladders.extract import extract_ladders
    from shamisa_cli.ladders.ladder import (
        check_photos,
        draw_photos,
        ladder_cells,
        ladder_csv,
        score_ladders,
    )
    from shamisa_cli.models.heads import choose_head

    check_files(*files.values())
    passed_by = PassedBy()
    drawn = draw_photos(photos, sample, seed, follow_links=follow_links, pass_by=passed_by)
    passed_by.tell()
    folder, config, frozen = open_model(model, features, crops)
    tested = choose_head(folder, head, config)
    skipped = Skipped()
    ladders = extract_ladders(frozen, drawn, skipped, per_photo, seed)
    check_photos(photos, len(set(ladders.photos)))
    up = tested.weight if tested.info.higher_is_better else -tested.weight
    results = score_ladders(ladders, up)
    cells = ladder_cells(results)
    click.echo(text_table(cells), nl=False)
    texts = {"csv": ladder_csv(results), "markdown": markdown_table(cells)}
    write_files(files, **texts, json=json_text(results))
    skipped.tell("in the figures")
