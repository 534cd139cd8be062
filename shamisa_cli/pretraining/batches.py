"""Mini-batches ahead of the model: each is a pure function of (seed, step), whoever makes it.

A tiny-batch has streams of its own for its photos' crops, its compositions and the draws inside the
functions, so that any number of worker processes or of ranks makes the same crops.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from shamisa_cli.distortions.engine import distort_batch, sample_metadata
from shamisa_cli.distortions.layout import BatchMetadata
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.seeds import generator
from shamisa_cli.training.feed import shuffled_order

CROPS, COMPOSITIONS, DRAWS, ORDER = range(4)
"""Names of the random streams of a step."""


@dataclass(frozen=True)
class MiniBatch:
    """The crops of one step (or of one rank's share of it), and the metadata of the whole step.

    Attributes
    ----------
    crops : (n, 3, side, side) float32 in [0, 1], in the order of ``layout``; before the engine ran,
        the references only, uint8, in the layout's order (tiny-batch, view, reference).
    metadata : of all tiny-batches of the step.
    tiny_batches : which of the step's tiny-batches ``crops`` holds.
    number : of the mini-batch in the run.
    """

    crops: Tensor
    metadata: BatchMetadata
    tiny_batches: range
    number: int


class ReferenceBatches(Dataset[MiniBatch]):
    """Map from (mini-batch number, crop side) to its references, distorted or not.

    State: the pool of decoded photos.
    """

    def __init__(
        self, pool: PhotoPool, config: PretrainConfig, tiny_batches: range, *, distort: bool
    ) -> None:
        self.pool = pool
        self.config = config
        self.tiny_batches = tiny_batches
        self.distort = distort

    def __getitem__(self, key: tuple[int, int]) -> MiniBatch:
        number, side = key
        layout = self.config.batch
        start = number * layout.tiny_batches * layout.references
        count = layout.tiny_batches * layout.references
        photos = shuffled_order(len(self.pool), start, count, self.config.seed, ORDER)
        references = torch.cat(
            [
                self.pool.random_crops(
                    photos[b * layout.references : (b + 1) * layout.references],
                    side,
                    generator(self.config.seed, CROPS, number, b),
                    flip=self.config.photos.flip,
                    scale=self.config.photos.scale,
                )[: layout.views].flatten(0, 1)
                for b in self.tiny_batches
            ]
        )
        metadata = step_metadata(self.config, number)
        batch = MiniBatch(references, metadata, self.tiny_batches, number)
        return distorted(batch, self.config) if self.distort else batch


def step_metadata(config: PretrainConfig, number: int) -> BatchMetadata:
    """The compositions of all tiny-batches of a mini-batch."""
    one = replace(config.batch, tiny_batches=1)
    parts = [
        sample_metadata(one, generator(config.seed, COMPOSITIONS, number, b), config.compositions)
        for b in range(config.batch.tiny_batches)
    ]
    return BatchMetadata(
        torch.cat([part.functions for part in parts]),
        torch.cat([part.severities for part in parts]),
        torch.cat([part.varying for part in parts]),
    )


def distorted(batch: MiniBatch, config: PretrainConfig) -> MiniBatch:
    """``batch`` (references only) with the engine's distorted crops, on the device of its crops."""
    one = replace(config.batch, tiny_batches=1)
    device = batch.crops.device
    n = one.n_references
    references, crops = [], []
    for k, b in enumerate(batch.tiny_batches):
        metadata = batch.metadata.of_tiny_batch(b)
        draws = generator(config.seed, DRAWS, batch.number, b, device=device)
        made = distort_batch(batch.crops[k * n : (k + 1) * n], metadata, one, draws)
        references.append(made[:n])
        crops.append(made[n:])
    return replace(batch, crops=torch.cat([*references, *crops]))
