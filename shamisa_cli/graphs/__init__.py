"""Relation graphs: what a graph is, what a graph source is, how sources are found and combined."""
