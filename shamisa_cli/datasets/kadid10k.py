"""KADID-10k: 81 references, 25 distortions at five levels, 10,125 distorted images."""

from __future__ import annotations

from pathlib import Path

from shamisa_cli.datasets.dataset import DatasetInfo, Row
from shamisa_cli.datasets.tables import read_csv, to_number


def read(folder: Path) -> list[Row]:
    """Rows of dmos.csv. Its column "dmos" is 1-5 with 5 the best, whatever it is called."""
    return [
        Row(
            f"images/{cells['dist_img']}",
            to_number(cells["dmos"], where, "dmos"),
            where,
            f"images/{cells['ref_img']}",
        )
        for where, cells in read_csv(folder / "dmos.csv", ("dist_img", "ref_img", "dmos"))
    ]


KADID10K = DatasetInfo(
    name="kadid10k",
    title="Konstanz Artificially Distorted Image quality Database",
    n_images=10125,
    score_range=(1, 5),
    higher_is_better=True,
    layout="images/I01_01_01.png …, images/I01.png …, dmos.csv (dist_img,ref_img,dmos,var)",
    folders=("kadid10k", "kadid-10k", "kadid"),
    markers=("dmos.csv",),
    url="https://database.mmsp-kn.de/kadid-10k-database.html",
    citation="Lin, Hosu, Saupe: KADID-10k: a large-scale artificially distorted IQA database. "
    "QoMEX 2019",
    read=read,
    n_references=81,
)
