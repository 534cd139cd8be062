"""``shamisa filter`` as a user runs it: rows of a run, files of every kind, wrong arguments."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from shamisa_cli.cli import app

HEADER = ["path", "score", "uncertainty", "width", "status", "error"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A CSV of ten photos of 0 to 90 points, and one that failed."""
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows([f"{n}.jpg", 10 * n, 3.5, 100 + n, "ok", ""] for n in range(10))
        writer.writerow(["x.jpg", "", "", "", "failed", "broken,\nindeed"])
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["filter", *map(str, arguments)])


def test_what_a_user_reads(rows: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    result = run(rows, "--top", "30%", "--keys", keys)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "3 of 11 rows stay (27.3%); 1 have no score",
        "score: 70 and above",
        f"{keys}: 3 paths",
    ]
    assert keys.read_text() == "7.jpg\n8.jpg\n9.jpg\n"


@pytest.mark.parametrize(
    ("options", "stay"),
    [
        ([], 10),
        (["--min", "30"], 7),
        (["--min", "30", "--max", "80"], 6),
        (["--status", "failed"], 1),
        (["--status", "ok,failed", "--min", "90"], 1),
        (["--quantile", "width:0.5-1", "--quantile", "score:0-0.9"], 5),
        (["--max", "50", "--top", "2"], 2),
    ],
)
def test_without_an_output_it_says_how_many_would_stay(
    rows: Path, tmp_path: Path, options: list[str], stay: int
) -> None:
    result = run(rows, *options)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"{stay} of 11 rows stay")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert run(rows, *options, "--quiet").output == ""


def test_csv_to_parquet_and_back(rows: Path, tmp_path: Path) -> None:
    assert run(rows, "--status", "ok,failed", "--parquet", tmp_path / "a.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 11
    assert run(tmp_path / "a.parquet", "--min", "85", "--csv", tmp_path / "b.csv").exit_code == 0
    with (tmp_path / "b.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [HEADER, ["9.jpg", "90", "3.5", "109", "ok", ""]]


def test_what_is_there_is_kept_until_asked(rows: Path, tmp_path: Path) -> None:
    for name in ("a.parquet", "a.csv"):
        out, option = tmp_path / name, f"--{name[2:]}"
        out.write_bytes(b"precious")
        for more in ([], ["--overwrite"]):
            refused = run(rows, option, out, *more)
            assert refused.exit_code == 2
            assert "choose another name" in refused.stderr
        assert out.read_bytes() == b"precious"
        out.unlink()
        source = rows if name == "a.parquet" else tmp_path / "a.parquet"
        assert run(source, option, out).exit_code == 0
        refused = run(rows, option, out)
        assert refused.exit_code == 2
        assert "--overwrite" in refused.stderr
    assert run(rows, "--parquet", tmp_path / "a.parquet", "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing argument 'SCORES"),
        (["nosuch"], "nosuch: there is no such file or folder"),
        (["nosuch://a/b"], "Protocol not known"),
        (["rows.csv", "--top", "0"], "--top 0: must be a number of rows, or a share such as 30%"),
        (["rows.csv", "--top", "130%"], "--top 130%: a share must be"),
        (["rows.csv", "--min", "nan"], "--min nan: must be a number"),
        (["rows.csv", "--min", "9", "--max", "8"], "--min 9 is above --max 8"),
        (["rows.csv", "--status", "fialed"], "Did you mean failed?"),
        (["rows.csv", "--quantile", "width"], "--quantile width: must be COLUMN:LOW-HIGH"),
        (["rows.csv", "--quantile", "wdith:0-1"], "did you mean width?"),
        (["rows.csv", "--quantile", "path:0-1"], "holds string, not numbers"),
        (["rows.csv", "--npy", "s.npy"], "needs the column uid"),
        (["rows.csv", "--reshard", "out"], "one folder of score --out alone"),
        (["rows.csv", "--keys", "no/such/k.txt"], "there is no folder no/such"),
        (["rows.csv", "--keys", "a", "--csv", "a"], "two files of one name"),
        (["rows.csv", "rows.csv"], "given twice"),
        (["."], "holds no part yet"),
    ],
)
def test_wrong_arguments(
    rows: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(rows.parent)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert [path.name for path in rows.parent.iterdir()] == ["rows.csv"]


def test_a_run_that_is_not_finished_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "filtering")
    from filter_runs import sample, uid_of, write_run, write_tar

    tars = [tmp_path / f"{n}.tar" for n in range(2)]
    for tar in tars:
        write_tar(tar, sample("a"))
    write_run(tars, tmp_path / "scores", {"a.jpg": 50.0}, done=1)
    result = run(tmp_path / "scores", "--npy", tmp_path / "s.npy")
    assert result.exit_code == 0
    assert f"{tmp_path / 'scores'}: 1 of 2 shards have no part yet" in result.stderr
    (found,) = np.load(tmp_path / "s.npy").tolist()
    assert found == divmod(int(uid_of("a"), 16), 2**64)
