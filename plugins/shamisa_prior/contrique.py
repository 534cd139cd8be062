"""`contrique`: the same class of distortion."""

from __future__ import annotations

import torch
from torch import Tensor

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.distortions.metadata import BatchMetadata
from shamisa_cli.graphs.edges import binary_graph, equal_pairs
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs, GraphSource


class Contrique(GraphSource):
    """CONTRIQUE's classes: the same distortion type and degree, any photo and view.

    Madhusudana, Birkbeck, Wang, Adsumilli, Bovik, "Image Quality Assessment Using Contrastive
    Learning", IEEE TIP 2022, has one distortion an image and KADID's degrees. With compositions the
    type is the set of functions, in whatever order, and the degree is the class of each one's
    severity: the nearest of ``degrees`` values evenly spaced over [0, 1]. All references are one
    class, the undistorted.

    Parameters
    ----------
    degrees : classes of severity, at least 1; KADID has 5.
    """

    def __init__(self, degrees: int = 5) -> None:
        super().__init__()
        if degrees < 1:
            raise ValueError(f"degrees must be at least 1, got {degrees}")
        self.degrees = degrees

    def build(self, inputs: GraphInputs) -> Graph:
        classes = distortion_classes(inputs.metadata, inputs.layout, self.degrees)
        return binary_graph(equal_pairs(classes))


def distortion_classes(metadata: BatchMetadata, layout: BatchLayout, degrees: int) -> Tensor:
    """(N,) int64: equal for crops with the same functions and degrees; references share one."""
    degree = 1 + (metadata.severities * (degrees - 1)).round().long()  # (B, C, L, 7)
    functions = metadata.functions[:, :, None, :].expand_as(degree)
    # One slot per function, 0 where it is absent; slot 0 takes the padding and is dropped.
    slots = degree.new_zeros(*degree.shape[:-1], int(functions.max()) + 2)
    slots = slots.scatter(-1, functions + 1, degree)[..., 1:]
    node = layout.coordinates.to(slots.device)
    signature = slots[node[:, 0], node[:, 3], node[:, 4]]
    signature = torch.where((node[:, 3] >= 0)[:, None], signature, 0)
    return torch.unique(signature, dim=0, return_inverse=True)[1]
