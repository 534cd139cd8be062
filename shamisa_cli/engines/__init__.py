"""Engines that run one function over many tasks: processes here, Ray or Dask. No photos in here."""
