"""What the server answers, as the OpenAPI page describes it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

BINARY = {"type": "string", "format": "binary"}
"""The schema of a file."""


class Row(BaseModel):
    """One photo: the columns of a file of `shamisa score`."""

    path: str = Field(description="what the client calls it; empty if it has no name")
    score: float | None = Field(description="0-100, higher is better; null if the photo failed")
    uncertainty: float | None = Field(description="one standard deviation, in points")
    better_than: float | None = Field(description="percentage of everyday photos that score lower")
    looks_like: str = Field(description="kinds of damage; empty unless they were asked for")
    note: str = Field(description="why the score is to be trusted less; mostly empty")
    width: int | None = Field(description="px, of the photo, upright")
    height: int | None
    scored_width: int | None = Field(description="px, of the picture that was looked at")
    scored_height: int | None
    model: str = Field(description="name and fingerprint of all that decides a score")
    head: str
    status: str = Field(description="ok, padded, clipped, padded+clipped or failed")
    error: str = Field(description="why the photo failed, and what to do")


class Rows(BaseModel):
    """A row a photo, in the order of the files."""

    rows: list[Row]


class Health(BaseModel):
    """The server is up, and its model is loaded."""

    status: str = "ok"
    model: str
    head: str
    device: str
    version: str


class Refusal(BaseModel):
    """Why there is no score."""

    detail: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {
        "model": Refusal,
        "description": "No photo, a malformed form, or a field that is no file",
    },
    408: {"model": Refusal, "description": "The body took too long"},
    413: {"model": Refusal, "description": "The body is too large"},
    503: {
        "model": Refusal,
        "description": "Too many requests at once",
        "headers": {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}},
    },
}

UNREADABLE: dict[int | str, dict[str, Any]] = {
    422: {"model": Refusal, "description": "The photo cannot be read"}
}


def body(form: dict[str, Any]) -> dict[str, Any]:
    """The description of a body: an image as it is, or ``form``, the properties of a form."""
    fields = {"type": "object", "properties": form, "required": list(form)}
    content = {"multipart/form-data": {"schema": fields}, "image/*": {"schema": BINARY}}
    return {"requestBody": {"required": True, "content": content}}
