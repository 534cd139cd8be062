"""The head that goes with an encoder."""

from __future__ import annotations

from pathlib import Path

from shamisa_cli.errors import WeightsError
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import Head
from shamisa_cli.models.heads import default_head, load_head
from shamisa_cli.models.store import encoder_digest


def choose_head(folder: Path, name: str | None, config: ModelConfig) -> Head:
    """The head ``name`` of a model folder, or its default, if it was fitted on its encoder.

    Parameters
    ----------
    folder, config : of a model that was loaded.

    Raises
    ------
    UnknownNameError
        if there is no head of that name, with near matches.
    WeightsError
        if its files are damaged; or if it is a head of another encoder: the model was trained on
        since, or its pooling or statistics are others now.
    """
    head = load_head(folder, name or default_head(folder, config.default_head))
    again = f"fit it again with: shamisa fit DATASET --model {folder} --name {head.info.name}"
    features = config.feature_size * len(config.protocol.scales)
    if head.info.features != features:
        raise WeightsError(
            f"head {head.info.name!r} of {folder} takes {head.info.features} features, the model "
            f"gives {features}; {again}"
        )
    if head.info.encoder and head.info.encoder != encoder_digest(folder, config):
        raise WeightsError(
            f"head {head.info.name!r} of {folder} was fitted before the model's weights or the "
            f"making of its features changed; {again}"
        )
    return head
