"""A time limit for those of the client's questions that have none of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def patience() -> Iterator[None]:
    """Let no question wait longer than ``HF_HUB_ETAG_TIMEOUT``, unless it sets its own limit.

    The client asks for branches, and for the tokens that Xet needs, without any. Its session is
    shared by all that it does, so the limit is taken back at the end: what is sent may take long.
    """
    from huggingface_hub import constants, get_session

    session = get_session()
    before = session.timeout
    session.timeout = constants.HF_HUB_ETAG_TIMEOUT
    try:
        yield
    finally:
        session.timeout = before
