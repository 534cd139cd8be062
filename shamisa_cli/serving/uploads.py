"""Photos out of a request's body, of which no more is read than is allowed."""

from __future__ import annotations

import asyncio
import io
from contextlib import suppress
from typing import Any

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from starlette.requests import ClientDisconnect

READ_SECONDS = 30.0
"""A body that takes longer is given up: a slow client may not keep its place in the queue."""

MOST_FILES = 1000
"""In one request."""

_MOST_FIELDS = 10
_DISCARD_SECONDS = 5.0


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
    body = _Body(request, max_bytes)
    try:
        uploads = await asyncio.wait_for(_uploads(Request(request.scope, body.receive)), seconds)
    except (TimeoutError, asyncio.TimeoutError) as error:  # two classes before Python 3.11
        reason = f"the body was not there within {seconds:g} seconds"
        raise HTTPException(408, reason, {"Connection": "close"}) from error
    except FormParserError as error:  # newer versions of Starlette refuse it themselves
        raise HTTPException(400, f"a malformed multipart form: {error}") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the client went away") from error
    except HTTPException:
        await body.discard()
        raise
    if not uploads:
        raise HTTPException(400, "no photo in this request: send one as the body, or as a file")
    return uploads


async def discard_body(request: Request, max_bytes: int) -> None:
    """Read the body of a request that is refused, see :meth:`_Body.discard`."""
    await _Body(request, max_bytes).discard()


class _Body:
    """A body that is received up to ``max_bytes``, announced or sent."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        self._request = request
        self._max_bytes = max_bytes
        self._read = 0
        self._more = True

    async def receive(self) -> dict[str, Any]:
        """The next part; HTTPException 413 once it is too much."""
        announced = self._request.headers.get("content-length", "0")
        self._check(int(announced) if announced.isdecimal() else 0)
        message = await self._next()
        self._check(self._read)
        return message

    async def discard(self) -> None:
        """Read on, and keep nothing: a client that still sends would not see the answer.

        It is given up after as many bytes again, and some seconds. A client that asked whether to
        send (``Expect: 100-continue``) has not sent yet, and is told at once.
        """
        if "expect" in self._request.headers:
            return
        limit = self._read + self._max_bytes

        async def read_on() -> None:
            while self._more and self._read < limit:
                await self._next()

        with suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(read_on(), _DISCARD_SECONDS)

    async def _next(self) -> dict[str, Any]:
        message = dict(await self._request.receive())
        self._read += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        return message

    def _check(self, count: int) -> None:
        if count > self._max_bytes:
            raise HTTPException(
                413, f"the body is larger than the limit of {self._max_bytes} bytes"
            )


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
