"""`shamisa embed` from the command line: pictures in, a map out, whatever is wrong with one."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.distortions.registry import DISTORTIONS
from shamisa_cli.engines.engine import Ended, Prepare
from shamisa_cli.files import is_ours
from shamisa_cli.scoring import load
from shamisa_cli.scoring.features_only import load_features

Run = Callable[..., Result]

pytest.importorskip("matplotlib", reason="maps are drawn by matplotlib")


@pytest.fixture
def photos(tmp_path: Path, sample_photos: list[Image.Image]) -> Path:
    """Six photos, and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(6):
        place = (40 * i, 20 * i, 40 * i + 200, 20 * i + 150)
        sample_photos[i % 2].crop(place).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def scores(photos: Path) -> Path:
    path = photos / "mine.csv"
    path.write_text("image,mos\n" + "".join(f"{i}.png,{60 - i}\n" for i in range(6)))
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_photos_by_score(embed: Run, headed: Path, photos: Path, tmp_path: Path) -> None:
    plot, places = tmp_path / "map.png", tmp_path / "map.csv"
    result = embed(photos, "--plot", plot, "--csv", places)
    assert result.exit_code == 0, result.output
    with Image.open(plot) as picture:
        assert min(picture.size) > 500
    rows = table(places)
    assert list(rows[0]) == ["path", "score", "x", "y"]
    assert [row["path"] for row in rows] == [str(photos / f"{i}.png") for i in range(6)]
    scorer = load(headed, precision="fp32")
    for row in rows:
        assert float(row["score"]) == pytest.approx(scorer.score(row["path"]).score, abs=1e-3)


def test_one_bad_file_never_stops_it(embed: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "2.png").write_bytes(b"no picture")
    result = embed(photos, tmp_path / "absent.jpg", "--csv", tmp_path / "map.csv")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert f"skipped {photos / '2.png'}: " in result.stderr
    assert f"skipped {tmp_path / 'absent.jpg'}: no such file" in result.stderr
    assert "2 photos could not be read" in result.stderr
    assert len(table(tmp_path / "map.csv")) == 5


def test_a_dataset_by_human_score(embed: Run, scores: Path, tmp_path: Path) -> None:
    (scores.parent / "3.png").write_bytes(b"no picture")
    arguments = ["--dataset", scores, "--plot", tmp_path / "m.png", "--csv", tmp_path / "m.csv"]
    assert embed(*arguments).exit_code == 1
    rows = table(tmp_path / "m.csv")
    assert {Path(row["path"]).name: float(row["mos"]) for row in rows} == {
        f"{i}.png": 60.0 - i for i in range(6) if i != 3
    }
    assert (tmp_path / "m.png").is_file()
    embed(*arguments, "--sample", 5, "--overwrite")
    some = table(tmp_path / "m.csv")
    assert len(some) in (4, 5)
    assert all(float(row["mos"]) == 60 - int(Path(row["path"]).stem) for row in some)


def test_a_model_without_a_head_draws_by_folder(
    embed: Run, headless: Path, photos: Path, tmp_path: Path
) -> None:
    for name in ("_raw$", "b c"):
        (photos / name).mkdir()
    for i in range(4):
        (photos / f"{i}.png").rename(photos / ("_raw$" if i % 2 else "b c") / f"{i}.png")
    plot, places = tmp_path / "map.svg", tmp_path / "map.csv"
    arguments = [photos, "--model", headless, "--plot", plot, "--csv", places]
    result = embed(*arguments)
    assert result.exit_code == 0, result.output
    assert "tiny has no head to score by: colored by folder" in result.stderr
    assert list(table(places)[0]) == ["path", "x", "y"]
    drawn = plot.read_text()
    for shown in ("_raw$ (2)", "b c (2)", "photos (2)"):
        assert f"<!--  {shown} -->" in drawn.replace("\\$", "$")
    result = embed(*arguments, "--color-by", "score", "--overwrite")
    assert result.exit_code == 2
    assert "fit one with: shamisa fit" in result.stderr


def test_photos_by_folder_or_plain(embed: Run, photos: Path, tmp_path: Path) -> None:
    plot = tmp_path / "map.svg"
    for color in ("folder", "none"):  # one folder: both are plain
        assert embed(photos, "--color-by", color, "--plot", plot, "--overwrite").exit_code == 0
        assert "<!-- folder -->" not in plot.read_text()
    result = embed(photos, "--color-by", "folder", "--head", "mine", "--plot", plot)
    assert result.exit_code == 2
    assert "--head is for --color-by score" in result.output


@pytest.mark.parametrize("color", ["distortion", "severity", "score"])
def test_ladders(embed: Run, photos: Path, tmp_path: Path, color: str) -> None:
    arguments = ["--dataset", "ladder", "--photos", photos, "--sample", 1, "--color-by", color]
    result = embed(*arguments, "--plot", tmp_path / "m.svg", "--csv", tmp_path / "m.csv")
    assert result.exit_code == 0, result.output
    rows = table(tmp_path / "m.csv")
    assert len(rows) == 24 * 5
    assert [row["distortion"] for row in rows[::5]] == list(DISTORTIONS)
    assert [float(row["severity"]) for row in rows[:5]] == [0, 0.25, 0.5, 0.75, 1]
    assert ("score" in rows[0]) == (color == "score")
    drawn = (tmp_path / "m.svg").read_text()
    assert ("<!-- gaussian blur -->" in drawn) == (color == "distortion")
    assert ("<!-- severity λ -->" in drawn) == (color == "severity")


def test_two_models_beside_their_controls(
    embed: Run, headed: Path, headless: Path, photos: Path, tmp_path: Path
) -> None:
    files = {kind: tmp_path / f"m.{kind}" for kind in ("svg", "csv", "json", "md")}
    result = embed(
        *("--dataset", "ladder", "--photos", photos, "--sample", 1, "--method", "pca"),
        *("--beside", headless, "--random", "--plot", files["svg"], "--csv", files["csv"]),
        *("--json", files["json"], "--markdown", files["md"]),
    )
    assert result.exit_code == 0, result.output
    names = ["tiny", "tiny", "tiny (random weights)", "tiny (random weights)"]
    header, first = result.stdout.splitlines()[:2]
    assert header.split("  ")[-1].strip() == names[-1]
    assert first.startswith("silhouette by distortion ")
    found = json.loads(files["json"].read_text())
    assert found["map"] == {"method": "PCA", "of": "ladder", "pictures": 120, "seed": 0}
    assert [model["name"] for model in found["models"]] == names
    trained, same, control, _ = (model["measures"] for model in found["models"])
    assert trained == same != control
    assert set(trained[1]["by_label"]) == set(DISTORTIONS)
    assert files["md"].read_text().startswith("| measure | in | chance | tiny | tiny |")
    assert all(is_ours(path) for path in files.values())  # so --overwrite may replace them
    rows = table(files["csv"])
    assert [row["model"] for row in rows[::120]] == names
    assert files["svg"].read_text().count("<!-- tiny (random weights) -->") == 2
    assert files["svg"].read_text().count("<!-- gaussian blur -->") == 1  # one legend for all


def test_several_datasets_by_name(embed: Run, scores: Path, tmp_path: Path) -> None:
    other = scores.parent / "yours.csv"
    other.write_text("image,mos\n" + "".join(f"{i}.png,{i}\n" for i in (1, 3, 5)))
    plot, places = tmp_path / "m.svg", tmp_path / "m.csv"
    result = embed("--dataset", f"{scores},{other}", "--plot", plot, "--csv", places)
    assert result.exit_code == 0, result.output
    assert "neighbors of the same dataset" in result.stdout
    assert [row["dataset"] for row in table(places)] == ["mine"] * 6 + ["yours"] * 3
    drawn = plot.read_text()
    assert "<!-- dataset -->" in drawn
    assert "<!--  yours (3) -->" in drawn
    alone = embed("--dataset", other, "--dataset", scores, "--sample", 3)
    assert alone.exit_code == 0, alone.output
    assert alone.stdout.startswith("measure ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plot", "m.png"], "which pictures?"),
        (["{photos}", "--dataset", "clive", "--plot", "m.png"], "one of these"),
        (["{photos}"], "nothing to make"),
        (["{photos}", "--photos", "x", "--plot", "m.png"], "go together"),
        (["--dataset", "ladder", "--plot", "m.png"], "go together"),
        (["--dataset", "clive,ladder", "--photos", "{photos}", "--csv", "m"], "stands alone"),
        (["--dataset", "clive,koniq", "--color-by", "mos", "--csv", "m"], "by dataset or score"),
        (["{photos}", "--json", "m.json"], "--json is for what is measured"),
        (["{photos}", "--beside", "fats", "--csv", "m"], "Did you mean fast"),
        (
            ["{photos}", "--color-by", "mos", "--plot", "m.png"],
            "can be colored by score or folder or none",
        ),
        (["--dataset", "x", "--color-by", "severity", "--plot", "m.png"], "by mos or score or"),
        (["--dataset", "clve", "--plot", "m.png"], "Did you mean clive"),
        (["--dataset", "ladder", "--photos", "{photos}", "--head", "x", "--csv", "m"], "--head is"),
        (["{photos}", "--plot", "m.xyz"], "names no picture format"),
        (["{photos}", "--plot", "/no/such/m.png"], "there is no folder /no/such"),
        (["{photos}", "--head", "mnie", "--csv", "m.csv"], "Did you mean mine"),
        (["{photos}/none", "--csv", "m.csv"], "no photos in"),
        (["{photos}/0.png", "--csv", "m.csv"], "1 pictures; a map needs at least 4"),
    ],
)
def test_usage_errors(
    embed: Run,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (photos / "none").mkdir()
    result = embed(*(each.format(photos=photos) for each in arguments))
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


class Here:
    """An engine without processes, which have tests of their own."""

    name = "processes"

    def run(self, prepare: Prepare, tasks: Iterable[Any]) -> Iterator[Ended]:
        work = prepare()
        for task in tasks:
            yield Ended(task, work(task))


@pytest.mark.parametrize("has_head", [True, False])
def test_features_of_tars_as_parquet(
    has_head: bool,
    headed: Path,
    headless: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shamisa_cli.engines.registry.open_engine", lambda *_, **__: Here())
    two = [photos / f"{n}.png" for n in range(2)]
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for photo in two:
            tar.add(photo, photo.name)
        broken = tarfile.TarInfo("broken.png")
        broken.size = 3
        tar.addfile(broken, io.BytesIO(b"abc"))
    model = headed if has_head else headless
    command = ["embed", str(tmp_path / "a.tar"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*command, "--model", str(model), "--device", "cpu"])
    assert result.exit_code == 1, result.output  # one photo failed
    assert "2 scored, 1 failed" in result.stderr
    (part,) = (tmp_path / "out").glob("part-*.parquet")
    rows = pq.read_table(part).to_pylist()
    assert [row["status"] for row in rows] == ["padded", "padded", "failed"]
    assert [row["score"] is None for row in rows] == [not has_head, not has_head, True]
    extractor = load_features(model, device="cpu").extractor
    for row, photo in zip(rows, two, strict=False):
        with Image.open(photo) as image:
            wanted = extractor.features(image.convert("RGB")).mean(0)
        assert row["features"] == pytest.approx(wanted.tolist(), rel=1e-4, abs=1e-5)


def test_options_of_maps_and_of_features_do_not_mix(tmp_path: Path) -> None:
    for arguments, says in (
        (["a.tar", "--shard", "1/2"], "--shard needs --out"),
        (["a.tar", "--out", "o", "--plot", "a.png"], "--plot is for maps"),
        (["a.tar", "--out", "o", "--features-cache", "c"], "--features-cache is for maps"),
        (["a.tar", "--out", "o", "--shard", "3/2"], "shares count from 1"),
        (["--out", str(tmp_path)], "no inputs given"),
    ):
        result = CliRunner().invoke(app, ["embed", *arguments])
        assert result.exit_code == 2, result.output
        assert says in result.stderr
