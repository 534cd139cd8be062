"""The columns of a part: one Parquet file of scores for each shard.

======================  =============  ===========================================================
name                    type           meaning
======================  =============  ===========================================================
``key``                 string         the sample's name in its shard: of a tar, the member up to
                                       the first dot of its file name; of Parquet, its column
                                       ``key``, else the number of the row, from 0; of a folder,
                                       the path below it
``uid``                 string         the input's column or JSON field ``uid``; else null
``path``                string         the shard as it was given, ``/``, the member or row; of a
                                       folder, the photo's own path
``score``               double         0-100, higher is better, four decimals; null if failed
``uncertainty``         double         how far off it may be, as one standard deviation, or null
``better_than``         double         percentage of everyday photos that score lower, or null
``looks_like``          string         empty in shards
``note``                string         why the score is to be trusted less; mostly empty
``width``               int32          px of the photo in its file, upright; null if failed
``height``              int32
``scored_width``        int32          px of the picture that was looked at; null if failed
``scored_height``       int32
``model``               string         name@fingerprint
``head``                string         name of the head
``status``              string         ``ok``, ``padded``, ``clipped``, ``padded+clipped``, or
                                       ``failed``
``error``               string         why it failed, and what to do; empty if it did not
``fingerprint``         string         of all that decides a score (weights, head, preprocessing,
                                       protocol); it is in ``model`` too
``phash``               uint64         perceptual hash, see ``imaging.hashing``; null if failed.
                                       Photos alike differ in few of its bits
``features``            fixed-size     with embeddings only: what the head scored, the mean over
                        list of float  the photo's places; null if failed
the input's own         as there       those that are kept, by :func:`kept_name`
======================  =============  ===========================================================

The input's own columns come last. Of Parquet they have their types. Of JSON beside an image they
are ``bool``, ``int64``, ``double`` or ``string``, as the first samples of the run have it; a value
that is not of that type is null, and lists and objects are JSON texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from shamisa_cli.scoring.score import COLUMNS, SIZES

if TYPE_CHECKING:
    import pyarrow as pa

OWN = ("key", "uid", *COLUMNS, "fingerprint", "phash")
"""Names of the columns that every part has, in their order."""

FEATURES = "features"
"""The column of embeddings."""

RESERVED = frozenset({*OWN, FEATURES})
"""Columns of the input that have one of these names get another; see :func:`kept_name`."""

_SCORES = ("score", "uncertainty", "better_than")


def own_fields() -> list[pa.Field]:
    """:data:`OWN` with their types; all but ``key`` and ``path`` may be null."""
    import pyarrow as pa

    kinds = dict.fromkeys(_SCORES, pa.float64()) | dict.fromkeys(SIZES, pa.int32())
    kinds["phash"] = pa.uint64()
    return [pa.field(name, kinds.get(name, pa.string())) for name in OWN]


def part_schema(features: int | None = None, kept: Iterable[pa.Field] = ()) -> pa.Schema:
    """The columns of a part.

    Parameters
    ----------
    features : length of the embeddings; None without them.
    kept : the input's own columns, by the names that they have in the part.
    """
    import pyarrow as pa

    fields = own_fields()
    if features is not None:
        fields.append(pa.field(FEATURES, pa.list_(pa.float32(), features)))
    return pa.schema([*fields, *kept])


def kept_name(name: str) -> str:
    """What a column ``name`` of the input is called in a part: ``input_width`` for ``width``.

    Examples
    --------
    >>> kept_name("caption"), kept_name("width")
    ('caption', 'input_width')
    """
    return f"input_{name}" if name in RESERVED else name
