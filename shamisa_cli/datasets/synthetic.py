"""Distorted copies of reference photos: LIVE, CSIQ, TID2013 and KADID-10k."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from shamisa_cli.datasets.dataset import DatasetInfo, Row
from shamisa_cli.datasets.tables import read_csv, read_mat, read_mat_strings, read_xlsx, to_number
from shamisa_cli.errors import UsageError

LIVE_FOLDERS = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}
"""Images img1.bmp … of each folder, in the order of the .mat files."""
CSIQ_SPELLINGS = {
    "noise": ("awgn", "AWGN"),
    "blur": ("blur", "BLUR"),
    "contrast": ("contrast", "contrast"),
    "fnoise": ("fnoise", "fnoise"),
    "jpeg": ("jpeg", "JPEG"),
    "jpeg 2000": ("jpeg2000", "jpeg2000"),
}
"""A distortion in the table, its folder, and its part of the file name (1600.AWGN.1.png)."""
TID2013_TYPES = (
    *("Gaussian noise", "noise in color", "correlated noise", "masked noise"),
    *("high-frequency noise", "impulse noise", "quantization noise", "Gaussian blur"),
    *(
        "denoising",
        "JPEG",
        "JPEG 2000",
        "JPEG transmission errors",
        "JPEG 2000 transmission errors",
    ),
    *("non-eccentricity pattern", "local blocks", "mean shift", "contrast change"),
    *("color saturation", "multiplicative noise", "comfort noise", "lossy compression of noise"),
    *("color quantization", "chromatic aberration", "sparse sampling"),
)
"""Distortions 01-24, which the second part of a file name counts (I01_08_3.bmp)."""
KADID10K_TYPES = (
    *("Gaussian blur", "lens blur", "motion blur", "color diffusion", "color shift"),
    *("color quantization", "color saturation 1", "color saturation 2", "JPEG 2000", "JPEG"),
    *("white noise", "white noise in color", "impulse noise", "multiplicative noise", "denoising"),
    *("brighten", "darken", "mean shift", "jitter", "non-eccentricity patch", "pixelate"),
    *("quantization", "color block", "high sharpen", "contrast change"),
)
"""Distortions 01-25, likewise (I01_08_03.png)."""
_NAME = re.compile(r"\w+_(\d+)_(\d+)")


def _type_and_level(image: str, types: Sequence[str]) -> tuple[str, str]:
    """("Gaussian blur", "3") of I01_08_3.bmp; two empty texts for a name of another kind."""
    found = _NAME.fullmatch(PurePosixPath(image).stem)
    if found is None or not 1 <= int(found[1]) <= len(types):
        return "", ""
    return types[int(found[1]) - 1], str(int(found[2]))


def _read_live(folder: Path) -> list[Row]:
    """Rows of release 2; the copies of references among the images (orgs = 1) are left out.

    Realigned DMOS (dmos_realigned.mat, dmos_new) where the release has them, else dmos.mat. The
    folder of an image is its distortion; levels are not among the tables.
    """
    realigned = (folder / "dmos_realigned.mat").is_file()
    file, key = ("dmos_realigned.mat", "dmos_new") if realigned else ("dmos.mat", "dmos")
    scores = read_mat(folder / file, key)
    copies = read_mat(folder / file, "orgs")
    references = read_mat_strings(folder / "refnames_all.mat", "refnames_all")
    images = [f"{name}/img{i}.bmp" for name, n in LIVE_FOLDERS.items() for i in range(1, n + 1)]
    if not len(scores) == len(copies) == len(references) == len(images):
        raise UsageError(
            f"{folder}: {len(scores)} scores, {len(copies)} marks of originals and "
            f"{len(references)} references, expected {len(images)} of each"
        )
    return [
        Row(
            images[i],
            to_number(scores[i], where, key),
            where,
            f"refimgs/{references[i]}",
            distortion=images[i].split("/")[0],
        )
        for i in range(len(images))
        if not copies[i]
        for where in [f"{file}, entry {i + 1}"]
    ]


def _read_csiq(folder: Path) -> list[Row]:
    """Rows of the sheet all_by_image of csiq.DMOS.xlsx."""
    rows = []
    columns = ("image", "dst_type", "dst_lev", "dmos")
    for where, cells in read_xlsx(folder / "csiq.DMOS.xlsx", columns, sheet="all_by_image"):
        kind = str(cells["dst_type"])
        if kind not in CSIQ_SPELLINGS:
            known = ", ".join(CSIQ_SPELLINGS)
            raise UsageError(f"{where}: unknown dst_type {kind!r}; known: {known}")
        subfolder, spelling = CSIQ_SPELLINGS[kind]
        level = int(to_number(cells["dst_lev"], where, "dst_lev"))
        image = cells["image"]
        name = str(int(image)) if isinstance(image, float) else str(image)
        score = to_number(cells["dmos"], where, "dmos")
        path = f"dst_imgs/{subfolder}/{name}.{spelling}.{level}.png"
        what = {"distortion": kind, "severity": str(level)}
        rows.append(Row(path, score, where, f"src_imgs/{name}.png", **what))
    return rows


def _read_tid2013(folder: Path) -> list[Row]:
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
        score, image = to_number(cells[0], where, "MOS"), f"distorted_images/{cells[1]}"
        reference = f"reference_images/{cells[1].split('_')[0]}.BMP"
        rows.append(Row(image, score, where, reference, "", *_type_and_level(image, TID2013_TYPES)))
    return rows


def _read_kadid10k(folder: Path) -> list[Row]:
    """Rows of dmos.csv. Its column "dmos" is 1-5 with 5 the best, whatever it is called."""
    table = read_csv(folder / "dmos.csv", ("dist_img", "ref_img", "dmos"))
    return [
        Row(
            f"images/{c['dist_img']}",
            to_number(c["dmos"], w, "dmos"),
            w,
            f"images/{c['ref_img']}",
            "",
            *_type_and_level(c["dist_img"], KADID10K_TYPES),
        )
        for w, c in table
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
    read=_read_live,
    n_references=29,
)
CSIQ = DatasetInfo(
    name="csiq",
    title="Categorical Subjective Image Quality database",
    n_images=866,
    score_range=(0, 1),
    higher_is_better=False,
    layout="dst_imgs/awgn/1600.AWGN.1.png …, src_imgs/1600.png …, csiq.DMOS.xlsx",
    folders=("csiq",),
    markers=("csiq.DMOS.xlsx",),
    url="https://s2.smu.edu/~eclarson/csiq.html",
    citation="Larson, Chandler: Most apparent distortion: full-reference image quality assessment "
    "and the role of strategy. Journal of Electronic Imaging 19(1), 2010",
    read=_read_csiq,
    n_references=30,
)
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
    read=_read_tid2013,
    n_references=25,
)
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
    read=_read_kadid10k,
    n_references=81,
)
