"""The web application: which request gets which answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

import shamisa_cli
from shamisa_cli.errors import PhotoError
from shamisa_cli.scoring.scorer import Scorer
from shamisa_cli.serving.answers import BINARY, REFUSALS, UNREADABLE, Health, Row, Rows, body
from shamisa_cli.serving.metrics import CountRequests, Metrics
from shamisa_cli.serving.scoring_queue import QueueFull, ScoringQueue
from shamisa_cli.serving.uploads import discard_body, read_uploads

MAX_BYTES = 64_000_000
"""Default cap on the body of a request."""

PLACES = 32
"""Default of the requests taken at once."""


def make_app(
    scorer: Scorer, *, threads: int, places: int = PLACES, max_bytes: int = MAX_BYTES
) -> FastAPI:
    """The application that scores with ``scorer``.

    Parameters
    ----------
    scorer : with ``workers=0``, since the application has threads of its own.
    threads : that score; 1 for an accelerator.
    places : requests at once; more get 503 before their body is read.
    max_bytes : of the body of a request; more get 413.
    """
    queue = ScoringQueue(scorer, places, threads)
    metrics = Metrics(queue)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        queue.close()

    app = FastAPI(
        title="shamisa",
        version=shamisa_cli.__version__,
        description="How good does a photo look? Scores from 0 to 100, higher is better.",
        lifespan=lifespan,
    )
    app.add_middleware(CountRequests, metrics=metrics)
    _add_scoring(app, queue, metrics, max_bytes)
    _add_watching(app, queue, metrics)
    return app


def _add_scoring(app: FastAPI, queue: ScoringQueue, metrics: Metrics, max_bytes: int) -> None:
    @app.post(
        "/score",
        response_model=Row,
        responses=REFUSALS | UNREADABLE,
        openapi_extra=body({"photo": BINARY}),
    )
    async def score(request: Request) -> dict:
        """Score one photo: the body as it is, or the only file of a form."""
        async with _place(queue, request, max_bytes):
            uploads = await read_uploads(request, max_bytes)
            if len(uploads) > 1:
                raise HTTPException(400, f"{len(uploads)} files: POST them to /score_many")
            try:
                row = await queue.score(uploads[0])
            except PhotoError as error:
                metrics.count_failed()
                reason = str(error).removeprefix(f"{uploads[0].name}: ")
                raise HTTPException(422, reason) from error
        metrics.count(row)
        return row.to_row()

    @app.post(
        "/score_many",
        response_model=Rows,
        responses=REFUSALS,
        openapi_extra=body({"photos": {"type": "array", "items": BINARY}}),
    )
    async def score_many(request: Request) -> dict:
        """Score the files of a form; one that cannot be read has a row that says why."""
        async with _place(queue, request, max_bytes):
            rows = await queue.score_many(await read_uploads(request, max_bytes))
        metrics.count(*rows)
        return {"rows": [row.to_row() for row in rows]}


def _add_watching(app: FastAPI, queue: ScoringQueue, metrics: Metrics) -> None:
    scorer = queue.scorer

    @app.get("/health", response_model=Health)
    async def health() -> dict:
        """Whether the server is up, and what it scores with."""
        return {
            "model": scorer.model,
            "head": scorer.head.info.name,
            "device": str(scorer.extractor.device),
            "version": shamisa_cli.__version__,
        }

    @app.get("/metrics", response_class=Response)
    async def all_metrics() -> Response:
        """Counters in the text format of Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)


@asynccontextmanager
async def _place(queue: ScoringQueue, request: Request, max_bytes: int) -> AsyncIterator[None]:
    """A place in the queue; without one, nothing of the body is kept."""
    try:
        place = queue.take()
    except QueueFull as error:
        await discard_body(request, max_bytes)
        headers = {"Retry-After": str(error.seconds)}
        raise HTTPException(503, str(error), headers) from error
    with place:
        yield
