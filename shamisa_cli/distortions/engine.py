"""The distorted crops of a whole mini-batch, with shared work done once (method.md §1, §2).

In a group only one severity varies, so the functions before the varying one run once per reference
and view, and the L levels part only there. At each position of the compositions, all images of the
mini-batch that get the same function go through it in one batched call.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    references: Tensor, metadata: BatchMetadata, layout: BatchLayout, generator: torch.Generator
) -> Tensor:
    """All crops of a mini-batch, in the order of ``layout``.

    Parameters
    ----------
    references : (N_ref, 3, H, W) in layout order, uint8 or float in [0, 1], on any device; not
        changed.
    metadata : the compositions, see :func:`sample_metadata`.
    generator : where noise, places and angles come from. The draws are made in an order that
        depends on ``metadata`` and ``layout`` only, never on the number of threads.

    Returns
    -------
    (N, 3, H, W) float32 in [0, 1]: the untouched references, then the distorted crops.
    """
    if references.ndim != 4 or references.shape[:2] != (layout.n_references, 3):
        raise ValueError(
            f"expected references ({layout.n_references}, 3, H, W), got {tuple(references.shape)}"
        )
    pristine = references / 255 if references.dtype == torch.uint8 else references.float()
    crops = pristine.new_empty((layout.n, *pristine.shape[1:]))
    crops[: layout.n_references] = pristine
    groups = _start(pristine, metadata.to("cpu"), layout)
    for position in range(MAX_FUNCTIONS):
        _advance(groups, position, generator)
    b, v, r, c, n_levels = (
        layout.tiny_batches,
        layout.views,
        layout.references,
        layout.groups,
        layout.levels,
    )
    distorted = crops[layout.n_references :].view(b, v, r, c, n_levels, *crops.shape[1:])
    for group in groups:
        images = group.images.view(v, r, n_levels, *crops.shape[1:])
        distorted[group.tiny_batch, :, :, group.number] = images
    return crops


@dataclass
class _Group:
    """A composition group under way: its V·R images, or V·R·L from the varying function on."""

    tiny_batch: int
    number: int
    functions: list[int]
    severities: Tensor
    varying: int
    images: Tensor

    def enter(self, position: int) -> Tensor:
        """Part the levels if ``position`` is the varying one; λ of every image, (n,) float32."""
        levels = self.severities[:, position]
        if position == self.varying:
            count = len(self.images)
            self.images = self.images.repeat_interleave(len(levels), dim=0)
            return levels.repeat(count)
        return levels[:1].expand(len(self.images))


def _start(pristine: Tensor, metadata: BatchMetadata, layout: BatchLayout) -> list[_Group]:
    """Every group at its references, which all groups of a tiny-batch share."""
    shared = pristine.view(layout.tiny_batches, -1, *pristine.shape[1:])
    return [
        _Group(
            tiny_batch=b,
            number=c,
            functions=[f for f in metadata.functions[b, c].tolist() if f >= 0],
            severities=metadata.severities[b, c],
            varying=int(metadata.varying[b, c]),
            images=shared[b],
        )
        for b in range(layout.tiny_batches)
        for c in range(layout.groups)
    ]


def _advance(groups: list[_Group], position: int, generator: torch.Generator) -> None:
    """Apply the functions at ``position``: one call for all groups that have the same there."""
    same: dict[int, list[_Group]] = {}
    for group in groups:
        if position < len(group.functions):
            same.setdefault(group.functions[position], []).append(group)
    for function in sorted(same):
        members = same[function]
        severities = torch.cat([group.enter(position) for group in members])
        images = [group.images for group in members]
        batch = torch.cat(images) if len(images) > 1 else images[0]
        done = apply_entry(batch, ENTRIES[function], severities, generator)
        for group, part in zip(members, done.split([len(i) for i in images]), strict=True):
            group.images = part
