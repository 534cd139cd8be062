"""The engines by name; those of extras are refused with the extra to install."""

from __future__ import annotations

import importlib
import importlib.util

from shamisa_cli.engines.engine import Engine
from shamisa_cli.errors import UsageError, unknown_name

EXTRAS = {"ray": "ray", "dask": "distributed"}
"""Engines that need an extra of their name, and the package which that brings."""

ENGINES = ("processes", *EXTRAS)
"""What an engine can be called."""


def open_engine(
    name: str,
    *,
    workers: int | None = None,
    address: str | None = None,
    gpus_per_task: float = 0.0,
) -> Engine:
    """The engine called ``name``; it starts nothing before it runs.

    Parameters
    ----------
    workers : tasks at a time; None is what the machine or the cluster has room for.
    address : of a cluster that is there; None starts one on this machine. Not for ``processes``.
    gpus_per_task : that a task reserves; it may be a fraction. Not for ``processes``.

    Raises
    ------
    UsageError
        for an unknown name, an engine whose package is not installed, or options that it does not
        have.
    """
    check_engine(name)
    if name == "processes":
        from shamisa_cli.engines.processes import Processes

        for option, value in (("address", address), ("gpus_per_task", gpus_per_task)):
            if value:
                raise UsageError(f"{option} is for the engines {' and '.join(EXTRAS)}")
        return Processes(workers)
    module = importlib.import_module(f"shamisa_cli.engines.{name}")
    engine: Engine = module.open_engine(workers, address, gpus_per_task)
    return engine


def check_engine(name: str) -> None:
    """Refuse a ``name`` that is no engine, or whose package is not installed."""
    if name not in ENGINES:
        raise unknown_name("engine", name, ENGINES)
    package = EXTRAS.get(name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise UsageError(f"engine {name} needs an extra: pip install 'shamisa[{name}]'")
