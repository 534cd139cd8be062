"""Graph source made from distances between representations (method.md §4, structurally intrinsic)."""

from shamisa_knn.knn import Knn

__all__ = ["Knn"]
