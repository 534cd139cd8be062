"""The manifest of a run: what is scored, by what, and how; two runs on one folder must agree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from shamisa_cli.errors import UsageError
from shamisa_cli.files import MARK
from shamisa_cli.sharding.inputs import Input, Inputs, Kind
from shamisa_cli.sharding.kept import Kept
from shamisa_cli.sharding.listing import Listing
from shamisa_cli.sharding.storage import Folder

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Shard:
    """A task: what one part is made of.

    Attributes
    ----------
    id : 16 hexadecimal digits of what it is made of.
    path : as it was given; of photos, that of the first folder.
    url : of the tar, the Parquet file, or the listing.
    group : of photos, the row group of the listing.
    """

    id: str
    path: str
    url: str
    group: int = 0

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.path} (shard {self.id})"


@dataclass(frozen=True)
class Manifest:
    """What decides the rows of a run.

    Attributes
    ----------
    model : name@fingerprint.
    head : its name.
    protocol : how a photo is looked at, as in a model's config.
    options : what else decides what a row says.
    kind : of the inputs.
    inputs : files, each with its size and version.
    folders : of photos, as given and as URLs.
    listing : of photos; None for other kinds.
    image_column : of Parquet files; None for other kinds.
    kept : columns of the input.
    """

    model: str
    head: str
    protocol: Mapping[str, Any]
    options: Mapping[str, Any]
    kind: Kind
    inputs: Sequence[Input]
    folders: Sequence[tuple[str, str]]
    listing: Listing | None
    image_column: str | None
    kept: Kept

    def shards(self, folder: Folder) -> Iterator[Shard]:
        """The tasks of the run, in the order of the input."""
        if self.listing is None:
            for each in self.inputs:
                yield Shard(_digest(each.url, each.size, each.version), each.path, each.url)
            return
        size = self.options["shard_size"]
        first = self.folders[0][0] if self.folders else self.inputs[0].path
        for group in range(-(-self.listing.photos // size)):
            yield Shard(
                _digest(self.listing.digest, size, group),
                first,
                folder.of(self.listing.file),
                group,
            )

    def to_json(self) -> bytes:
        """The file; the same manifest has the same bytes."""
        content = {"made_by": MARK, **asdict(self)}
        return json.dumps(content, indent=1).encode() + b"\n"


def read_manifest(folder: Folder) -> Manifest | None:
    """The manifest in ``folder``; None if there is none.

    Raises
    ------
    UsageError
        if it is not one of ours.
    """
    content = folder.read(MANIFEST)
    if content is None:
        return None
    try:
        values = json.loads(content)
        if values.pop("made_by") != MARK:
            raise ValueError("not made by shamisa")
        values["inputs"] = [Input(**each) for each in values["inputs"]]
        values["folders"] = [(given, url) for given, url in values["folders"]]
        values["listing"] = values["listing"] and Listing(**values["listing"])
        values["kept"] = Kept(**values["kept"])
        return Manifest(**values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{folder.of(MANIFEST)}: is no manifest of shamisa; choose another folder"
        ) from error


def check_same_run(
    then: Manifest,
    model: str,
    head: str,
    protocol: Mapping[str, Any],
    options: Mapping[str, Any],
    inputs: Inputs,
    where: str,
) -> None:
    """Refuse to go on with a run that differs in anything which decides its rows.

    Raises
    ------
    UsageError
        that names each difference.
    """
    found = [
        *_differences({"model": then.model, "head": then.head}, {"model": model, "head": head})
    ]
    found += _differences(then.protocol, protocol)
    found += _differences(then.options, options)
    found += _input_differences(then, inputs)
    if found:
        raise UsageError(
            f"{where}: holds a run that differs: {'; '.join(found)}. Give what it had, or choose "
            "another folder"
        )


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    plain = json.loads(json.dumps(dict(now)))  # tuples are lists in a file
    for name in dict.fromkeys([*then, *plain]):
        if then.get(name) != plain.get(name):
            yield f"{name} was {_said(then.get(name))}, now {_said(plain.get(name))}"


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "nothing"
    return "not given" if value is None else str(value)


def _input_differences(then: Manifest, now: Inputs) -> Iterator[str]:
    if then.kind != now.kind:
        yield f"its input was {then.kind}, now {now.kind}"
        return
    before = {each.url: each for each in then.inputs} | {url: None for _, url in then.folders}
    after = {each.url: each for each in now.files} | {url: None for _, url in now.folders}
    for what, some in (("lacks", before.keys() - after.keys()), ("adds", after.keys() - before)):
        if some:
            more = f" and {len(some) - 1} more" if len(some) > 1 else ""
            yield f"this input {what} {min(some)}{more}"
    changed = (
        url
        for url, old in before.items()
        if old and (new := after.get(url)) and (old.size, old.version) != (new.size, new.version)
    )
    for url in islice(changed, 1):
        yield f"{url} was replaced since (another size or version)"


def _digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]
