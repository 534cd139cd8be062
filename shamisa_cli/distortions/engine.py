"""The distorted crops of a whole mini-batch, with shared work done once (docs/method.md §1, §2).

In a group only one severity varies, so the functions before the varying one run once per reference
and view, and the L levels part only there. Images that get the same function go through it in one
batched call: on an accelerator all V·R·L of a group, on a CPU the L levels of one reference at a
time, whose whole chain then runs in the cache (batches of 30 cost 1.7 times as much there).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from shamisa_cli.distortions.apply import apply_entry
from shamisa_cli.distortions.composition import PUBLISHED, Sampling, sample_group
from shamisa_cli.distortions.layout import MAX_FUNCTIONS, BatchLayout, BatchMetadata
from shamisa_cli.distortions.registry import ENTRIES


def sample_metadata(
    layout: BatchLayout, generator: torch.Generator, sampling: Sampling = PUBLISHED
) -> BatchMetadata:
    """Draw the C composition groups of each of the B tiny-batches."""
    shape = (layout.tiny_batches, layout.groups)
    functions = torch.full((*shape, MAX_FUNCTIONS), -1, dtype=torch.int64)
    severities = torch.zeros((*shape, layout.levels, MAX_FUNCTIONS))
    varying = torch.zeros(shape, dtype=torch.int64)
    for b in range(layout.tiny_batches):
        for c in range(layout.groups):
            group = sample_group(layout.levels, generator, sampling)
            m = len(group.base.functions)
            functions[b, c, :m] = torch.tensor(group.base.functions)
            severities[b, c, :, :m] = torch.tensor(group.base.severities)
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
    generator : of noise, places and angles, drawn in an order that depends on ``metadata`` and
        ``layout`` only. One on the CPU serves any device, and spares waiting for it.
    out : (N, 3, H, W) float32, contiguous, to be filled in place of a new tensor, whose 150 MB are
        slow to touch for the first time.

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
            functions, varying = on_host.functions[b, c].tolist(), int(on_host.varying[b, c])
            group = functions, on_host.severities[b, c], varying
            _distort_group(shared[b], *group, generator, out=distorted[b, :, c])
    return crops


def _empty(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """An unset float32 tensor; on a CPU from NumPy, which asks the system for huge pages.

    A mini-batch is 150 MB: touching it for the first time takes 10 ms then, instead of 60.
    """
    if device.type != "cpu":
        return torch.empty(shape, device=device)
    return torch.from_numpy(np.empty(shape, dtype=np.float32))


def _distort_group(
    references: Tensor,
    functions: list[int],
    severities: Tensor,
    varying: int,
    generator: torch.Generator,
    out: Tensor,
) -> None:
    """Write the crops of (V·R, 3, H, W) at every level into ``out`` (V·R, L, 3, H, W).

    ``functions`` are the M of one composition group, padded with -1; ``severities`` (L, 7), λ.
    """
    entries = [ENTRIES[function] for function in functions if function >= 0]
    images = references
    for position, entry in enumerate(entries[:varying]):
        severity = severities[:1, position].expand(len(images))
        images = apply_entry(images, entry, severity, generator)
    at_once = 1 if images.device.type == "cpu" else len(images)
    for start in range(0, len(images), at_once):
        part = images[start : start + at_once]
        leveled = part[:, None].expand(-1, out.shape[1], -1, -1, -1).flatten(0, 1)
        for position, entry in enumerate(entries[varying:], varying):
            severity = severities[:, position].repeat(len(part))
            leveled = apply_entry(leveled, entry, severity, generator)
        out[start : start + at_once] = leveled.view(len(part), *out.shape[1:])
