"""`reiqa`: crops of the same image."""

from __future__ import annotations

from typing import Literal

from shamisa_cli.graphs.graph import Graph, binary_graph, equal_pairs
from shamisa_cli.graphs.source import GraphInputs, GraphSource
from shamisa_sources.vicreg import same_image


class ReIqa(GraphSource):
    """Re-IQA's positives: crops of the same image.

    Saha, Mishra, Bovik, "Re-IQA: Unsupervised Learning for Image Quality Assessment in the Wild",
    CVPR 2023, trains two encoders, and they differ in what the same image is.

    Parameters
    ----------
    encoder : "content", all crops of a photo however they were distorted; or "quality", crops of
        one distorted image only, which in this engine are its two scale views, as in `vicreg`.
    """

    def __init__(self, encoder: Literal["content", "quality"] = "content") -> None:
        super().__init__()
        if encoder not in ("content", "quality"):
            raise ValueError(f"encoder must be content or quality, got {encoder!r}")
        self.encoder = encoder

    def build(self, inputs: GraphInputs) -> Graph:
        by_photo = self.encoder == "content"
        return binary_graph(equal_pairs(inputs.image) if by_photo else same_image(inputs))
