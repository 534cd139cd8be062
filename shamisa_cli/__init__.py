"""shamisa: how good does a photo look, with no reference picture (SHAMISA, arXiv 2603.13669).

``import shamisa`` gives the same names. The first three are loaded on first use, so that the import
alone stays light:

- ``load(model="default", head=None, device="auto") -> Scorer``
- ``Scorer.score(photo) -> Score`` and ``Scorer.score_many(photos)``, whatever holds the photo
- ``Score``: the number, and the facts that go with it
- ``ShamisaError``, and its kinds ``PhotoError``, ``UsageError`` (of which ``UnknownNameError`` is
  one), ``WeightsError`` and ``HubError``

Examples
--------
>>> import shamisa
>>> from sklearn.datasets import load_sample_image
>>> scorer = shamisa.load("fast", device="cpu", precision="fp32")
>>> score = scorer.score(load_sample_image("china.jpg"))
>>> print(f"{score.score:.0f}, {score.width}×{score.height} px, {score.status}")
94, 640×427 px, ok
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shamisa_cli.errors import (
    HubError,
    PhotoError,
    ShamisaError,
    UnknownNameError,
    UsageError,
    WeightsError,
)

if TYPE_CHECKING:
    from shamisa_cli.scoring import Score, Scorer, load

__version__ = "0.1.0"
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
    """Import the scoring package (and torch with it) only when one of its names is asked for."""
    if name in {"load", "Scorer", "Score"}:
        from shamisa_cli import scoring

        return getattr(scoring, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
