"""Keepers: which photos of a folder are kept, and putting them in place."""
