"""What the server counts, in the text format of Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shamisa_cli.scoring.score import Score
from shamisa_cli.serving.scoring_queue import ScoringQueue

_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters of one server; nothing is shared with another."""

    def __init__(self, queue: ScoringQueue) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "shamisa_requests", "Requests answered.", ("path", "code"), registry=registry
        )
        self.seconds = Histogram(
            "shamisa_request_seconds",
            "Time from a request to its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._photos = Counter(
            "shamisa_photos", "Photos, by what became of them.", ("status",), registry=registry
        )
        for status in ("scored", "failed"):
            self._photos.labels(status)
        model = {"model": queue.scorer.model, "head": queue.scorer.head.info.name}
        Info("shamisa_model", "What scores.", registry=registry).info(model)
        gauges = {
            "requests_in_hand": ("Requests that hold a place.", lambda: queue.requests),
            "places": ("Requests taken at once.", lambda: queue.places),
            "photos_waiting": ("Photos that wait or are being scored.", lambda: queue.photos),
        }
        for name, (what, value) in gauges.items():
            Gauge(f"shamisa_{name}", what, registry=registry).set_function(value)

    def count(self, *rows: Score) -> None:
        """Count photos that were scored or failed."""
        for row in rows:
            self._photos.labels("failed" if row.failed else "scored").inc()

    def count_failed(self) -> None:
        """Count one photo that could not be read."""
        self._photos.labels("failed").inc()

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)


class CountRequests:
    """Middleware: counts each answer by path and status, and the time that it took."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        code = 500  # unless an answer begins

        async def counted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            await self.app(scope, receive, counted)
        finally:
            path = getattr(scope.get("route"), "path", "other")  # so that clients add no labels
            self.metrics.requests.labels(path, code).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - started)
