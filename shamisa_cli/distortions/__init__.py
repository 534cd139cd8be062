"""The compositional distortion engine (method.md §2, distortions.md)."""
