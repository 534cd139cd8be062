"""Who competes in gMAD: models with their heads, and tables of scores that somebody else made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import tee
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from shamisa_cli.datasets.tables import read_csv, to_number
from shamisa_cli.errors import PhotoError, UsageError
from shamisa_cli.evaluation.frozen_encoder import Skip
from shamisa_cli.evaluation.measures import Array
from shamisa_cli.experiments.gmad_pool import FolderPool, Picture, Pool
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.heads import choose_head
from shamisa_cli.models.names import CONFIG_FILE, locate_model
from shamisa_cli.scoring.loading import load
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.scorer import Scorer
from shamisa_cli.spelling import unescape_name

Item = tuple[Picture, Image.Image | Path]
"""A picture of the pool, and what a Scorer takes."""


@dataclass(frozen=True, eq=False)
class Model:
    """A model that competes.

    Attributes
    ----------
    name : of the model; with the head's where two heads of one model compete.
    scorer : how it looks at pictures.
    """

    name: str
    scorer: Scorer


@dataclass(frozen=True, eq=False)
class Table:
    """Somebody else's scores, higher is better.

    Attributes
    ----------
    name : of the file.
    scores : by the path of a picture in the pool.
    """

    name: str
    scores: Mapping[Path, float]


Competitor = Model | Table


@dataclass(frozen=True, eq=False)
class Scored:
    """The pictures of a pool that both competitors have a score for, in the order of the pool.

    Attributes
    ----------
    pictures : n pictures.
    first, second : (n,) scores of the two competitors.
    """

    pictures: list[Picture]
    first: Array
    second: Array


def load_models(
    names: tuple[str, str], heads: tuple[str | None, str | None], device: str, workers: int | None
) -> tuple[Model, Model]:
    """Two models by name, each with a head; one encoder serves two heads of the same model.

    Raises
    ------
    UsageError
        if both are the same head of the same model. WeightsError for what cannot be found.
    """
    first = load(names[0], heads[0], device, workers=workers)
    folder, other = locate_model(names[0]), locate_model(names[1])
    if folder.resolve() != other.resolve():
        second = load(names[1], heads[1], device, workers=workers)
    else:
        config = ModelConfig.load(folder / CONFIG_FILE)
        head = choose_head(folder, heads[1], config)
        second = Scorer(first.extractor, head, model=first.model, workers=first.workers)
    titles = _titles(names, (first, second), (folder, other))
    return Model(titles[0], first), Model(titles[1], second)


def load_one(name: str, head: str | None, device: str, workers: int | None) -> Model:
    """A model by name, to compete with a table."""
    scorer = load(name, head, device, workers=workers)
    return Model(scorer.model.split("@")[0], scorer)


def _titles(
    names: tuple[str, str], scorers: tuple[Scorer, Scorer], folders: tuple[Path, Path]
) -> tuple[str, str]:
    """What tables call the two: as short as tells them apart."""
    short = [scorer.model.split("@")[0] for scorer in scorers]
    if short[0] != short[1]:
        return short[0], short[1]
    heads = [scorer.head.info.name for scorer in scorers]
    if folders[0].resolve() != folders[1].resolve():
        return names
    if heads[0] == heads[1]:
        raise UsageError(
            f"both are the head {heads[0]} of {short[0]}, which cannot differ from itself; "
            "choose two models, or two heads of one"
        )
    return f"{short[0]}/{heads[0]}", f"{short[1]}/{heads[1]}"


def read_table(path: Path, folder: Path, pool: FolderPool) -> Table:
    """The scores of a CSV with the columns path and score; rows without a score are passed over.

    Paths are looked for in the pool's ``folder`` first, then beside the CSV, then as they are. Rows
    of pictures that are not in the pool are passed over.

    Raises
    ------
    UsageError
        if no picture of the pool has a score, or one has two; the message names the row.
    """
    known = {picture.path.absolute(): picture.path for picture in pool.pictures}
    scores: dict[Path, float] = {}
    for where, cells in read_csv(path, ("path", "score")):
        if not cells["score"]:
            continue  # a photo that failed
        name = unescape_name(cells["path"])
        places = ((place / name).absolute() for place in (folder, path.parent, Path()))
        found = next((known[place] for place in places if place in known), None)
        if found is None:
            continue
        if found in scores:
            raise UsageError(f"{where}: {cells['path']} is in the table twice")
        scores[found] = to_number(cells["score"], where, "score")
    if not scores:
        raise UsageError(
            f"{path}: none of its paths is a picture in {folder}; write them relative to that "
            f"folder, such as {pool.pictures[0].path.relative_to(folder)}"
        )
    return Table(path.stem, scores)


def in_tables(pool: FolderPool, competitors: Iterable[Competitor]) -> FolderPool:
    """The pictures of ``pool`` that have a score in every table among ``competitors``."""
    tables = [each.scores for each in competitors if isinstance(each, Table)]
    return FolderPool(
        tuple(each for each in pool.pictures if all(each.path in scores for scores in tables))
    )


def score_pool(
    pool: Pool,
    competitors: tuple[Competitor, Competitor],
    skip: Skip,
    step: Callable[[], object] = lambda: None,
) -> Scored:
    """One pass over the pool for each competitor, side by side; memory stays bounded.

    Pictures that a competitor cannot score are left out, and ``skip`` is told. Two heads of one
    model share the features. ``pool`` is what :func:`in_tables` left of it.

    Raises
    ------
    PhotoError
        if no picture is left.
    """
    pictures: list[Picture] = []
    values: list[tuple[float, float]] = []
    for picture, first, second in _scores(pool.stream(skip), competitors):
        step()
        if isinstance(first, float) and isinstance(second, float):
            pictures.append(picture)
            values.append((first, second))
        else:
            why = first if isinstance(first, str) else second
            skip(PhotoError(f"{picture.path}: {why}"))
    if not pictures:
        raise PhotoError("no picture of the pool has a score of both")
    both = np.array(values)
    return Scored(pictures, both[:, 0], both[:, 1])


def _scores(
    items: Iterable[Item], competitors: tuple[Competitor, Competitor]
) -> Iterator[tuple[Picture, float | str, float | str]]:
    """Each picture with what the two say of it, or why they say nothing.

    The slower of the two decides how far the stream is read: what one has taken and the other has
    not are the few pictures that its threads work ahead.
    """
    first, second = competitors
    scorers = [each.scorer for each in competitors if isinstance(each, Model)]
    if len(scorers) == 2 and scorers[0].extractor is scorers[1].extractor:
        return _scores_of_heads(items, *scorers)
    pictures, left, right = tee(items, 3)
    return (
        (picture, one, other)
        for (picture, _), one, other in zip(
            pictures, _scores_of(first, left), _scores_of(second, right), strict=True
        )
    )


def _scores_of(competitor: Competitor, items: Iterable[Item]) -> Iterator[float | str]:
    if isinstance(competitor, Table):
        return (competitor.scores[picture.path] for picture, _ in items)
    return map(_said, competitor.scorer.score_many(photo for _, photo in items))


def _scores_of_heads(
    items: Iterable[Item], first: Scorer, second: Scorer
) -> Iterator[tuple[Picture, float | str, float | str]]:
    pictures, photos = tee(items)
    found = first.score_with_features(photo for _, photo in photos)
    for (picture, _), (score, features) in zip(pictures, found, strict=True):
        yield picture, _said(score), _said(score, features, second)


def _said(score: Score, features: Tensor | None = None, other: Scorer | None = None) -> float | str:
    """The score, or that of the head of ``other``; why there is none."""
    if score.score is None:
        return score.error
    if other is not None and features is not None:
        return other.head.score(features).score
    return score.score
