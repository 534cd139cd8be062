"""Small replicas of the official layouts, quirks included, are read as their authors meant."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from openpyxl import Workbook
from scipy.io import savemat

from shamisa_cli.datasets.authentic import SPAQ_SCORES
from shamisa_cli.datasets.registry import DATASETS, open_dataset
from shamisa_cli.datasets.synthetic import KADID10K_TYPES, LIVE_FOLDERS, TID2013_TYPES
from shamisa_cli.errors import UnknownNameError, UsageError


def touch(folder: Path, *names: str) -> None:
    """Empty files: finding does not read pictures."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def cells(*names: str) -> np.ndarray:
    made = np.empty((1, len(names)), dtype=object)
    made[0] = names
    return made


def write_xlsx(path: Path, rows: list[list[object]], title: str = "Sheet1") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    book = Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    book.save(path)


def make_live(folder: Path) -> None:
    total = sum(LIVE_FOLDERS.values())
    originals = np.zeros((1, total))
    originals[0, [0, total - 1]] = 1
    scores = np.linspace(-2.6, 111, total)[None]
    savemat(folder / "dmos_realigned.mat", {"dmos_new": scores, "orgs": originals})
    savemat(folder / "dmos.mat", {"dmos": np.zeros((1, total)), "orgs": originals})
    references = [f"ref{i % 29}.bmp" for i in range(total)]
    savemat(folder / "refnames_all.mat", {"refnames_all": cells(*references)})
    for name, n in LIVE_FOLDERS.items():
        touch(folder, *(f"{name}/img{i}.bmp" for i in range(1, n + 1)))
    touch(folder, *(f"refimgs/ref{i}.bmp" for i in range(29)))


def make_csiq(folder: Path) -> None:
    header = [None, None, None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"]
    rows: list[list[object]] = [["CSIQ"], [], [], header]
    for image in (1600, "aerial_city"):
        for kind, level, dmos in (("noise", 1, 0.1), ("jpeg 2000", 3, 0.6), ("fnoise", 5, 1.0)):
            rows.append([None, None, None, image, 1, kind, level, 0.05, dmos])
    rows.append([None] * 9)
    write_xlsx(folder / "csiq.DMOS.xlsx", rows, "all_by_image")
    for image in ("1600", "aerial_city"):
        touch(folder, f"src_imgs/{image}.png", f"dst_imgs/awgn/{image}.AWGN.1.png")
        for name in ("jpeg2000/{}.jpeg2000.3.png", "fnoise/{}.fnoise.5.png"):
            touch(folder, f"dst_imgs/{name.format(image)}")


def make_tid2013(folder: Path) -> None:
    folder.joinpath("mos_with_names.txt").write_text(
        "5.51429 I01_01_1.bmp\n5.56757 i01_01_2.bmp\n4.94444 I02_24_5.bmp\n"
    )
    touch(folder, *(f"distorted_images/{n}" for n in ("i01_01_1.bmp", "I01_01_2.BMP")))
    touch(folder, "distorted_images/I02_24_5.bmp", "reference_images/I01.BMP")
    touch(folder, "reference_images/i02.bmp")


def make_kadid10k(folder: Path) -> None:
    (folder / "dmos.csv").write_text(
        "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,4.57,0.496\n"
        "I01_01_02.png,I01.png,4.33,0.869\nI02_25_05.png,I02.png,1.2,0.3\n"
    )
    names = ("I01_01_01", "I01_01_02", "I02_25_05", "I01", "I02")
    touch(folder, *(f"images/{name}.png" for name in names))


def make_koniq(folder: Path) -> None:
    folder.joinpath("koniq10k_distributions_sets.csv").write_text(
        "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set\n"
        '"1.jpg",0,0,0.2,0.6,0.2,105,73.1,0.5,"training"\n'
        '"2.jpg",0,0,0.2,0.6,0.2,105,60,0.5,"validation"\n'
        '"3.jpg",0,0,0.2,0.6,0.2,105,20.5,0.5,"test"\n'
    )
    touch(folder, *(f"1024x768/{i}.jpg" for i in (1, 2, 3)))


def make_clive(folder: Path) -> None:
    names = [f"t{i}.bmp" for i in range(1, 8)] + ["3.bmp", "4.bmp", "1000.JPG"]
    folder.joinpath("Data").mkdir()
    savemat(folder / "Data/AllImages_release.mat", {"AllImages_release": cells(*names).T})
    scores = np.array([[50.0] * 7 + [63.96, 9.2, 80.1]])
    savemat(folder / "Data/AllMOS_release.mat", {"AllMOS_release": scores})
    touch(folder, *(f"Images/{name}" for name in names[7:]))


def make_flive(folder: Path) -> None:
    folder.joinpath("labels_image.csv").write_text(
        "name,mos\nvoc_emotic_ava/a.jpg,70.5\nEE371R/b.jpg,60\nblur_dataset/c.jpg,81\n"
    )
    folder.joinpath("labels=640_padded.csv").write_text(
        "name_image,is_valid\nvoc_emotic_ava/a.jpg,False\nEE371R/b.jpg,True\n"
    )
    folder.joinpath("labels640.csv").write_text("name_image,mos_image\nblur_dataset/c.jpg,81\n")
    names = ("voc_emotic_ava/a.jpg", "EE371R/b.jpg", "blur_dataset/c.jpg")
    touch(folder, *(f"database/{name}" for name in names))


def make_spaq(folder: Path) -> None:
    write_xlsx(
        folder / "Annotations/MOS and Image attribute scores.xlsx",
        [["Image name", "MOS"], ["00001.jpg", 35], ["00002.jpg", 61.5], ["00003.jpg", 70.25]],
    )
    touch(folder, *(f"TestImage/0000{i}.jpg" for i in (1, 2, 3)))


@pytest.fixture
def replica(tmp_path: Path) -> Callable[[str], Path]:
    """Makes one dataset below a root, in a folder with an official name; gives the root."""

    def make(name: str) -> Path:
        folder = tmp_path / DATASETS[name].folders[-1].upper()
        folder.mkdir()
        globals()[f"make_{name}"](folder)
        return tmp_path

    return make


def _opened(name: str, root: Path) -> dict[str, tuple[float, str]]:
    """Score and reference by the image's path below its dataset's folder."""
    dataset = open_dataset(name, root)
    assert all(path.is_file() for path in (*dataset.images, *dataset.reference_photos))
    folder = next(root.iterdir())
    return {
        str(path.relative_to(folder)): (float(score), reference)
        for path, score, reference in zip(
            dataset.images, dataset.scores, dataset.references, strict=True
        )
    }


def test_live(replica: Callable[[str], Path]) -> None:
    root = replica("live")
    rows = _opened("live", root)
    assert len(rows) == 982 - 2
    dataset = open_dataset("live", root)
    counts = [dataset.distortions.count(name) for name in LIVE_FOLDERS]
    assert counts == [226, 233, 174, 174, 173]
    assert dataset.severities == ()
    assert "jp2k/img1.bmp" not in rows
    assert "fastfading/img174.bmp" not in rows
    step = (111 + 2.6) / 981
    assert rows["jpeg/img1.bmp"] == (pytest.approx(100 - (-2.6 + 227 * step)), "refimgs/ref24.bmp")
    assert rows["jp2k/img2.bmp"][0] > rows["gblur/img1.bmp"][0]


def test_csiq(replica: Callable[[str], Path]) -> None:
    rows = _opened("csiq", replica("csiq"))
    assert len(rows) == 6
    assert rows["dst_imgs/awgn/1600.AWGN.1.png"] == (pytest.approx(0.9), "src_imgs/1600.png")
    assert rows["dst_imgs/fnoise/aerial_city.fnoise.5.png"][0] == 0


def test_tid2013_mixes_cases(replica: Callable[[str], Path]) -> None:
    rows = _opened("tid2013", replica("tid2013"))
    first, second = rows["distorted_images/i01_01_1.bmp"], rows["distorted_images/I01_01_2.BMP"]
    assert first[0] == pytest.approx(5.51429)
    assert first[1] == second[1] != rows["distorted_images/I02_24_5.bmp"][1]


def test_kadid10k(replica: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = replica("kadid10k")
    rows = _opened("kadid10k", root)
    assert rows["images/I01_01_01.png"] == (4.57, "images/i01.png")
    assert len(rows) == 3
    monkeypatch.setenv("SHAMISA_DATA", str(root))
    assert len(open_dataset("kadid10k").images) == 3


@pytest.mark.parametrize(
    ("name", "distortions", "severities"),
    [
        ("kadid10k", ("Gaussian blur", "Gaussian blur", "contrast change"), ("1", "2", "5")),
        ("tid2013", ("Gaussian noise", "Gaussian noise", "sparse sampling"), ("1", "2", "5")),
        ("csiq", ("noise", "jpeg 2000", "fnoise") * 2, ("1", "3", "5") * 2),
        ("koniq", (), ()),
    ],
)
def test_distortions_and_their_levels(
    replica: Callable[[str], Path],
    name: str,
    distortions: tuple[str, ...],
    severities: tuple[str, ...],
) -> None:
    dataset = open_dataset(name, replica(name))
    assert dataset.distortions == distortions
    assert dataset.severities == severities


def test_names_of_distortions_are_in_the_order_of_their_numbers() -> None:
    assert (len(KADID10K_TYPES), len(set(KADID10K_TYPES))) == (25, 25)
    assert (len(TID2013_TYPES), len(set(TID2013_TYPES))) == (24, 24)
    assert KADID10K_TYPES[8:10] == ("JPEG 2000", "JPEG")
    assert TID2013_TYPES[9:11] == ("JPEG", "JPEG 2000")
    assert KADID10K_TYPES[17] == "mean shift"
    assert TID2013_TYPES[15] == "mean shift"


def test_a_name_of_another_kind_says_no_distortion(replica: Callable[[str], Path]) -> None:
    folder = next(replica("kadid10k").iterdir())
    (folder / "dmos.csv").write_text(
        "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,4,1\nI02.png,I02.png,3,1\n"
        "I01_26_05.png,I01.png,2,1\n"
    )
    touch(folder, "images/I01_26_05.png")
    dataset = open_dataset("kadid10k", folder)
    assert dataset.distortions == ("Gaussian blur", "", "")
    assert dataset.severities == ("1", "", "")


def test_koniq_with_its_sets(replica: Callable[[str], Path]) -> None:
    dataset = open_dataset("koniq", replica("koniq"))
    assert dataset.parts == ("train", "val", "test")
    assert dataset.scores.tolist() == [73.1, 60, 20.5]
    assert len(set(dataset.references)) == 3


def test_koniq_without_its_sets(tmp_path: Path) -> None:
    touch(tmp_path, "512x384/1.jpg", "512x384/2.jpg", "512x384/3.jpg")
    (tmp_path / "koniq10k_scores_and_distributions.csv").write_text(
        "image_name,MOS,MOS_zscore\n1.jpg,3.9,77\n2.jpg,3,60\n3.jpg,2,30\n"
    )
    dataset = open_dataset("koniq", tmp_path)
    assert dataset.parts == ()
    assert dataset.scores.tolist() == [77, 60, 30]


def test_clive_official_release_without_its_training_images(
    replica: Callable[[str], Path],
) -> None:
    rows = _opened("clive", replica("clive"))
    assert {name: score for name, (score, _) in rows.items()} == {
        "Images/3.bmp": 63.96,
        "Images/4.bmp": 9.2,
        "Images/1000.JPG": 80.1,
    }


def test_the_real_part_of_clive(shared_data: Path) -> None:
    dataset = open_dataset("clive", shared_data)
    assert len(dataset.images) == 650
    assert len(set(dataset.references)) == 650
    assert float(dataset.scores[0]) == 32.5611
    assert 0 < float(dataset.scores.min()) < float(dataset.scores.max()) < 100


@pytest.mark.parametrize("name", ["labels640.csv", "labels>640.csv"])
def test_flive_official_parts(replica: Callable[[str], Path], name: str) -> None:
    root = replica("flive")
    folder = next(root.iterdir())
    (folder / "labels640.csv").rename(folder / name)
    assert open_dataset("flive", root).parts == ("train", "val", "test")
    (folder / name).unlink()
    with pytest.raises(UsageError, match=r"labels>640\.csv"):
        open_dataset("flive", root)


def test_spaq(replica: Callable[[str], Path]) -> None:
    rows = _opened("spaq", replica("spaq"))
    assert [score for score, _ in rows.values()] == [35, 61.5, 70.25]
    assert DATASETS["spaq"].short_side == 512


@pytest.mark.parametrize("name", sorted(DATASETS.keys() - {"clive"}))
def test_a_missing_picture_is_named(replica: Callable[[str], Path], name: str) -> None:
    root = replica(name)
    lost = open_dataset(name, root).images[1]
    lost.unlink()
    with pytest.raises(
        UsageError, match=rf"(?i)1 of \d+ images are missing .*{lost.stem}.* (row|entry)"
    ):
        open_dataset(name, root)


def test_absent_and_unknown_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHAMISA_DATA", raising=False)
    with pytest.raises(UsageError, match="root, or else SHAMISA_DATA, must name"):
        open_dataset("live")
    with pytest.raises(UsageError, match=r"databaserelease2.*utexas"):
        open_dataset("live", tmp_path)
    with pytest.raises(UnknownNameError, match="Did you mean kadid10k"):
        open_dataset("kadid-10k", tmp_path)


def test_damaged_tables_are_named(
    replica: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = next(replica("spaq").iterdir())
    (folder / SPAQ_SCORES).write_bytes(b"PK\x03\x04no")
    with pytest.raises(UsageError, match="cannot be read as an Excel file"):
        open_dataset("spaq", folder)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(UsageError, match=r"pip install 'shamisa\[datasets\]'"):
        open_dataset("spaq", folder)
    folder = replica("clive") / DATASETS["clive"].folders[-1].upper()
    savemat(folder / "Data/AllMOS_release.mat", {"MOS": np.zeros((1, 10))})
    with pytest.raises(UsageError, match=r"no variable 'AllMOS_release'; it has: MOS"):
        open_dataset("clive", folder)
    (folder / "Data/AllMOS_release.mat").write_bytes(b"not a mat file" * 20)
    with pytest.raises(UsageError, match="cannot be read as a MATLAB file"):
        open_dataset("clive", folder)
