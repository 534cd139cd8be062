"""Files near and far by address: paths of this machine, or s3, gs, hf, http(s) by fsspec."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from shamisa_cli.errors import ShamisaError, UsageError, first_line

_EXTRAS = {
    "s3": ("s3fs", "shamisa[s3]"),
    "s3a": ("s3fs", "shamisa[s3]"),
    "gs": ("gcsfs", "shamisa[gcs]"),
    "gcs": ("gcsfs", "shamisa[gcs]"),
    "http": ("aiohttp", "aiohttp"),
    "https": ("aiohttp", "aiohttp"),
}
"""Kinds of addresses that need a package, and what brings it."""

_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "az", "oss", "hf"}
"""Where a file is there whole, or not at all, without any renaming."""

_BLOCK = 4 << 20


def protocol_of(address: str) -> str:
    """``s3`` of ``s3://bucket/key``; ``file`` of a path."""
    head, separator, _ = address.partition("://")
    return head if separator else "file"


def filesystem(address: str) -> tuple[Any, str]:
    """What reads ``address`` (an fsspec file system), and its name there.

    Raises
    ------
    UsageError
        if that kind of address is unknown, or needs a package that is not installed.
    """
    import fsspec

    package, install = _EXTRAS.get(protocol_of(address), ("", ""))
    if package and importlib.util.find_spec(package) is None:
        raise UsageError(f"{address}: {protocol_of(address)}:// needs: pip install '{install}'")
    try:
        return fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{address}: cannot be read: {first_line(error)}") from error


def absolute(address: str) -> str:
    """``address`` as every process on every machine understands it."""
    fs, path = filesystem(address)
    return path if is_local(fs) else fs.unstrip_protocol(path)


def is_local(fs: Any) -> bool:
    """Whether ``fs`` is this machine's own."""
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(fs, LocalFileSystem)


@contextmanager
def naming(address: str, what: str) -> Iterator[None]:
    """Raise a ShamisaError that names ``address`` where ``what`` cannot be done with it.

    Each kind of storage has errors of its own, so that any error counts.
    """
    try:
        yield
    except ShamisaError:
        raise
    except Exception as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else None
        raise ShamisaError(f"{address}: cannot be {what}: {said or first_line(error)}") from error


@dataclass
class Unnamed:
    """A file that is being written, and the name that it gets in its folder."""

    path: Path
    name: str = ""


class Folder:
    """A folder of files that are put in place whole, on this machine or far away.

    Parameters
    ----------
    address : a path, or a URL.
    """

    def __init__(self, address: str) -> None:
        self.address = absolute(address)
        self._fs, path = filesystem(self.address)
        self._path = path.rstrip("/")
        self._local = is_local(self._fs)

    def of(self, name: str) -> str:
        """The address of the file ``name`` in it."""
        return f"{self.address.rstrip('/')}/{name}"

    def names(self) -> set[str]:
        """The files that are there; none if there is no such folder."""
        return {_last(name) for name in self._listed(detail=False)}

    def times(self) -> dict[str, float | None]:
        """:meth:`names`, with when each was written, s since 1970; None if storage does not say."""
        found: dict[str, float | None] = {}
        for info in self._listed(detail=True):
            written = info.get("mtime") or info.get("LastModified")
            written = written.timestamp() if isinstance(written, datetime) else written
            known = isinstance(written, (int, float))
            found[_last(info["name"])] = float(written) if known else None
        return found

    def _listed(self, *, detail: bool) -> list[Any]:
        """What storage says of the files that are there now; nothing of no folder."""
        with naming(self.address, "listed"):
            self._fs.invalidate_cache()
            try:
                return list(self._fs.ls(self._path, detail=detail))
            except FileNotFoundError:
                return []

    def make(self) -> None:
        """Make the folder, if there is none; the error is a UsageError."""
        if not self._local:
            return
        try:
            Path(self._path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = "is a file, not a folder" if Path(self._path).exists() else error.strerror
            raise UsageError(f"{self.address}: cannot be made: {reason}") from error

    def has(self, name: str) -> bool:
        """Whether the file ``name`` is there now."""
        with naming(self.of(name), "read"):
            self._fs.invalidate_cache()
            return bool(self._fs.exists(f"{self._path}/{name}"))

    def read(self, name: str) -> bytes | None:
        """The content of a small file; None if there is none."""
        with naming(self.of(name), "read"):
            try:
                self._fs.invalidate_cache()
                return bytes(self._fs.cat_file(f"{self._path}/{name}"))
            except FileNotFoundError:
                return None

    def open(self, name: str) -> Any:
        """The file ``name``, open for reading in binary."""
        return self._fs.open(f"{self._path}/{name}", "rb")

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError), naming(self.of(name), "removed"):
            if self._fs.exists(f"{self._path}/{name}"):
                self._fs.rm_file(f"{self._path}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Put a small file in place, or in the place of another."""
        with self.writing(name) as part:
            part.write_bytes(content)

    def write_new(self, name: str, content: bytes) -> bool:
        """Put a small file in place; False if one of that name is there, which stays."""
        with naming(self.of(name), "written"):
            try:
                if not self._local:
                    self._fs.pipe_file(f"{self._path}/{name}", content, mode="create")
                    return True
                with self._beside(name) as part:
                    part.write_bytes(content)
                    _sync(part)
                    os.link(part, Path(self._path, name))
                return True
            except FileExistsError:
                return False

    def sweep(self) -> None:
        """Remove what killed processes of this machine left half written here."""
        for part in Path(self._path).glob(".*.tmp") if self._local else ():
            host, pid = part.name.split(".")[-3:-1] if part.name.count(".") > 3 else ("", "")
            if host == _host() and pid.isdigit() and not _is_alive(int(pid)):
                part.unlink(missing_ok=True)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path of this machine to write to; at the end its file is in place, all at once.

        If that fails, nothing of it is there, and an older file ``name`` is as it was.
        """
        if self._local:
            with self._beside(name) as part:
                yield part
                with naming(self.of(name), "written"):
                    _sync(part)
                    part.replace(Path(self._path, name))
            return
        with tempfile.TemporaryDirectory(prefix="shamisa-") as folder:
            part = Path(folder, name)
            yield part
            with naming(self.of(name), "written"):
                self._send(part, name)

    @contextmanager
    def writing_named_later(self) -> Iterator[Unnamed]:
        """:meth:`writing` a file that gets its ``name`` before the end; the same of one content."""
        with tempfile.TemporaryDirectory(prefix="shamisa-") as folder:
            part = Unnamed(Path(folder, "part"))
            yield part
            with self.writing(part.name) as place:
                shutil.copyfile(part.path, place)

    def _send(self, part: Path, name: str) -> None:
        target = f"{self._path}/{name}"
        if protocol_of(self.address) in _OBJECT_STORES:
            self._fs.put_file(str(part), target)
            return
        beside = f"{self._path}/.{name}.{uuid.uuid4().hex}.tmp"
        self._fs.makedirs(self._path, exist_ok=True)
        self._fs.put_file(str(part), beside)
        self._fs.mv(beside, target)

    @contextmanager
    def _beside(self, name: str) -> Iterator[Path]:
        part = Path(self._path, f".{name}.{_host()}.{os.getpid()}.tmp")
        try:
            yield part
        finally:
            with suppress(OSError):
                part.unlink()


def open_for_reading(address: str, *, sequential: bool) -> Any:
    """The file at ``address``, open for reading in binary.

    Of far files a few megabytes are kept: ahead where reading is ``sequential``; else at several
    places, since columns of Parquet are read side by side.
    """
    fs, path = filesystem(address)
    with naming(address, "read"):
        if sequential or is_local(fs):
            return fs.open(path, "rb")
        return fs.open(path, "rb", block_size=_BLOCK, cache_type="blockcache")


def _last(name: str) -> str:
    """The last part of a name in storage."""
    return name.rstrip("/").rpartition("/")[2]


def _host() -> str:
    """This machine's name, without dots."""
    return socket.gethostname().replace(".", "-")


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # there the question would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _sync(path: Path) -> None:
    """Have the system put a file on the disk, before another name says that it is whole."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
