"""The errors that a person may meet: each names what was wrong and how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ShamisaError(Exception):
    """Something a person can act on; the command line prints its message, without a traceback."""

    exit_code = 1


class UsageError(ShamisaError):
    """An option, a key or a combination of them that is invalid (exit code 2)."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not in its list; the message carries the nearest names of that list."""


class PhotoError(ShamisaError):
    """A photo that cannot be read; the message is what the row's ``error`` column says."""


class WeightsError(ShamisaError):
    """A model or head that cannot be found, or is not what it says it is (exit code 2)."""

    exit_code = 2


class HubError(ShamisaError):
    """Something that a model hub refused, or that came between it and us."""


class OutputError(ShamisaError):
    """Standard output takes no more: it was ``closed`` (exit code 141), or is full (1)."""

    def __init__(self, message: str, *, closed: bool = False) -> None:
        super().__init__(message)
        self.exit_code = 128 + 13 if closed else 1  # of a program that SIGPIPE ends


class StoppedError(ShamisaError):
    """A run that signal ``number`` stopped; it can be resumed (exit code 128 + number)."""

    def __init__(self, number: int) -> None:
        super().__init__("stopped; go on with resume")
        self.exit_code = 128 + number


def unknown_name(kind: str, name: str, known: Iterable[str], hint: str = "") -> UnknownNameError:
    """Build the refusal of ``name``, with near matches among ``known`` (or all of a short list)."""
    names = list(known)
    near = near_matches(name, names)
    message = f"unknown {kind} {name!r}."
    if near:
        message += f" Did you mean {' or '.join(near)}?"
    elif names and len(names) <= 30:
        message += f" Known: {', '.join(sorted(names))}."
    if hint:
        message += f" {hint}"
    return UnknownNameError(message)


def first_line(error: BaseException) -> str:
    """What another library's error says, in one line; its kind if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def kind_and_reason(error: BaseException) -> str:
    """An error in one line, with its kind; our own speak for themselves."""
    said = first_line(error)
    return said if isinstance(error, ShamisaError) else f"{type(error).__name__}: {said}"


def system_reason(error: OSError) -> str:
    """What the system says of a file that it refused."""
    return error.strerror or first_line(error)


def near_matches(
    name: str, known: Iterable[str], n: int = 3, *, likeness: float = 0.6
) -> list[str]:
    """Up to ``n`` names of ``known`` that resemble ``name``, best first, whatever their case.

    ``likeness``, from 0 to 1, is what they must have (difflib's ratio).
    """
    by_folded = {k.casefold(): k for k in known}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=n, cutoff=likeness)
    return [by_folded[k] for k in near]
