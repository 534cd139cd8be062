"""DataComp's subset file: 128-bit uids as pairs of 64-bit numbers, sorted, in an .npy file.

Its resharder maps the file into memory and looks each sample up by bisection: dtype ``u8,u8``, the
upper half first, in rising order. It writes a sample once for every time that its uid is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from shamisa_cli.errors import ShamisaError

if TYPE_CHECKING:
    import pyarrow as pa

UID = np.dtype("u8,u8")
DIGITS = 32

RUN = 1 << 20
"""Uids that are sorted at once: 16 MB."""

_HEX = np.full(256, 255, np.uint8)
_HEX[[ord(c) for c in "0123456789abcdef"]] = range(16)
_HEX[[ord(c) for c in "ABCDEF"]] = range(10, 16)
_SHIFTS = np.arange(60, -4, -4, dtype=np.uint64)


def uids_of(texts: pa.Array) -> NDArray[np.void]:
    """Pairs of numbers of hexadecimal ``texts`` of 32 digits; shorter ones count as padded by 0.

    Raises
    ------
    ShamisaError
        if one is none; the message has it.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
    padded = pc.ascii_lpad(pc.fill_null(texts, ""), DIGITS, "0").cast(pa.large_binary())
    good = (lengths > 0) & (lengths <= DIGITS)
    if good.all():
        joined = b"".join(padded.to_pylist())
        digits = _HEX[np.frombuffer(joined, np.uint8)].reshape(-1, DIGITS)
        good = (digits < 16).all(axis=1)
    if not good.all():
        wrong = texts[int(np.argmin(good))].as_py()
        raise ShamisaError(
            f"uid {wrong!r}: is no hexadecimal number of up to 32 digits, as DataComp's are"
            if wrong
            else "a row that stays has no uid; a subset file needs one for each"
        )
    pairs = np.empty(len(digits), UID)
    for name, half in (("f0", digits[:, :16]), ("f1", digits[:, 16:])):
        pairs[name] = (half.astype(np.uint64) << _SHIFTS).sum(axis=1, dtype=np.uint64)
    return pairs


class UidSorter:
    """Sorts uids of any number; state: a run that is not full, and a scratch file of sorted runs.

    Parameters
    ----------
    scratch : an empty file, open for reading and writing, such as a temporary one; 16 bytes a uid.
    run : so many are sorted in memory at once.
    """

    def __init__(self, scratch: BinaryIO, run: int = RUN) -> None:
        self.total = 0
        self._scratch = scratch
        self._run = run
        self._waiting: list[NDArray[np.void]] = []
        self._count = 0

    def add(self, uids: NDArray[np.void]) -> None:
        """Take more of them, in any order."""
        self._waiting.append(uids)
        self._count += len(uids)
        while self._count >= self._run:
            self._store()

    def distinct(self) -> Iterator[NDArray[np.void]]:
        """All of them in rising order, each once, in several arrays; call it once, at the end."""
        self._store()
        self._scratch.flush()
        if not self.total:
            return
        pool = np.memmap(self._scratch, UID, "r", shape=(self.total,))
        before = None
        runs = [pool[start : start + self._run] for start in range(0, self.total, self._run)]
        for stretch in _merged(runs, self._run):
            fresh = np.ones(len(stretch), bool)
            fresh[1:] = stretch[1:] != stretch[:-1]
            fresh[0] = before is None or stretch[0] != before
            before = stretch[-1]
            yield stretch[fresh]

    def repeats(self) -> int:
        """How many were there already when they came; call it once, at the end."""
        return -sum(len(part) for part in self.distinct()) + self.total

    def _store(self) -> None:
        joined = np.concatenate([np.empty(0, UID), *self._waiting])
        part, rest = joined[: self._run], joined[self._run :]
        self._scratch.write(_sorted(part).tobytes())
        self.total += len(part)
        self._waiting, self._count = [rest], len(rest)


def write_npy(file: BinaryIO, uids: UidSorter) -> int:
    """Write the .npy file of ``uids``, sorted, each once; returns how many they are."""
    written = 0
    _write_header(file, written)
    for part in uids.distinct():
        file.write(part.tobytes())
        written += len(part)
    file.seek(0)
    _write_header(file, written)
    return written


def _write_header(file: BinaryIO, count: int) -> None:
    """The head of an .npy file; numpy leaves room, so that it has one length for all counts."""
    header = {"descr": np.lib.format.dtype_to_descr(UID), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)


def _sorted(pairs: NDArray[np.void]) -> NDArray[np.void]:
    return pairs[np.lexsort((pairs["f1"], pairs["f0"]))]


def _merged(runs: list[NDArray[np.void]], size: int) -> Iterator[NDArray[np.void]]:
    """All of sorted ``runs`` in order, about ``size`` at a time.

    The stretches end at numbers that stand at even steps in the runs, so few lie between two.
    """
    if not runs:
        return
    step = max(1, size // len(runs))
    marks = _sorted(np.concatenate([run[step - 1 :: step] for run in runs]))
    places = [0] * len(runs)
    for mark in marks[len(runs) - 1 :: len(runs)]:
        ends = [int(np.searchsorted(run, mark, "right")) for run in runs]
        parts = [run[a:b] for run, a, b in zip(runs, places, ends, strict=True)]
        places = ends
        if any(len(part) for part in parts):
            yield _sorted(np.concatenate(parts))
    rest = np.concatenate([run[a:] for run, a in zip(runs, places, strict=True)])
    if len(rest):
        yield _sorted(rest)
