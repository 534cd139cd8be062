"""Several processes, one device each: who makes which tiny-batch, and what they exchange.

Every rank encodes its own tiny-batches; then all see all representations, so that the graphs and
the variance and covariance terms are those of the global batch, and all W ranks have the same loss.
The gather's backward sums the W equal gradients of a representation, and DistributedDataParallel
averages over ranks. So the encoder gets the sum over ranks of what their own crops give, which is
the gradient of the global batch. Projector and graph parameters see everything; the average of
their equal gradients is the gradient. No factor is left.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as collectives
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from shamisa_cli.errors import UsageError


@dataclass(frozen=True)
class Ranks:
    """This process among those that ``torchrun`` started; alone it is rank 0 of 1."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and the progress."""
        return self.rank == 0

    def share(self, tiny_batches: int) -> range:
        """The tiny-batches that this rank encodes."""
        if tiny_batches % self.world:
            raise UsageError(
                f"{tiny_batches} tiny-batches cannot be shared evenly by {self.world} processes; "
                f"set batch.tiny_batches to a multiple of {self.world}"
            )
        each = tiny_batches // self.world
        return range(self.rank * each, (self.rank + 1) * each)


def join_ranks(device: str) -> Ranks:
    """Join the process group that ``torchrun`` describes in the environment; alone, do nothing.

    On CUDA each process takes the device of its own number and makes it the current one.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Ranks()
    if device == "cuda":
        own, present = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if own >= present:
            raise UsageError(
                f"process {own + 1} of this machine finds no device: there are {present}; "
                f"run torchrun with --nproc-per-node={present}"
            )
        torch.cuda.set_device(own)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
    return Ranks(dist.get_rank(), world)


def is_first_process() -> bool:
    """Whether this process is the one that talks, before the group is joined too."""
    return os.environ.get("RANK", "0") == "0"


def leave_ranks() -> None:
    """Leave the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def agree(value: float, ranks: Ranks) -> float:
    """Rank 0's ``value``, on all ranks: whatever depends on a clock is decided in one place."""
    if ranks.world == 1:
        return value
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    shared = torch.tensor([value], dtype=torch.float64, device=device)
    dist.broadcast(shared, 0)
    return float(shared)


def gather_rows(rows: Tensor, ranks: Ranks) -> Tensor:
    """(world·n, d) from (n, d) of each rank, in the order of ranks.

    Differentiable: a rank's rows get the sum of the gradients that all ranks have for them.
    """
    if ranks.world == 1:
        return rows
    gather: Any = getattr(collectives, "all_gather_single_autograd", None)
    if gather is None:  # its name before torch 2.15
        gather = collectives.all_gather_tensor_autograd
    return gather(rows.contiguous(), 0, dist.group.WORLD)


def distributed(model: nn.Module, ranks: Ranks) -> nn.Module:
    """``model``, with gradients that are averaged over ranks during backward; alone, ``model``.

    A backbone may have parameters that its pooled features do not use, so torch looks for them.
    """
    if ranks.world == 1:
        return model
    return DistributedDataParallel(model, find_unused_parameters=True)


def synchronized(module: nn.Module) -> nn.Module:
    """``module``, changed in place, with batch norms that see the crops of all ranks (CUDA only).

    By timm's own conversion: PyTorch's drops the activations that timm has inside its batch norms.
    """
    from timm.layers import convert_sync_batchnorm  # type: ignore[attr-defined]

    return convert_sync_batchnorm(module)
