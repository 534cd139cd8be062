"""How fast a run is, by the times of its parts."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from shamisa_cli.sharding.manifest import read_manifest
from shamisa_cli.sharding.pace import RECENT, Pace, pace_of
from shamisa_cli.sharding.parts import part_name
from shamisa_cli.sharding.storage import Folder


def test_photos_a_second_and_the_time_left() -> None:
    # 300 photos in the 30 s after the first part; six shards of 100 on average are left.
    parts = [(1010.0, 50), (1000.0, 999), (1030.0, 100), (1020.0, 150)]
    assert pace_of(parts, 6, 1045.0) == Pace(10.0, 60.0, 15.0)
    assert pace_of(parts, 0, 1000.0) == Pace(10.0, 0.0, 0.0)  # another machine's clock is ahead


def test_only_the_newest_parts_count() -> None:
    old = [(float(second), 1) for second in range(1000)]
    new = [(5000.0 + second, 7) for second in range(RECENT)]
    found = pace_of([*new, *old], 1, 6000.0)
    assert found is not None
    assert found.rate == pytest.approx(7.0)


@pytest.mark.parametrize("parts", [[], [(5.0, 10)], [(5.0, 10), (5.0, 20)], [(5.0, 10), (9.0, 0)]])
def test_what_tells_nothing(parts: list[tuple[float, int]]) -> None:
    assert pace_of(parts, 3, 10.0) is None


def test_status_tells_the_pace(few: Path, score: Any, inline: Any) -> None:
    assert score("data/*.tar", "--out", "scores").exit_code == 0
    folder = Folder("scores")
    manifest = read_manifest(folder)
    assert manifest is not None
    first, second, third = (part_name(shard.id) for shard in manifest.shards(folder))
    os.utime(f"scores/{first}", (100, 100))
    os.utime(f"scores/{second}", (105, 105))
    assert folder.times()[second] == 105
    assert "pace" not in score("--status", "scores").stdout  # nothing is left to do
    Path("scores", third).unlink()
    said = score("--status", "scores").stdout
    photos = int(said.split("photos  ")[1].split()[0]) // 2
    assert f"pace    {photos / 5:.1f} photos/s, 00:05 left; last part " in said


def test_times_of_an_object_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = datetime(2026, 1, 2, tzinfo=timezone.utc)
    listed = [{"name": "b/scores/x", "LastModified": written}, {"name": "b/scores/y"}]
    folder = Folder(str(tmp_path))
    monkeypatch.setattr(folder, "_fs", _Listing(listed))
    assert folder.times() == {"x": written.timestamp(), "y": None}


class _Listing:
    def __init__(self, infos: list[dict[str, Any]]) -> None:
        self.infos = infos

    def invalidate_cache(self) -> None:
        pass

    def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
        return self.infos if detail else []
