"""The application on a port, until it is told to stop."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

from shamisa_cli.errors import UsageError, system_reason

STOP_SECONDS = 30
"""Requests in hand have so long to finish once the server is told to stop."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any free one. UsageError if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = system_reason(error).partition(" (while")[0]  # which names host and port again
        raise UsageError(f"cannot listen on {host}:{port}: {reason}") from error


def address(listening: socket.socket) -> str:
    """The URL of a socket that listens."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; requests in hand are finished first.

    The signal is raised again at the end, for the handler that was there before.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    uvicorn.Server(config).run([listening])
