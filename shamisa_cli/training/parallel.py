"""One machine, many devices: who makes which tiny-batch, and embeddings gathered with gradients.

Every rank encodes its own tiny-batches; then all see all representations, so that the graphs and
the variance and covariance terms are those of the global batch, and every rank computes the same
loss. A rank's backbone then holds the gradient of its own crops; the sum over ranks is that of the
global batch. Projector and graph parameters see everything, so their gradients agree already.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from timm.layers import convert_sync_batchnorm  # type: ignore[attr-defined]
from torch import Tensor, nn

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

    def share(self, tiny_batches: int, rank: int | None = None) -> range:
        """The tiny-batches that a rank encodes."""
        if tiny_batches % self.world:
            raise UsageError(
                f"{tiny_batches} tiny-batches cannot be shared evenly by {self.world} processes; "
                f"set batch.tiny_batches to a multiple of {self.world}"
            )
        each = tiny_batches // self.world
        start = (self.rank if rank is None else rank) * each
        return range(start, start + each)

    def shares(self, tiny_batches: int) -> list[range]:
        """The shares of all ranks, in order."""
        return [self.share(tiny_batches, rank) for rank in range(self.world)]


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


class _GatherRows(torch.autograd.Function):
    """Rows of all ranks; backward keeps this rank's rows (every rank computes the same loss)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, rank: int, world: int) -> Tensor:
        ctx.rank, ctx.length = rank, len(rows)
        gathered = [torch.empty_like(rows) for _ in range(world)]
        dist.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        start = ctx.rank * ctx.length
        return gradients[0][start : start + ctx.length], None, None


def gather_rows(rows: Tensor, ranks: Ranks) -> Tensor:
    """(world·n, d) from (n, d) of each rank, in the order of ranks, with gradients to one's own."""
    if ranks.world == 1:
        return rows
    return _GatherRows.apply(rows, ranks.rank, ranks.world)


def synchronized(module: nn.Module) -> nn.Module:
    """``module``, changed in place, with batch norms that see the crops of all ranks (CUDA only).

    By timm's own conversion: PyTorch's drops the activations that timm has inside its batch norms.
    """
    return convert_sync_batchnorm(module)


def sum_gradients(parameters: Iterable[nn.Parameter], ranks: Ranks) -> None:
    """Replace each gradient by its sum over ranks."""
    if ranks.world == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    offset = 0
    for gradient in gradients:
        n = gradient.numel()
        gradient.copy_(flat[offset : offset + n].view_as(gradient))
        offset += n
