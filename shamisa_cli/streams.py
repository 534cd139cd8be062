"""Standard output and standard error of the process, which may be closed or full."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

from shamisa_cli.errors import OutputError, system_reason


class _Output(io.FileIO):
    """Standard output: what it does not take is an OutputError, told once."""

    failed = False
    reason: OSError | None = None

    def write(self, content: Any) -> Any:
        """Write, or raise an OutputError; after that, what is left in buffers goes nowhere."""
        if self.failed or len(content) == 0:  # click tries a stream by writing nothing
            return len(content)
        try:
            if self.reason is not None:
                raise self.reason
            return super().write(content)
        except OSError as error:
            self.failed = True
            if error.errno == errno.EPIPE:
                raise OutputError("standard output was closed; stopped", closed=True) from error
            reason = system_reason(error)
            raise OutputError(f"standard output cannot be written: {reason}") from error


class _Messages(io.FileIO):
    """Standard error: messages that it does not take are lost, and the work goes on."""

    def write(self, content: Any) -> Any:
        """Write if that is possible."""
        try:
            return super().write(content)
        except OSError:
            return len(content)


def guard_streams() -> None:
    """Put guards into standard output and standard error, for the rest of the process."""
    sys.stdout = _guarded(sys.stdout, 1, _Output)
    sys.stderr = _guarded(sys.stderr, 2, _Messages)


def _guarded(stream: TextIO | None, descriptor: int, kind: type[io.FileIO]) -> TextIO:
    if stream is None:  # it was closed before we began
        return io.TextIOWrapper(io.BufferedWriter(_instead(descriptor, kind)))
    buffer: Any = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    if type(raw) is not io.FileIO:  # a console of Windows, or a stream that somebody else put there
        return stream
    stream.flush()
    guard: Any = kind(raw.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        guard if buffer is raw else io.BufferedWriter(guard),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=bool(getattr(stream, "line_buffering", False)),
        write_through=bool(getattr(stream, "write_through", False)),
    )


def _instead(descriptor: int, kind: type[io.FileIO]) -> io.FileIO:
    """Something in place of a closed stream, so that no file of ours gets its number."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    if nothing != descriptor:
        os.dup2(nothing, descriptor)
        os.close(nothing)
    guard = kind(descriptor, "w", closefd=False)
    if isinstance(guard, _Output):
        guard.reason = OSError(errno.EBADF, "it is closed")
    return guard
