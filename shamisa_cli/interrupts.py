"""Ctrl-C: every command ends with exit code 130, and says so in one line."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
"""Exit code after Ctrl-C, as shells have it."""


class Interrupt(KeyboardInterrupt):
    """Ctrl-C. After a plain KeyboardInterrupt Python may end by the signal, not by our code."""


class Interrupts:
    """How often Ctrl-C was pressed; where that is ignored, as in background jobs, it stays so.

    While code is loaded, Ctrl-C ends the process at once: nothing is open yet, and torch aborts on
    an exception in its loading. After that it is an :class:`Interrupt`.
    """

    def __init__(self) -> None:
        self.times = 0
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.times += 1
        if _loads_code(frame):
            tell_interrupted()
            os._exit(INTERRUPTED)
        raise Interrupt


def tell_interrupted() -> None:
    """The last line on standard error."""
    end_of_line = "\n" if sys.stderr.isatty() else ""  # the terminal shows ^C
    print(f"{end_of_line}stopped by Ctrl-C", file=sys.stderr, flush=True)


def _loads_code(frame: FrameType | None) -> bool:
    """Whether an import is under way in ``frame`` or in what called it."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
