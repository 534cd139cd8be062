"""Backbones, encoders, their features, and models on disk."""
