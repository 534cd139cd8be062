"""What huggingface_hub raises, as messages that name the repository and the mend."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from shamisa_cli.errors import HubError, ShamisaError, first_line, near_matches
from shamisa_cli.hub.names import HubName
from shamisa_cli.hub.patience import patience

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
HTTP_LIBRARIES = ("httpx", "httpcore", "requests", "urllib3")
"""Which one huggingface_hub uses depends on its version."""
LOG_IN = "set HF_TOKEN, or run: hf auth login"


@contextmanager
def explained(name: HubName, access: str = "read", place: str = "HF_HOME") -> Iterator[None]:
    """Turn whatever a transfer raises into one :class:`HubError`; ours pass through.

    Parameters
    ----------
    name : the repository.
    access : ``read`` or ``write``, what the transfer needs.
    place : the setting that says where files go.
    """
    try:
        yield
    except ShamisaError:
        raise
    except Exception as error:  # of httpx, requests, hf_xet, the system: it differs by version
        raise HubError(f"{name}: {_explain(error, name, access, place)}") from error


def _explain(error: BaseException, name: HubName, access: str, place: str) -> str:
    """The first cause of ``error`` that is known, or else its own first line."""
    cause: BaseException | None = error
    while cause is not None:
        known = _of_the_hub(cause, name, access) or _of_the_way(cause, place)
        if known:
            return known
        cause = cause.__cause__ or cause.__context__
    return first_line(error)


def _of_the_hub(error: BaseException, name: HubName, access: str) -> str | None:
    """What the Hub answered, if ``error`` is an answer of it."""
    from huggingface_hub import constants, errors

    address = f"{constants.ENDPOINT}/{name.path}"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so the network is left alone; unset it for this"
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
        return "the Hub answers that these are too many requests; try again in some minutes"
    if status >= 500:
        return f"the Hub has trouble (status {status}); try again later"
    reason = error.server_message or first_line(error)
    return f"the Hub refuses this (status {status}): {reason}"


def _of_the_way(error: BaseException, place: str) -> str | None:
    """What came between the Hub and us, if ``error`` tells."""
    from huggingface_hub import constants

    if isinstance(error, UnicodeEncodeError):  # a header's; all but the token is ours
        return f"the token has letters that no token has: {LOG_IN}"
    if "Timeout" in type(error).__name__:
        return f"{constants.ENDPOINT} did not answer in time; run the command again"
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return (
            f"no room on the disk ({error.strerror}): free some, or let {place} be a folder with "
            "room, and run the command again"
        )
    if isinstance(error, PermissionError):
        return f"{error.filename}: may not be written; let {place} be a folder of your own"
    if isinstance(error, OSError) and "Consistency check failed" in str(error):
        return "the connection was cut before the end; run the command again, and it goes on"
    if isinstance(error, ConnectionError) or type(error).__module__.startswith(HTTP_LIBRARIES):
        return (
            f"{constants.ENDPOINT} cannot be reached, or was cut off ({first_line(error)}); check "
            "the network, and run the command again"
        )
    return None


def _who(name: HubName) -> str:
    """What to do about names and tokens, by whether there is a token."""
    from huggingface_hub import get_token

    if get_token() is None:
        return f"check the name; if {name.path} is private, {LOG_IN}"
    return f"check the name, and that the token is right and may see it ({LOG_IN})"


def _no_revision(name: HubName) -> str:
    """The revisions that there are, as far as the Hub tells."""
    from huggingface_hub import HfApi

    asked = name.revision or "main"
    try:
        with patience():
            refs = HfApi().list_repo_refs(name.repo, repo_type=name.kind)
    except Exception:  # this is an error's message already; without the list it is still one
        return f"there is no revision {asked!r}"
    known = [ref.name for ref in (*refs.branches, *refs.tags)]
    near = near_matches(asked, known)
    if near:
        return f"there is no revision {asked!r}. Did you mean {' or '.join(near)}?"
    return f"there is no revision {asked!r}; there are: {', '.join(known) or 'none yet'}"
