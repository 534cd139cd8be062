"""Photos out of a request's body, of which no more is read than is allowed."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable

from fastapi import HTTPException, Request

READ_SECONDS = 30.0
"""A body that takes longer is given up: a slow client may not keep its place in the queue."""

MOST_FILES = 1000
"""In one request."""

_MOST_FIELDS = 10
_CLOSE = {"Connection": "close"}
"""After a refusal the rest of a body is not read, so the connection has no other use."""


class Upload(io.BytesIO):
    """A photo in memory.

    Attributes
    ----------
    name : what the client calls it: a label in its row, never opened as a file.
    """

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


async def read_uploads(
    request: Request, max_bytes: int, seconds: float = READ_SECONDS
) -> list[Upload]:
    """The photos in the body: the files of a form, or the body itself if it is no form.

    Parameters
    ----------
    max_bytes : of the whole body; what is over it is not read.
    seconds : for the whole body.

    Raises
    ------
    HTTPException
        413 if it is too large, 408 if it is too slow, 400 if there is no photo in it.
    """
    bounded = Request(request.scope, _bounded(request, max_bytes))
    try:
        uploads = await asyncio.wait_for(_uploads(bounded), seconds)
    except (TimeoutError, asyncio.TimeoutError) as error:  # two classes before Python 3.11
        reason = f"the body was not there within {seconds:g} seconds"
        raise HTTPException(408, reason, _CLOSE) from error
    if not uploads:
        raise HTTPException(400, "no photo in this request: send one as the body, or as a file")
    return uploads


def _bounded(request: Request, max_bytes: int) -> Callable[[], Awaitable[dict]]:
    """What receives ``request``, until it announces or sends more than ``max_bytes``."""
    read = 0

    def check(count: int) -> None:
        if count > max_bytes:
            reason = f"the body is larger than the limit of {max_bytes} bytes"
            raise HTTPException(413, reason, _CLOSE)

    async def receive() -> dict:
        nonlocal read
        announced = request.headers.get("content-length", "0")
        check(int(announced) if announced.isdecimal() else 0)
        message = await request.receive()
        read += len(message.get("body", b""))
        check(read)
        return dict(message)

    return receive


async def _uploads(request: Request) -> list[Upload]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if kind != "multipart/form-data":
        body = await request.body()
        return [Upload(body, "")] if body else []
    async with request.form(max_files=MOST_FILES, max_fields=_MOST_FIELDS) as form:
        uploads = []
        for field, value in form.multi_items():
            if isinstance(value, str):
                reason = f"the field {field!r} is no file; only files are taken, nothing is fetched"
                raise HTTPException(400, reason)
            uploads.append(Upload(await value.read(), value.filename or ""))
        return uploads
