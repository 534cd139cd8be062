"""Datasets of photos with human scores, each read from the layout of its official release."""
