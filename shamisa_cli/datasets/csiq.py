"""CSIQ: 30 references, six distortions, 866 distorted images, DMOS."""

from __future__ import annotations

from pathlib import Path

from shamisa_cli.datasets.dataset import DatasetInfo, Row
from shamisa_cli.datasets.tables import read_xlsx, to_number
from shamisa_cli.errors import UsageError

SPELLINGS = {
    "noise": ("awgn", "AWGN"),
    "blur": ("blur", "BLUR"),
    "contrast": ("contrast", "contrast"),
    "fnoise": ("fnoise", "fnoise"),
    "jpeg": ("jpeg", "JPEG"),
    "jpeg 2000": ("jpeg2000", "jpeg2000"),
}
"""A distortion in the table, its folder, and its part of the file name (1600.AWGN.1.png)."""


def read(folder: Path) -> list[Row]:
    """Rows of the sheet all_by_image of csiq.DMOS.xlsx."""
    rows = []
    columns = ("image", "dst_type", "dst_lev", "dmos")
    for where, cells in read_xlsx(folder / "csiq.DMOS.xlsx", columns, sheet="all_by_image"):
        kind = str(cells["dst_type"])
        if kind not in SPELLINGS:
            raise UsageError(f"{where}: unknown dst_type {kind!r}; known: {', '.join(SPELLINGS)}")
        subfolder, spelling = SPELLINGS[kind]
        level = int(to_number(str(cells["dst_lev"]), where, "dst_lev"))
        image = cells["image"]
        name = str(int(image)) if isinstance(image, float) else str(image)
        score = to_number(str(cells["dmos"]), where, "dmos")
        path = f"dst_imgs/{subfolder}/{name}.{spelling}.{level}.png"
        rows.append(Row(path, score, where, f"src_imgs/{name}.png"))
    return rows


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
    read=read,
    n_references=30,
)
