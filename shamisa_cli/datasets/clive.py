"""CLIVE: authentic camera distortions, 1,162 photos."""

from __future__ import annotations

from pathlib import Path

from shamisa_cli.datasets import own_csv
from shamisa_cli.datasets.dataset import DatasetInfo, Row
from shamisa_cli.datasets.tables import read_mat, read_mat_strings, to_number
from shamisa_cli.errors import UsageError

TRAINING_IMAGES = 7
"""The first ones trained the subjects (t1.bmp …) and are no part of the test set."""


def read(folder: Path) -> list[Row]:
    """Rows of the official release (Data/*.mat), or of a part of it given as clive.csv."""
    if (folder / "clive.csv").is_file():
        return own_csv.read_rows(folder / "clive.csv")[0]
    names = read_mat_strings(folder / "Data/AllImages_release.mat", "AllImages_release")
    scores = read_mat(folder / "Data/AllMOS_release.mat", "AllMOS_release")
    if len(names) != len(scores):
        raise UsageError(f"{folder / 'Data'}: {len(names)} names, but {len(scores)} scores")
    return [
        Row(f"Images/{name}", to_number(str(score), where, "MOS"), where)
        for i, (name, score) in enumerate(zip(names, scores, strict=True), start=1)
        if i > TRAINING_IMAGES
        for where in [f"AllMOS_release.mat, entry {i}"]
    ]


CLIVE = DatasetInfo(
    name="clive",
    title="LIVE In the Wild Image Quality Challenge Database",
    n_images=1162,
    score_range=(0, 100),
    higher_is_better=True,
    layout="Images/*, Data/AllImages_release.mat, Data/AllMOS_release.mat; "
    "or clive.csv (image,mos)",
    folders=("clive", "ChallengeDB_release", "live_challenge", "livec", "LIVE-itW"),
    markers=("clive.csv", "Data/AllMOS_release.mat"),
    url="https://live.ece.utexas.edu/research/ChallengeDB/",
    citation="Ghadiyaram, Bovik: Massive online crowdsourced study of subjective and objective "
    "picture quality. IEEE TIP 25(1), 2016",
    read=read,
)
