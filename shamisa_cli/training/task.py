"""What the training loop asks of whatever it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Loss:
    """What a step minimizes, and the terms it is made of for the log; all scalars."""

    total: Tensor
    terms: dict[str, Tensor]


class Task(ABC):
    """What is trained, and on what.

    Attributes
    ----------
    model : all parameters and buffers that are trained and kept, on their device.
    examples : size of the data; so many make an epoch.
    batch_examples : of these in one mini-batch, over all ranks.
    batch_crops : crops that the model sees in one mini-batch, over all ranks.
    """

    model: nn.Module
    examples: int
    batch_examples: int
    batch_crops: int

    def rates(self) -> dict[str, float]:
        """Share of the learning rate by the name of a parameter; 1 where it has none."""
        return {}

    @abstractmethod
    def batches(self, numbers: Iterator[tuple[int, float]]) -> Generator[Any, None, None]:
        """Mini-batches; ``numbers`` gives the number and the run's progress (0 … 1) of each.

        A mini-batch is a pure function of these two and of the config's seed.
        """

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any) -> Any:
        """A :class:`Loss`, or a subclass with more in it; the same on all ranks.

        ``model`` is :attr:`model`, maybe wrapped: call it, and take nothing else from it.

        Raises
        ------
        FloatingPointError
            if it is not finite.
        """

    def after_step(self, loss: Any, step: int) -> dict[str, Any]:
        """More for the log; ``loss`` is that of the last mini-batch of optimizer step ``step``."""
        return {}

    def way_out(self, saved: int) -> str:
        """For people: what to do after a step that is not finite.

        ``saved`` is the step of the newest checkpoint, 0 without one.
        """
        start = "There is no checkpoint yet: begin again"
        if saved:
            start = f"The last good checkpoint is of step {saved}: resume it"
        return f"{start} with a lower lr, precision fp32, or optimizer.clip_norm in the config"

    def facts(self) -> dict[str, Any]:
        """What a checkpoint keeps beside config and weights, as a plain mapping."""
        return {}
