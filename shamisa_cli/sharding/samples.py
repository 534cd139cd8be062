"""What shards hold: samples, each an image and what is beside it; read as a stream, one by one."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from shamisa_cli.errors import PhotoError, ShamisaError
from shamisa_cli.sharding.inputs import is_photo
from shamisa_cli.spelling import escape_name

if TYPE_CHECKING:
    from typing_extensions import Self

_MAX_IMAGE = 1 << 30
_MAX_BESIDE = 1 << 20
"""Bytes of a file beside an image; larger ones are passed over."""
_BESIDE = ("json", "txt", "cls")
_ROWS_AT_ONCE = 16
_BUFFER = 1 << 20
_TAR_BUFFER = 1 << 16
"""Each small read copies what is left of it."""


@dataclass(frozen=True)
class Sample:
    """An image of a shard.

    Attributes
    ----------
    key, path : see ``sharding.schema``.
    image : the content of its file; of one that cannot be read the error.
    beside : what the input has beside it, by name.
    """

    key: str
    path: str
    image: bytes | PhotoError
    beside: dict[str, Any] = field(default_factory=dict)


class Content(io.BytesIO):
    """A sample's image as an open file with a name, for the Scorer; reading it may raise."""

    def __init__(self, sample: Sample) -> None:
        problem = sample.image if isinstance(sample.image, PhotoError) else None
        super().__init__(b"" if isinstance(sample.image, PhotoError) else sample.image)
        self.name = sample.path
        self._problem = problem

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Every reader begins with it."""
        if self._problem is not None:
            raise self._problem
        return super().seek(offset, whence)


def tar_samples(file: BinaryIO, path: str) -> Iterator[Sample]:
    """The samples of a tar in the WebDataset layout, which is read once from its start.

    Members side by side that share their name up to the first dot of its last part are a sample:
    an image, a JSON object, a text. Of several images each is a sample. Memory does not grow with
    the number of members.

    Raises
    ------
    ShamisaError
        if the tar is torn or damaged, or holds files and no photo.
    """
    key, images, beside = "", [], {}  # type: ignore[var-annotated]
    members = photos = 0
    for name, size, read in _members(file, path):
        members += 1
        of, ending = split_name(name)
        if of != key:
            yield from _grouped(key, images, beside, path)
            key, images, beside = of, [], {}
        if is_photo(name):
            photos += 1
            images.append((name, read() if size <= _MAX_IMAGE else _too_large(name, size)))
        elif ending in _BESIDE and size <= _MAX_BESIDE:
            beside[ending] = read()
    yield from _grouped(key, images, beside, path)
    if members and not photos:
        raise ShamisaError(f"{path}: none of its {members} members is a photo, by their endings")


class TarMember(tarfile.TarInfo):
    """A header that is damaged is an error; tarfile takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"bad header at byte {archive.offset}") from error


def tar_members(file: BinaryIO, buffer: int) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Each member of a tar and the archive that it is in, which keeps none of those it has seen.

    Parameters
    ----------
    buffer : bytes that are read at a time.
    """
    with tarfile.open(fileobj=file, mode="r|", bufsize=buffer, tarinfo=TarMember) as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]
            yield archive, member


def _members(file: BinaryIO, path: str) -> Iterator[tuple[str, int, Any]]:
    """Name, size and a way to read the content of each ordinary file in a tar."""
    try:
        for archive, member in tar_members(file, _TAR_BUFFER):
            if member.isfile():
                yield member.name, member.size, partial(_content, archive, member, path)
    except tarfile.TarError as error:
        raise _torn(path, error) from error


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> bytes:
    try:
        opened = archive.extractfile(member)
        content = opened.read() if opened else b""
    except tarfile.TarError as error:
        raise _torn(path, error) from error
    if len(content) != member.size:
        raise _torn(path, f"{member.name} is cut short")
    return content


def _torn(path: str, reason: object) -> ShamisaError:
    return ShamisaError(f"{path}: damaged or torn ({reason}); copy or download it again")


def split_name(name: str) -> tuple[str, str]:
    """The key of a member, and its ending: ``a/b`` and ``input.jpg`` of ``a/b.input.jpg``."""
    folder, slash, last = name.removeprefix("./").rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}{slash}{stem}", ending.lower()


def _grouped(key: str, images: list[Any], beside: dict[str, bytes], path: str) -> Iterator[Sample]:
    facts = _facts(beside) if images else {}
    for name, image in images:
        member = escape_name(name)
        yield Sample(escape_name(key), f"{path}/{member}", image, facts)


def _facts(beside: dict[str, bytes]) -> dict[str, Any]:
    """The fields of the JSON, with the text as ``caption`` and the class as ``cls``."""
    facts: dict[str, Any] = {}
    try:
        loaded = json.loads(beside.get("json", b"{}"))
        facts = loaded if isinstance(loaded, dict) else {}
    except (ValueError, RecursionError):
        pass  # the photo counts; what is beside it is unknown
    for ending, name in (("txt", "caption"), ("cls", "cls")):
        if ending in beside and facts.get(name) is None:
            facts[name] = beside[ending].decode("utf-8", "replace").rstrip("\r\n")
    return facts


def _too_large(name: str, size: int) -> PhotoError:
    return PhotoError(f"{name}: {size / 1e9:.1f} GB is too much for a photo")


def parquet_samples(
    file: BinaryIO, path: str, column: str, keep: Sequence[str]
) -> Iterator[Sample]:
    """The samples of a Parquet file, a few rows at a time, whatever the size of its row groups.

    Parameters
    ----------
    column : of the images: bytes, or Hugging Face's struct of bytes and path.
    keep : columns that samples have beside them; ``key`` and ``uid`` are read where they are.

    Raises
    ------
    ShamisaError
        if the file is damaged, or has no such column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # with a buffer, pages are read one after the other; without, a whole row group is
        table = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
        there = table.schema_arrow.names
        if column not in there:
            raise ShamisaError(f"{path}: has no column {column!r}; its columns: {', '.join(there)}")
        wanted = [name for name in dict.fromkeys((column, "key", "uid", *keep)) if name in there]
        number = 0
        for batch in table.iter_batches(_ROWS_AT_ONCE, columns=wanted, use_threads=False):
            for row in batch.to_pylist():
                image, row_key = row.pop(column), row.get("key")
                key = escape_name(str(number if row_key is None else row_key))
                yield Sample(key, f"{path}/{number}", _image(image, f"{path}/{number}"), row)
                number += 1
    except (pa.ArrowException, OSError) as error:
        raise ShamisaError(f"{path}: cannot be read as Parquet: {error}") from error


def _image(value: Any, name: str) -> bytes | PhotoError:
    """The image of a row; ``value`` is bytes, or a struct of bytes and path."""
    if isinstance(value, dict):
        if value.get("bytes") is None and value.get("path"):
            return PhotoError(
                f"{name}: has the path {value['path']} and no bytes; embed the images in the file"
            )
        value = value.get("bytes")
    if isinstance(value, bytes):
        return value
    kind = "no image" if value is None else f"{type(value).__name__} and no bytes"
    return PhotoError(f"{name}: has {kind} in this row")
