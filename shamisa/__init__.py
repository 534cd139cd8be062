"""shamisa: how good does a photo look? The Python API of :mod:`shamisa_cli` by its short name.

Examples
--------
>>> import shamisa
>>> from sklearn.datasets import load_sample_image
>>> scorer = shamisa.load("fast", device="cpu", precision="fp32")
>>> print(f"{scorer.score(load_sample_image('china.jpg')).score:.0f}")
94
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import shamisa_cli
from shamisa_cli import (
    HubError,
    PhotoError,
    ShamisaError,
    UnknownNameError,
    UsageError,
    WeightsError,
    __version__,
)

if TYPE_CHECKING:
    from shamisa_cli import Score, Scorer, load

__all__ = [
    "HubError",
    "PhotoError",
    "Score",
    "Scorer",
    "ShamisaError",
    "UnknownNameError",
    "UsageError",
    "WeightsError",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    """``load``, ``Scorer`` and ``Score``, imported (and torch with them) on first use."""
    if name in __all__:
        return getattr(shamisa_cli, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
