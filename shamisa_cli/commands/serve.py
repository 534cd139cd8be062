"""``shamisa serve``: scores over HTTP."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys

import click

from shamisa_cli.commands.shared import command, device_option, head_option, model_option
from shamisa_cli.errors import UsageError

NEEDED = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
}
"""Module to package."""


@command()
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="0 is any free one.")
@model_option
@head_option
@device_option
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=64_000_000,
    help="Refuse larger requests; a request may hold several photos.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=100_000_000,
    help="Refuse photos of more pixels.",
)
@click.option(
    "--queue",
    type=click.IntRange(1),
    default=32,
    help="Requests taken at once, those being scored included; others get 503.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Threads that score.  [default: the cores; of an accelerator, 1]",
)
def serve(
    host: str,
    port: int,
    model: str,
    head: str | None,
    device: str,
    max_bytes: int,
    max_pixels: int,
    queue: int,
    workers: int | None,
) -> None:
    """Score photos that are sent over HTTP.

    Needs: pip install 'shamisa[serve]'. The server has no password. It listens on this machine
    only, unless --host says otherwise. Ctrl-C or SIGTERM stops it once the requests in hand are
    answered.

    \b
    shamisa serve
    curl --data-binary @photo.jpg http://127.0.0.1:8000/score
    curl -F photos=@a.jpg -F photos=@b.jpg http://127.0.0.1:8000/score_many

    GET /health, /metrics (for Prometheus) and /docs (all requests, with their answers).
    """
    _check_installed()
    from shamisa_cli.scoring import load
    from shamisa_cli.scoring.score import describe_head
    from shamisa_cli.serving import server
    from shamisa_cli.serving.app import make_app

    try:
        listening = server.listen(host, port)
    except UsageError as error:
        raise UsageError(f"{error}; choose another --host or --port") from error
    with listening:
        scorer = load(model, head, device, max_pixels=max_pixels, workers=0)
        click.echo(f"model {scorer.model}, {describe_head(scorer.head.info)}", err=True)
        on_cpu = scorer.extractor.device.type == "cpu"
        threads = workers or ((os.cpu_count() or 1) if on_cpu else 1)
        app = make_app(scorer, threads=threads, places=queue, max_bytes=max_bytes)
        click.echo(f"listening on {server.address(listening)}; its page is /docs", err=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # to be stopped is no failure
        server.serve(app, listening)


def _check_installed() -> None:
    missing = [NEEDED[name] for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"serve needs {', '.join(missing)}: pip install 'shamisa[serve]'")
