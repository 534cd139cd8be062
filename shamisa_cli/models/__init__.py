"""A model on disk and between people: names, config, weights, heads, cards, pull, push, export."""
