"""What a run contrasts, from its config and the dataset; what it cannot contrast is refused."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.encoders.halves import Joint, cell_side
from shamisa_cli.errors import UsageError
from shamisa_cli.evaluation.feature_cache import file_digest
from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.ridge import image_features
from shamisa_cli.finetuning.config import FinetuneConfig
from shamisa_cli.finetuning.contrast import LocalContrast, make_graphs
from shamisa_cli.finetuning.saliency import check_attention


def check_contrast(config: FinetuneConfig, frozen: FrozenEncoder) -> None:
    """Refuse graph sources that cannot do with labeled photos, and models without places.

    These are the models that do not see photos whole, or see them twice.
    """
    if not config.contrasts:
        return
    protocol = frozen.protocol
    if protocol.crops != "whole":
        raise UsageError(
            f"method lml chooses places of whole photos, and this model sees {protocol.crops} "
            "crops of them: choose another model, or method regress"
        )
    if len(protocol.scales) > 1:
        raise UsageError(
            f"method lml chooses places at one scale, and this model has {len(protocol.scales)}: "
            "choose another model, or method regress"
        )
    if config.contrast.saliency == "attention":
        check_attention(frozen.encoder.backbone)
    make_graphs(config.contrast)


def make_contrast(
    frozen: FrozenEncoder,
    found: DatasetFeatures,
    train: Tensor,
    config: FinetuneConfig,
    joint: Joint | None,
) -> LocalContrast | None:
    """What a run contrasts, if it does.

    Parameters
    ----------
    frozen, found : the encoder that training starts from, and its features of the dataset.
    train : (t,) int64, the images to learn from.
    joint : where the first layers are kept apart, if they are.
    """
    check_contrast(config, frozen)
    if not config.contrasts:
        return None
    encoder, dataset = frozen.encoder, found.dataset
    features = image_features(found.features[train])
    low, high = dataset.info.score_range
    shares = torch.full((len(dataset.scores),), torch.nan)
    shares[train] = ((dataset.scores[train] - low) / (high - low)).float()
    cell = 1
    if joint is not None:
        features, cell = features[:, joint.late], cell_side(encoder, joint)
    steps = config.total_steps(len(train), config.images)
    same = identities([file_digest(path) for path in dataset.images])
    return LocalContrast(encoder, features, shares, same, config.contrast, steps, cell, config.seed)


def identities(digests: list[str]) -> Tensor:
    """(n,) int64: of each file the first with its content."""
    first: dict[str, int] = {}
    return torch.tensor([first.setdefault(digest, n) for n, digest in enumerate(digests)])
