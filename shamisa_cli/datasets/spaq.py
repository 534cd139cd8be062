"""SPAQ: 11,125 smartphone photos, MOS; used at a short side of 512 px."""

from __future__ import annotations

from pathlib import Path

from shamisa_cli.datasets.dataset import DatasetInfo, Row
from shamisa_cli.datasets.tables import read_xlsx, to_number

SCORES = "Annotations/MOS and Image attribute scores.xlsx"


def read(folder: Path) -> list[Row]:
    """Rows of the annotations' Excel file."""
    return [
        Row(f"TestImage/{cells['Image name']}", to_number(str(cells["MOS"]), where, "MOS"), where)
        for where, cells in read_xlsx(folder / SCORES, ("Image name", "MOS"))
    ]


SPAQ = DatasetInfo(
    name="spaq",
    title="Smartphone Photography Attribute and Quality database",
    n_images=11125,
    score_range=(0, 100),
    higher_is_better=True,
    layout=f"TestImage/00001.jpg …, {SCORES}",
    folders=("spaq",),
    markers=(SCORES,),
    url="https://github.com/h4nwei/SPAQ",
    citation="Fang, Zhu, Zeng, Ma, Wang: Perceptual quality assessment of smartphone photography. "
    "CVPR 2020",
    read=read,
    short_side=512,
)
