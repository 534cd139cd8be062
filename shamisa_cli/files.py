"""Files that a command writes, and how they spell the names of photos."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shamisa_cli.errors import ShamisaError, system_reason

_HALF = r"ud[89a-f][0-9a-f]{2}"
_ESCAPED = re.compile(rf"\\(?:x(5c|[89a-f][0-9a-f])|({_HALF}))")
_TO_ESCAPE = re.compile(rf"\\(?=x5c|x[89a-f][0-9a-f]|{_HALF})|[\ud800-\udfff]")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise a ShamisaError that names ``path`` where the system refuses to write it."""
    try:
        yield
    except OSError as error:
        raise ShamisaError(f"{path}: cannot be written: {system_reason(error)}") from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in UTF-8; names of photos in it are as of :func:`escape_name`."""
    with writing(path):
        path.write_text(text, encoding="utf-8", errors="backslashreplace")


def escape_name(name: str) -> str:
    r"""``name`` of a photo in characters that UTF-8 and JSON have; :func:`unescape_name` undoes it.

    A byte that is not UTF-8 becomes ``\x`` and two digits, half of a surrogate pair ``\u`` and
    four, hexadecimal. A backslash becomes ``\x5c`` where it would be taken for the start of one.

    Examples
    --------
    >>> print(escape_name("caf\udce9.png"), escape_name(r"a\b.png"), escape_name(r"a\xe9.png"))
    caf\xe9.png a\b.png a\x5cxe9.png
    """
    return _TO_ESCAPE.sub(_escaped, name)


def unescape_name(text: str) -> str:
    """The name that :func:`escape_name` wrote as ``text``."""
    return _ESCAPED.sub(_unescaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code == 0x5C:
        return r"\x5c"
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _unescaped(found: re.Match[str]) -> str:
    if found[2]:
        return chr(int(found[2][1:], 16))
    code = int(found[1], 16)
    return "\\" if code == 0x5C else chr(0xDC00 + code)
