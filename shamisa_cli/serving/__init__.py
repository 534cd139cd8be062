"""Scores over HTTP: uploads in, rows out; a bounded queue between the network and the model."""
