"""Mini-batches ahead of the model: each is a pure function of (seed, step), whoever makes it.

A tiny-batch has streams of its own for its photos' crops, its compositions and the draws inside the
functions, so that any number of worker processes or of ranks makes the same crops.
"""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from shamisa_cli.distortions.engine import distort_batch, sample_metadata
from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.distortions.metadata import BatchMetadata
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.seeds import derived_seed, generator

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
    """

    crops: Tensor
    metadata: BatchMetadata
    tiny_batches: range


def photo_order(n_photos: int, start: int, count: int, seed: int) -> list[int]:
    """Photos at places start … start+count-1 of an endless run of shuffled epochs."""
    places = range(start, start + count)
    shuffled = {
        epoch: torch.randperm(n_photos, generator=generator(seed, ORDER, epoch)).tolist()
        for epoch in {place // n_photos for place in places}
    }
    return [shuffled[place // n_photos][place % n_photos] for place in places]


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
        photos = photo_order(len(self.pool), start, count, self.config.seed)
        references = torch.cat(
            [
                self.pool.crops(
                    photos[b * layout.references : (b + 1) * layout.references],
                    side,
                    generator(self.config.seed, CROPS, number, b),
                    flip=self.config.photos.flip,
                    scale=self.config.photos.scale,
                ).flatten(0, 1)
                for b in self.tiny_batches
            ]
        )
        batch = MiniBatch(references, step_metadata(self.config, number), self.tiny_batches)
        return distorted(batch, self.config, number) if self.distort else batch


def step_metadata(config: PretrainConfig, number: int) -> BatchMetadata:
    """The compositions of all tiny-batches of a mini-batch."""
    one = replace(config.batch, tiny_batches=1)
    parts = [
        sample_metadata(one, generator(config.seed, COMPOSITIONS, number, b))
        for b in range(config.batch.tiny_batches)
    ]
    return BatchMetadata(
        torch.cat([part.functions for part in parts]),
        torch.cat([part.severities for part in parts]),
        torch.cat([part.varying for part in parts]),
    )


def distorted(batch: MiniBatch, config: PretrainConfig, number: int) -> MiniBatch:
    """``batch`` (references only) with the engine's distorted crops, on the device of its crops."""
    one = replace(config.batch, tiny_batches=1)
    device = batch.crops.device
    n = one.n_references
    references, crops = [], []
    for k, b in enumerate(batch.tiny_batches):
        metadata = batch.metadata.of_tiny_batch(b)
        draws = generator(config.seed, DRAWS, number, b, device=device)
        made = distort_batch(batch.crops[k * n : (k + 1) * n], metadata, one, draws)
        references.append(made[:n])
        crops.append(made[n:])
    return replace(batch, crops=torch.cat([*references, *crops]))


def mini_batches(
    dataset: ReferenceBatches, keys: Iterator[tuple[int, int]], workers: int
) -> Generator[MiniBatch, None, None]:
    """The mini-batches of ``keys`` in order, made ahead by ``workers`` processes (0: here).

    Close it when done, however that comes about: workers that ignore signals outlive a process
    that ends while something, such as an exception's traceback, still holds their iterator.
    """
    loader = DataLoader(
        dataset,
        sampler=_Keys(keys),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        generator=torch.Generator().manual_seed(derived_seed(dataset.config.seed)),
        collate_fn=_itself,
        worker_init_fn=_leave_signals_to_the_parent,
    )
    yield from loader  # the iterator, and with it the workers, ends when this generator does


class _Keys:
    """DataLoader takes an iterable without length as its sampler; an iterator alone is none."""

    def __init__(self, keys: Iterator[tuple[int, int]]) -> None:
        self.keys = keys

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return self.keys


def _itself(batch: Any) -> Any:
    return batch


def _leave_signals_to_the_parent(worker: int) -> None:
    """Signals may reach the whole process group; the parent saves and then ends its workers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def global_order(layout: BatchLayout, shares: list[range]) -> Tensor:
    """(N,) int64: where the crops of the ranks' shares, one after another, stand in ``layout``."""
    nodes = [
        torch.nonzero((layout.tiny_batch >= share.start) & (layout.tiny_batch < share.stop))[:, 0]
        for share in shares
    ]
    return torch.cat(nodes)
