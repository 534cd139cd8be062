"""Graph source made from distances between representations (method.md §4)."""

from shamisa_knn.knn import Knn

__all__ = ["Knn"]
