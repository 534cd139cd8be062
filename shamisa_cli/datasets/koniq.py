"""KonIQ-10k: 10,073 photos from the wild, MOS."""

from __future__ import annotations

from pathlib import Path

from shamisa_cli.datasets.dataset import DatasetInfo, Row
from shamisa_cli.datasets.tables import read_csv, to_number
from shamisa_cli.errors import UsageError

SCORES = "koniq10k_scores_and_distributions.csv"
SETS = "koniq10k_distributions_sets.csv"
PARTS = {"training": "train", "validation": "val", "test": "test"}


def read(folder: Path) -> list[Row]:
    """Rows of the scores file; the official parts too, where the file of the sets is there.

    The scores are ``MOS_zscore`` or, from the file of the sets, ``MOS``: both on 0-100.
    """
    images = "1024x768" if (folder / "1024x768").is_dir() else "512x384"
    if not (folder / SETS).is_file():
        table = read_csv(folder / SCORES, ("image_name", "MOS_zscore"))
        return [
            Row(f"{images}/{c['image_name']}", to_number(c["MOS_zscore"], w, "MOS_zscore"), w)
            for w, c in table
        ]
    rows = []
    for where, cells in read_csv(folder / SETS, ("image_name", "MOS", "set")):
        if cells["set"] not in PARTS:
            raise UsageError(f"{where}: set is {cells['set']!r}, not one of {', '.join(PARTS)}")
        score = to_number(cells["MOS"], where, "MOS")
        image = f"{images}/{cells['image_name']}"
        rows.append(Row(image, score, where, part=PARTS[cells["set"]]))
    return rows


KONIQ = DatasetInfo(
    name="koniq",
    title="KonIQ-10k",
    n_images=10073,
    score_range=(0, 100),
    higher_is_better=True,
    layout=f"1024x768/ or 512x384/ (*.jpg), {SCORES} or {SETS} (with the official split)",
    folders=("koniq", "koniq10k", "koniq-10k"),
    markers=(SCORES, SETS),
    url="https://database.mmsp-kn.de/koniq-10k-database.html",
    citation="Hosu, Lin, Sziranyi, Saupe: KonIQ-10k: an ecologically valid database for deep "
    "learning of blind image quality assessment. IEEE TIP 29, 2020",
    read=read,
)
