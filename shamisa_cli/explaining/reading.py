"""What the readings read of a model: all of its features and cells, or those of its first ends.

Each further end makes the readings larger, and not all of them know something of damage.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from shamisa_cli.encoders.cells import cell_size
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.encoders.regions import head_maps
from shamisa_cli.errors import UsageError


@dataclass(frozen=True, eq=False)
class Readable:
    """A part of what comes out of an encoder.

    Attributes
    ----------
    features : (F,) bool, which features are read.
    maps : (f,) int64, which map each of these tells of; see ``Encoder.maps_of_features``.
    cells : how many of the first channels of cells are read.
    """

    features: Tensor
    maps: Tensor
    cells: int

    def of(self, features: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Features (K, f) and cells (C, rows, columns) that are read, of (K, F) and all cells."""
        return features[:, self.features], cells[: self.cells]


def readable_of(extractor: FeatureExtractor, ends: int = 0) -> Readable:
    """What readings of the first ``ends`` ends read, statistics too; 0 is all.

    Raises
    ------
    UsageError
        if the encoder has fewer ends, or no cells: it needs pooling regions, and crops whole.
    """
    extractor.check_cells()
    encoder = extractor.encoder
    channels = encoder.channels
    heads = head_maps(encoder.backbone, len(channels))
    if ends > len(heads):
        raise UsageError(f"ends: the model has {len(heads)}, got {ends}")
    count = heads[ends - 1] + 1 if ends else len(channels)
    maps = encoder.maps_of_features().repeat(len(extractor.protocol.scales))
    features = (maps < count) | (maps == len(channels))
    # Cells come map by map, and of the last map of all there are fewer: a prefix, cut there.
    return Readable(features, maps[features], cell_size(channels[:count]))
