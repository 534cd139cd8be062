"""How far apart the places of one photo stay, beside those of different photos (ours).

LML-IQA (arXiv 2406.19247) argues that methods which treat all crops of a photo as alike shrink them
onto a point, and that its own keeps them spread out. This puts a number to it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from shamisa_cli.evaluation.frozen_encoder import DatasetFeatures, FrozenEncoder
from shamisa_cli.evaluation.splits import Split
from shamisa_cli.finetuning.config import FinetuneConfig
from shamisa_cli.finetuning.contrast import photos_of
from shamisa_cli.finetuning.contrasted import make_contrast
from shamisa_cli.finetuning.kept import Kept, looked
from shamisa_cli.finetuning.views import LabeledViews
from shamisa_cli.graphs.contrast import cosines
from shamisa_cli.graphs.graph import equal_pairs
from shamisa_cli.seeds import generator

HELD_OUT = 23
"""The random stream of places of photos that were held out."""


def spread_ratio(h: Tensor, image: Tensor) -> float:
    """Mean of 1 − cosine over pairs within an image, by that over pairs across images; ≥ 0.

    Parameters
    ----------
    h : (n, d) features of places.
    image : (n,) int64, which image each is of; at least two, and two places of one.
    """
    apart = 1 - cosines(h, h)
    same = equal_pairs(image)
    within = same & ~torch.eye(len(image), dtype=torch.bool, device=h.device)
    return float(apart[within].mean() / apart[~same].mean())


@torch.no_grad()
def held_out_spread(
    tuned: FrozenEncoder,
    found: DatasetFeatures,
    split: Split,
    config: FinetuneConfig,
    kept: Kept | None,
) -> dict[str, float]:
    """:func:`spread_ratio` on the test part of a split, of features as they are, and standard.

    Parameters
    ----------
    tuned : the encoder to judge; it also says which place is the most salient.
    found : features of the dataset by the encoder that training started from.
    config : of method ``lml``, for what a place is. Encoders are compared at the same places where
        its saliency looks at no pixel.
    kept : what comes out of the first layers, where training kept them.
    """
    config = replace(config, images=min(config.images, len(split.test)))
    contrast = make_contrast(tuned, found, split.train, config, kept.joint if kept else None)
    if contrast is None:
        raise ValueError("config: method must be lml, with a contrast")
    contrast.eval()
    protocol = tuned.protocol_for(found.dataset.info.short_side)
    views, turned = (
        LabeledViews(found.dataset.images, split.test, protocol, config, turned=other)
        for other in (False, True)
    )
    h, image, device = [], [], tuned.encoder.mean.device
    for number in range(len(split.test) // config.images):
        seen = looked(kept, views[number])
        mirrored = looked(kept, turned[number], turned=True)
        photos = photos_of(seen, mirrored, device)
        nodes = contrast.nodes(
            tuned.encoder, photos, lambda each: generator(config.seed, HELD_OUT, each)
        )
        h.append(nodes.h)
        image.append(nodes.image)
    plain, numbers = torch.cat(h), torch.cat(image)
    made = {"plain": plain, "standard": contrast.standard(plain)}
    return {name: spread_ratio(each, numbers.to(each.device)) for name, each in made.items()}
