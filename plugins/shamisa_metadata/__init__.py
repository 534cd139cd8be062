"""Graph sources made from what the engine did to the crops (method.md §4, metadata-driven)."""

from shamisa_metadata.dist_dist import DistDist
from shamisa_metadata.paired_view import PairedView
from shamisa_metadata.ref_dist import RefDist
from shamisa_metadata.ref_ref import RefRef

__all__ = ["DistDist", "PairedView", "RefDist", "RefRef"]
