"""TID2013: 25 references, 24 distortions at five levels, 3,000 distorted images, MOS."""

from __future__ import annotations

from pathlib import Path

from shamisa_cli.datasets.dataset import DatasetInfo, Row
from shamisa_cli.datasets.tables import to_number
from shamisa_cli.errors import UsageError


def read(folder: Path) -> list[Row]:
    """Rows of mos_with_names.txt: "5.51429 I01_01_1.bmp"; a release mixes I01 and i01."""
    path = folder / "mos_with_names.txt"
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path.name}, row {number}"
        cells = line.split()
        if len(cells) != 2:
            raise UsageError(f"{where}: expected a score and a name, got {line!r}")
        reference = cells[1].split("_")[0]
        rows.append(
            Row(
                f"distorted_images/{cells[1]}",
                to_number(cells[0], where, "MOS"),
                where,
                f"reference_images/{reference}.BMP",
            )
        )
    return rows


TID2013 = DatasetInfo(
    name="tid2013",
    title="Tampere Image Database 2013",
    n_images=3000,
    score_range=(0, 9),
    higher_is_better=True,
    layout="distorted_images/I01_01_1.bmp …, reference_images/I01.BMP …, mos_with_names.txt",
    folders=("tid2013", "tid_2013"),
    markers=("mos_with_names.txt",),
    url="https://www.ponomarenko.info/tid2013.htm",
    citation="Ponomarenko et al.: Image database TID2013: peculiarities, results and perspectives. "
    "Signal Processing: Image Communication 30, 2015",
    read=read,
    n_references=25,
)
