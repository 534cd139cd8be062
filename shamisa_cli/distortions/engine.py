"""The distorted crops of a whole mini-batch, with shared work done once (docs/method.md §1, §2).

In a group only one severity varies, so the functions before the varying one run once per reference
and view, and the L levels part only there. Images that get the same function go through it in one
batched call: on an accelerator all V·R·L of a group, on a CPU the L levels of one reference at a
time, whose whole chain then runs in the cache (batches of 30 cost 1.7 times as much there).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.distortions.apply import apply_entry
from shamisa_cli.distortions.composition import sample_group
from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.distortions.metadata import MAX_FUNCTIONS, BatchMetadata
from shamisa_cli.distortions.registry import ENTRIES


def sample_metadata(layout: BatchLayout, generator: torch.Generator) -> BatchMetadata:
    """Draw the C composition groups of each of the B tiny-batches."""
    shape = (layout.tiny_batches, layout.groups)
    functions = torch.full((*shape, MAX_FUNCTIONS), -1, dtype=torch.int64)
    severities = torch.zeros((*shape, layout.levels, MAX_FUNCTIONS))
    varying = torch.zeros(shape, dtype=torch.int64)
    for b in range(layout.tiny_batches):
        for c in range(layout.groups):
            group = sample_group(layout.levels, generator)
            m = len(group.functions)
            functions[b, c, :m] = torch.tensor(group.functions)
            severities[b, c, :, :m] = torch.tensor(group.severities)
            severities[b, c, :, group.varying] = torch.tensor(group.varying_severities)
            varying[b, c] = group.varying
    return BatchMetadata(functions, severities, varying)


def distort_batch(
    references: Tensor,
    metadata: BatchMetadata,
    layout: BatchLayout,
    generator: torch.Generator,
    out: Tensor | None = None,
) -> Tensor:
    """All crops of a mini-batch, in the order of ``layout``.

    Parameters
    ----------
    references : (N_ref, 3, H, W) in layout order, uint8 or float in [0, 1], on any device; not
        changed.
    metadata : the compositions, see :func:`sample_metadata`.
    generator : where noise, places and angles come from. The draws are made in an order that
        depends on ``metadata`` and ``layout`` only, never on the number of threads. One on the CPU
        serves any device, and spares waiting for it.
    out : (N, 3, H, W) float32, contiguous, to be filled instead of a new tensor: first touching the
        150 MB of a mini-batch is slow, so a loop that is done with its last crops may pass them.

    Returns
    -------
    (N, 3, H, W) float32 in [0, 1]: the untouched references, then the distorted crops.
    """
    if references.ndim != 4 or references.shape[:2] != (layout.n_references, 3):
        raise ValueError(
            f"expected references ({layout.n_references}, 3, H, W), got {tuple(references.shape)}"
        )
    pristine = references / 255 if references.dtype == torch.uint8 else references.float()
    shape = (layout.n, *pristine.shape[1:])
    crops = out if out is not None else _empty(shape, pristine.device)
    if crops.shape != shape or crops.dtype != torch.float32 or not crops.is_contiguous():
        raise ValueError(f"expected out {shape}, float32 and contiguous")
    crops[: layout.n_references] = pristine
    distorted = crops[layout.n_references :].view(
        layout.tiny_batches, -1, layout.groups, layout.levels, *crops.shape[1:]
    )
    shared = pristine.reshape(layout.tiny_batches, -1, *pristine.shape[1:])
    on_host = metadata.to("cpu")
    for b in range(layout.tiny_batches):
        for c in range(layout.groups):
            group = _Group.of(on_host, b, c)
            _distort_group(shared[b], group, generator, out=distorted[b, :, c])
    return crops


def _empty(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """An unset float32 tensor; on a CPU from NumPy, which asks the system for huge pages.

    A mini-batch is 150 MB: touching it for the first time takes 10 ms then, instead of 60.
    """
    if device.type != "cpu":
        return torch.empty(shape, device=device)
    return torch.from_numpy(np.empty(shape, dtype=np.float32))


@dataclass(frozen=True)
class _Group:
    """The metadata of one composition group: M functions, λ (L, M), v."""

    functions: list[int]
    severities: Tensor
    varying: int

    @classmethod
    def of(cls, metadata: BatchMetadata, tiny_batch: int, number: int) -> _Group:
        functions = metadata.functions[tiny_batch, number].tolist()
        return cls(
            [f for f in functions if f >= 0],
            metadata.severities[tiny_batch, number],
            int(metadata.varying[tiny_batch, number]),
        )


def _distort_group(
    references: Tensor, group: _Group, generator: torch.Generator, out: Tensor
) -> None:
    """Write the crops of (V·R, 3, H, W) at every level into ``out`` (V·R, L, 3, H, W)."""
    images = references
    for position in range(group.varying):
        severities = group.severities[:1, position].expand(len(images))
        images = apply_entry(images, ENTRIES[group.functions[position]], severities, generator)
    at_once = 1 if images.device.type == "cpu" else len(images)
    for start in range(0, len(images), at_once):
        part = images[start : start + at_once]
        leveled = part[:, None].expand(-1, out.shape[1], -1, -1, -1).flatten(0, 1)
        for position in range(group.varying, len(group.functions)):
            severities = group.severities[:, position].repeat(len(part))
            leveled = apply_entry(
                leveled, ENTRIES[group.functions[position]], severities, generator
            )
        out[start : start + at_once] = leveled.view(len(part), *out.shape[1:])
