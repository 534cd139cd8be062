"""Independent random streams from one seed: a stream's draws never depend on what others drew."""

from __future__ import annotations

import numpy as np
import torch


def derived_seed(seed: int, *stream: int) -> int:
    """A 63-bit seed that is a pure function of ``seed`` and the non-negative numbers ``stream``."""
    state = np.random.SeedSequence([seed, *stream]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def generator(seed: int, *stream: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator for one stream, such as (step, tiny-batch)."""
    return torch.Generator(device).manual_seed(derived_seed(seed, *stream))
