"""Calls of huggingface_hub: a time limit, and errors that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shamisa_cli.errors import HubError, ShamisaError, first_line, unknown_name
from shamisa_cli.hub.names import HubName

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
HTTP_LIBRARIES = ("httpx", "httpcore")
LOG_IN = "set HF_TOKEN, or run: hf auth login"


@contextmanager
def time_limit() -> Iterator[None]:
    """Let no request wait longer than ``HF_HUB_ETAG_TIMEOUT``, unless it sets its own limit.

    The client lists files and branches, and asks for the tokens of Xet, without any limit. All that
    it does shares one session; so the old limit is put back, and an upload may take long.
    """
    from huggingface_hub import constants, get_session

    session = get_session()
    before = session.timeout
    session.timeout = constants.HF_HUB_ETAG_TIMEOUT
    try:
        yield
    finally:
        session.timeout = before


@contextmanager
def explained(name: HubName, access: str = "read", place: str = "HF_HOME") -> Iterator[None]:
    """Raise whatever a transfer raises as one :class:`HubError`; our own errors pass through.

    ``access`` is what it needs, ``read`` or ``write``; ``place`` the setting that says where files
    go.
    """
    try:
        yield
    except ShamisaError:
        raise
    except Exception as error:  # of httpx, hf_xet, the system: it differs by version
        raise HubError(f"{name}: {_explain(error, name, access, place)}") from error


def _explain(error: BaseException, name: HubName, access: str, place: str) -> str:
    """The first cause of ``error`` that is known, or else its own first line."""
    cause: BaseException | None = error
    while cause is not None:
        known = _answered(cause, name, access) or _interrupted(cause, place)
        if known:
            return known
        cause = cause.__cause__ or cause.__context__
    return first_line(error)


def _answered(error: BaseException, name: HubName, access: str) -> str | None:
    """What the Hub answered, if ``error`` is one of its answers."""
    from huggingface_hub import constants, errors

    address = f"{constants.ENDPOINT}/{name.path}"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so the network is not used; unset it for this"
    if isinstance(error, errors.GatedRepoError):
        return f"it is gated: ask for access at {address}, then {LOG_IN}"
    if isinstance(error, errors.RevisionNotFoundError):
        return _no_revision(name)
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"no such repository, or a private one that you may not see: {_who(name)}"
    if not isinstance(error, errors.HfHubHTTPError) or error.response is None:
        return None
    status = error.response.status_code
    if status == 401:
        return f"access refused: {_who(name)}"
    if status == 403:
        return (
            f"no permission: the token needs {access} access to the repositories of {name.owner}; "
            f"see {constants.ENDPOINT}/settings/tokens"
        )
    if status == 429:
        return "too many requests, says the Hub; try again in some minutes"
    if status >= 500:
        return f"the Hub has trouble (status {status}); try again later"
    reason = error.server_message or first_line(error)
    return f"the Hub refuses this (status {status}): {reason}"


def _interrupted(error: BaseException, place: str) -> str | None:
    """What came between the Hub and this machine's disk, if ``error`` tells."""
    from huggingface_hub import constants

    if "Timeout" in type(error).__name__:
        return f"{constants.ENDPOINT} did not answer in time; run the command again"
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return (
            f"no room on the disk ({error.strerror}): free some, or set {place} to a folder with "
            "room, and run the command again"
        )
    if isinstance(error, PermissionError):
        return f"{error.filename}: may not be written; set {place} to a folder of your own"
    cut = isinstance(error, ConnectionError) or "Consistency check failed" in str(error)
    if cut or type(error).__module__.startswith(HTTP_LIBRARIES):
        return (
            f"{constants.ENDPOINT} cannot be reached, or was cut off ({first_line(error)}); check "
            "the network, and run the command again"
        )
    return None


def _who(name: HubName) -> str:
    """What to check: the name, and the token if there is one."""
    from huggingface_hub import get_token

    if get_token() is None:
        return f"check the name; if {name.path} is private, {LOG_IN}"
    return f"check the name, and that the token may see it ({LOG_IN})"


def _no_revision(name: HubName) -> str:
    """That the revision is missing, and which ones there are."""
    from huggingface_hub import HfApi

    known = []
    with suppress(Exception), time_limit():  # without the list it still says what is wrong
        refs = HfApi().list_repo_refs(name.repo, repo_type=name.kind)
        known = [ref.name for ref in (*refs.branches, *refs.tags)]
    return str(unknown_name("revision", name.revision or "main", known))
