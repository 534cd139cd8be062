"""`contrique`: the same class of distortion."""

from __future__ import annotations

import torch

from shamisa_cli.graphs.graph import Graph, binary_graph, equal_pairs
from shamisa_cli.graphs.source import GraphInputs
from shamisa_sources.negatives import WithNegatives


class Contrique(WithNegatives):
    """CONTRIQUE's classes: the same distortion type and degree, any photo and view.

    Madhusudana, Birkbeck, Wang, Adsumilli, Bovik, "Image Quality Assessment Using Contrastive
    Learning", IEEE TIP 2022, has one distortion an image and KADID's degrees. With compositions the
    type is the set of functions, in whatever order, and the degree is the class of each one's
    severity: the nearest of ``degrees`` values evenly spaced over [0, 1]. All references are one
    class, the undistorted.

    Parameters
    ----------
    degrees : classes of severity, at least 1; KADID has 5.
    negatives : hold apart crops of different classes, as CONTRIQUE does.
    """

    needs = frozenset({"composition"})

    def __init__(self, degrees: int = 5, negatives: bool = False) -> None:
        super().__init__(negatives)
        if degrees < 1:
            raise ValueError(f"degrees must be at least 1, got {degrees}")
        self.degrees = degrees

    def build(self, inputs: GraphInputs) -> Graph:
        severities = inputs.require_composition().severities
        degree = 1 + (severities * (self.degrees - 1)).round()
        # A row of 26 degrees, 0 where the entry is not in the composition, is a class.
        classes = torch.unique(degree.nan_to_num(0), dim=0, return_inverse=True)[1]
        return binary_graph(equal_pairs(classes))
