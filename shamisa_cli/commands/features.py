"""``embed --out``: features of many photos as Parquet parts, by the engines of ``score --out``."""

from __future__ import annotations

import functools
from typing import Any

import click
from click.core import ParameterSource

from shamisa_cli.commands.shards import (
    ENGINE_OPTIONS,
    ShardRequest,
    job_of,
    names_of,
    refuse_given,
    score_shards,
)
from shamisa_cli.commands.shared import Command, option_group

_ONLY_WITH_OUT = (
    "engine", "address", "gpus_per_task", "shard", "shard_size", "image_column", "keep", "attempts",
)  # fmt: skip
_OF_MAPS = (
    "dataset", "root", "photos", "sample", "seed", "color_by", "method", "beside", "random",
    "plot", "csv", "json", "markdown", "overwrite", "cache", "recursive", "follow_links",
)  # fmt: skip
_LOADING = ("model", "head", "device", "precision")


def _request(
    out: str | None, shard: str | None, keep: str | None, **rest: Any
) -> ShardRequest | None:
    if out is None:
        refuse_given(_ONLY_WITH_OUT, "needs --out, the folder for a Parquet file a shard")
        return None
    refuse_given(_OF_MAPS, "is for maps; with --out there are features alone")
    return ShardRequest(
        out=out, status=None, job=job_of(shard), keep=names_of(keep), embeddings=True, **rest
    )


_options = option_group(
    "shards",
    _request,
    click.option("--out", metavar="DIR", help="No map: features of any number, as Parquet."),
    *ENGINE_OPTIONS,
)


def features_mode(command: Command) -> Command:
    """Add ``--out`` and its options to ``embed``; with it they take it over."""

    @functools.wraps(command)
    def run(*, shards: ShardRequest | None, **values: Any) -> Any:
        if shards is None:
            return command(**values)
        from shamisa_cli.scoring.features_only import load_features

        source = click.get_current_context().get_parameter_source("workers")
        workers = None if source is ParameterSource.DEFAULT else values["workers"]
        options = {name: values[name] for name in _LOADING}
        paths, quiet = values["paths"], values["quiet"]
        return score_shards(paths, shards, options, workers, quiet, load_features)

    return _options(run)
