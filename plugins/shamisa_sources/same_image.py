"""Which crops show the same image."""

from __future__ import annotations

from torch import Tensor

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.graphs.edges import equal_pairs


def same_photo(layout: BatchLayout) -> Tensor:
    """(N, N) bool: crops of one reference photo, pristine or distorted, in any view."""
    return equal_pairs(layout.tiny_batch) & equal_pairs(layout.reference)


def same_distorted_image(layout: BatchLayout) -> Tensor:
    """(N, N) bool: crops of one photo under one composition and level, or both without any."""
    return same_photo(layout) & equal_pairs(layout.group) & equal_pairs(layout.level)
