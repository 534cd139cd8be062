"""`arniqa`: the same degradation on different contents."""

from __future__ import annotations

from shamisa_sources.paired_view import PairedView


class Arniqa(PairedView):
    """ARNIQA's positives: one composition and level, different photos, one scale view.

    Agnolucci, Galteri, Bertini, Del Bimbo, "ARNIQA: Learning Distortion Manifold for Image Quality
    Assessment", WACV 2024: two crops of different images degraded alike are positives, at full
    scale and at half scale apart (a half-scale version is a hard negative there, so crops of
    different views are not joined here). Undistorted references have no partner. These are the
    edges of `paired_view`.
    """

    coeff = 1.0
