"""The compositions of a mini-batch as one row per crop, one column per function."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.distortions.metadata import BatchMetadata


def function_severities(metadata: BatchMetadata, layout: BatchLayout, n_functions: int) -> Tensor:
    """λ of every function that made each crop, whatever the order they were applied in.

    Parameters
    ----------
    metadata, layout : of the mini-batch; a composition holds a function once at most.
    n_functions : F, more than the largest function id.

    Returns
    -------
    Tensor
        (N, F) float32 in [0, 1]; NaN where the function is not in the composition, and for
        references.
    """
    severities = metadata.severities
    # Slot 0 takes what pads the compositions (id −1) and is dropped.
    slots = severities.new_full((*severities.shape[:3], n_functions + 1), torch.nan)
    ids = metadata.functions[:, :, None, :].expand_as(severities)
    slots = slots.scatter(-1, ids + 1, severities)[..., 1:]
    node = layout.coordinates.to(slots.device)
    of_node = slots[node[:, 0], node[:, 3], node[:, 4]]
    return torch.where((node[:, 3] >= 0)[:, None], of_node, torch.nan)
