"""FLIVE (LIVE-FB, PaQ-2-PiQ): 39,810 photos, MOS, with an official split."""

from __future__ import annotations

from pathlib import Path

from shamisa_cli.datasets.dataset import DatasetInfo, Row
from shamisa_cli.datasets.tables import read_csv, to_number
from shamisa_cli.errors import UsageError

LABELS = "labels_image.csv"
PADDED = "labels=640_padded.csv"
LARGE = ("labels>640.csv", "labels640.csv")
"""The second is how systems that allow no > in a name write the first."""


def read(folder: Path) -> list[Row]:
    """Rows of labels_image.csv with the official parts.

    Test: photos over 640 px (labels>640.csv). Validation: those marked is_valid in
    labels=640_padded.csv. Training: the others.
    """
    large = next((folder / name for name in LARGE if (folder / name).is_file()), None)
    if large is None:
        raise UsageError(f"{folder}: no {LARGE[0]}, which holds the test part of the split")
    test = {cells["name_image"] for _, cells in read_csv(large, ("name_image",))}
    padded = read_csv(folder / PADDED, ("name_image", "is_valid"))
    val = {cells["name_image"] for _, cells in padded if cells["is_valid"].casefold() == "true"}
    return [
        Row(
            f"database/{cells['name']}",
            to_number(cells["mos"], where, "mos"),
            where,
            part="test" if cells["name"] in test else "val" if cells["name"] in val else "train",
        )
        for where, cells in read_csv(folder / LABELS, ("name", "mos"))
    ]


FLIVE = DatasetInfo(
    name="flive",
    title="FLIVE, the LIVE-FB large-scale social picture quality database",
    n_images=39810,
    score_range=(0, 100),
    higher_is_better=True,
    layout=f"database/<source>/*.jpg, {LABELS}, {PADDED}, {LARGE[0]} (or {LARGE[1]})",
    folders=("flive", "FLIVE_Database", "livefb", "livefb_database"),
    markers=(LABELS,),
    url="https://github.com/niu-haoran/FLIVE_Database",
    citation="Ying et al.: From patches to pictures (PaQ-2-PiQ): mapping the perceptual space of "
    "picture quality. CVPR 2020",
    read=read,
    official_split=True,
)
