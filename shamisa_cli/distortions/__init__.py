"""The compositional distortion engine (docs/method.md §2, docs/distortions.md)."""
