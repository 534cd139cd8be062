"""LIVE: 29 references, five distortions, 779 distorted images, DMOS."""

from __future__ import annotations

from pathlib import Path

from shamisa_cli.datasets.dataset import DatasetInfo, Row
from shamisa_cli.datasets.tables import read_mat, read_mat_strings, to_number
from shamisa_cli.errors import UsageError

FOLDERS = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}
"""Images img1.bmp … of each folder, in the order of the .mat files."""


def read(folder: Path) -> list[Row]:
    """Rows of release 2; the copies of references among the images (orgs = 1) are left out.

    Realigned DMOS (dmos_realigned.mat, dmos_new) where the release has them, else dmos.mat.
    """
    realigned = (folder / "dmos_realigned.mat").is_file()
    file, key = ("dmos_realigned.mat", "dmos_new") if realigned else ("dmos.mat", "dmos")
    scores = read_mat(folder / file, key)
    copies = read_mat(folder / file, "orgs")
    references = read_mat_strings(folder / "refnames_all.mat", "refnames_all")
    images = [f"{name}/img{i}.bmp" for name, n in FOLDERS.items() for i in range(1, n + 1)]
    if not len(scores) == len(copies) == len(references) == len(images):
        raise UsageError(
            f"{folder}: {len(scores)} scores, {len(copies)} marks of originals and "
            f"{len(references)} references, expected {len(images)} of each"
        )
    return [
        Row(images[i], to_number(str(scores[i]), where, key), where, f"refimgs/{references[i]}")
        for i in range(len(images))
        if not copies[i]
        for where in [f"{file}, entry {i + 1}"]
    ]


LIVE = DatasetInfo(
    name="live",
    title="LIVE Image Quality Assessment Database, release 2",
    n_images=779,
    score_range=(0, 100),
    higher_is_better=False,
    layout="jp2k/ jpeg/ wn/ gblur/ fastfading/ refimgs/, dmos.mat or dmos_realigned.mat, "
    "refnames_all.mat",
    folders=("live", "databaserelease2", "LIVE_IQA", "live_release2"),
    markers=("refnames_all.mat",),
    url="https://live.ece.utexas.edu/research/Quality/subjective.htm",
    citation="Sheikh, Sabir, Bovik: A statistical evaluation of recent full reference image "
    "quality assessment algorithms. IEEE TIP 15(11), 2006",
    read=read,
    n_references=29,
)
