"""Photos as people took them: CLIVE, KonIQ-10k, FLIVE and SPAQ."""

from __future__ import annotations

from pathlib import Path

from shamisa_cli.datasets.dataset import DatasetInfo, Row
from shamisa_cli.datasets.own_csv import read_rows
from shamisa_cli.datasets.tables import read_csv, read_mat, read_mat_strings, read_xlsx, to_number
from shamisa_cli.errors import UsageError

CLIVE_TRAINING_IMAGES = 7
"""The first ones trained the subjects (t1.bmp …) and are no part of the test set."""
KONIQ_SCORES = "koniq10k_scores_and_distributions.csv"
KONIQ_SETS = "koniq10k_distributions_sets.csv"
KONIQ_PARTS = {"training": "train", "validation": "val", "test": "test"}
FLIVE_LABELS = "labels_image.csv"
FLIVE_PADDED = "labels=640_padded.csv"
FLIVE_LARGE = ("labels>640.csv", "labels640.csv")
"""The second is how systems that allow no > in a name write the first."""
SPAQ_SCORES = "Annotations/MOS and Image attribute scores.xlsx"


def _read_clive(folder: Path) -> list[Row]:
    """Rows of the official release (Data/*.mat), or of a part of it given as clive.csv."""
    if (folder / "clive.csv").is_file():
        return read_rows(folder / "clive.csv")[0]
    names = read_mat_strings(folder / "Data/AllImages_release.mat", "AllImages_release")
    scores = read_mat(folder / "Data/AllMOS_release.mat", "AllMOS_release")
    if len(names) != len(scores):
        raise UsageError(f"{folder / 'Data'}: {len(names)} names, but {len(scores)} scores")
    return [
        Row(f"Images/{name}", to_number(score, where, "MOS"), where)
        for i, (name, score) in enumerate(zip(names, scores, strict=True), start=1)
        if i > CLIVE_TRAINING_IMAGES
        for where in [f"AllMOS_release.mat, entry {i}"]
    ]


def _read_koniq(folder: Path) -> list[Row]:
    """Rows of the scores file; the official parts too, where the file of the sets is there.

    The scores are ``MOS_zscore`` or, from the file of the sets, ``MOS``: both on 0-100.
    """
    images = "1024x768" if (folder / "1024x768").is_dir() else "512x384"
    if not (folder / KONIQ_SETS).is_file():
        table = read_csv(folder / KONIQ_SCORES, ("image_name", "MOS_zscore"))
        return [
            Row(f"{images}/{c['image_name']}", to_number(c["MOS_zscore"], w, "MOS_zscore"), w)
            for w, c in table
        ]
    rows = []
    for where, cells in read_csv(folder / KONIQ_SETS, ("image_name", "MOS", "set")):
        part = KONIQ_PARTS.get(cells["set"])
        if part is None:
            known = ", ".join(KONIQ_PARTS)
            raise UsageError(f"{where}: set is {cells['set']!r}, not one of {known}")
        score = to_number(cells["MOS"], where, "MOS")
        rows.append(Row(f"{images}/{cells['image_name']}", score, where, part=part))
    return rows


def _read_flive(folder: Path) -> list[Row]:
    """Rows of labels_image.csv with the official parts.

    Test: photos over 640 px (labels>640.csv). Validation: those marked is_valid in
    labels=640_padded.csv. Training: the others.
    """
    large = next((folder / name for name in FLIVE_LARGE if (folder / name).is_file()), None)
    if large is None:
        raise UsageError(f"{folder}: no {FLIVE_LARGE[0]}, which holds the test part of the split")
    test = {cells["name_image"] for _, cells in read_csv(large, ("name_image",))}
    padded = read_csv(folder / FLIVE_PADDED, ("name_image", "is_valid"))
    val = {cells["name_image"] for _, cells in padded if cells["is_valid"].casefold() == "true"}
    return [
        Row(
            f"database/{cells['name']}",
            to_number(cells["mos"], where, "mos"),
            where,
            part="test" if cells["name"] in test else "val" if cells["name"] in val else "train",
        )
        for where, cells in read_csv(folder / FLIVE_LABELS, ("name", "mos"))
    ]


def _read_spaq(folder: Path) -> list[Row]:
    """Rows of the annotations' Excel file."""
    return [
        Row(f"TestImage/{cells['Image name']}", to_number(cells["MOS"], where, "MOS"), where)
        for where, cells in read_xlsx(folder / SPAQ_SCORES, ("Image name", "MOS"))
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
    read=_read_clive,
)
KONIQ = DatasetInfo(
    name="koniq",
    title="KonIQ-10k",
    n_images=10073,
    score_range=(0, 100),
    higher_is_better=True,
    layout=f"1024x768/ or 512x384/ (*.jpg), {KONIQ_SCORES} or {KONIQ_SETS} "
    "(with the official split)",
    folders=("koniq", "koniq10k", "koniq-10k"),
    markers=(KONIQ_SCORES, KONIQ_SETS),
    url="https://database.mmsp-kn.de/koniq-10k-database.html",
    citation="Hosu, Lin, Sziranyi, Saupe: KonIQ-10k: an ecologically valid database for deep "
    "learning of blind image quality assessment. IEEE TIP 29, 2020",
    read=_read_koniq,
)
FLIVE = DatasetInfo(
    name="flive",
    title="FLIVE, the LIVE-FB large-scale social picture quality database",
    n_images=39810,
    score_range=(0, 100),
    higher_is_better=True,
    layout=f"database/<source>/*.jpg, {FLIVE_LABELS}, {FLIVE_PADDED}, {FLIVE_LARGE[0]} "
    f"(or {FLIVE_LARGE[1]})",
    folders=("flive", "FLIVE_Database", "livefb", "livefb_database"),
    markers=(FLIVE_LABELS,),
    url="https://github.com/niu-haoran/FLIVE_Database",
    citation="Ying et al.: From patches to pictures (PaQ-2-PiQ): mapping the perceptual space of "
    "picture quality. CVPR 2020",
    read=_read_flive,
    official_split=True,
)
SPAQ = DatasetInfo(
    name="spaq",
    title="Smartphone Photography Attribute and Quality database",
    n_images=11125,
    score_range=(0, 100),
    higher_is_better=True,
    layout=f"TestImage/00001.jpg …, {SPAQ_SCORES}",
    folders=("spaq",),
    markers=(SPAQ_SCORES,),
    url="https://github.com/h4nwei/SPAQ",
    citation="Fang, Zhu, Zeng, Ma, Wang: Perceptual quality assessment of smartphone photography. "
    "CVPR 2020",
    read=_read_spaq,
    short_side=512,
)
