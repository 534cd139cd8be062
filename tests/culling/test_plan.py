"""Where keepers go, what goes along, and what stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shamisa_cli.culling.companions import Companions, shots
from shamisa_cli.culling.files import How
from shamisa_cli.culling.plan import Plan, common_root, make_plan


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> list[str]:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    return list(names)


def going(plan: Plan) -> list[str]:
    """Targets, below the folder of the keepers."""
    return [os.path.relpath(transfer.target, "k") for transfer in plan.transfers]


def planned(keepers: list[str], how: How = "copy", asked: str = "p") -> Plan:
    return make_plan(keepers, common_root([asked]), Path("k"), how)


def test_photos_of_one_name_are_kept_apart() -> None:
    keepers = touch("p/a.jpg", "p/x/a.jpg", "p/y/a.jpg")
    plan = planned(keepers)
    assert going(plan) == ["a.jpg", "x/a.jpg", "y/a.jpg"]
    assert plan.photos == 3
    assert all(os.path.isabs(t.source) and os.path.isabs(t.target) for t in plan.transfers)  # noqa: PTH117


def test_the_root_is_what_was_asked_for_not_what_was_found() -> None:
    touch("p/2026/a.jpg", "q/b.jpg")
    here = str(Path.cwd())
    assert common_root(["p"]) == f"{here}/p"
    assert common_root(["p/2026/a.jpg", "p"]) == f"{here}/p"
    assert common_root(["p/**/*.jpg"]) == f"{here}/p"
    assert common_root(["./p/../q", "p/2026"]) == here


def test_what_belongs_to_a_photo_goes_before_it() -> None:
    touch("p/a.jpg", "p/a.NEF", "p/A.xmp", "p/a.jpg.xmp", "p/a.mov", "p/a.txt", "p/ab.xmp")
    touch("p/a.png.xmp", "p/b.nef", "p/b.xmp")
    plan = planned(["p/a.jpg", "p/b.nef"])
    assert going(plan) == ["A.xmp", "a.NEF", "a.jpg.xmp", "a.mov", "a.jpg", "b.xmp", "b.nef"]
    assert plan.photos == 2


def test_a_raw_file_beside_its_photo_is_not_looked_at() -> None:
    touch("p/a.NEF", "p/a.jpg", "p/b.nef", "q/a.nef", "p/c.jpg", "p/c.png")
    found = ["p/a.NEF", "p/a.jpg", "p/b.nef", "q/a.nef", "p/c.jpg", "p/c.png"]
    assert shots(found) == ["p/a.jpg", "p/b.nef", "q/a.nef", "p/c.jpg", "p/c.png"]
    Path("link.jpg").symlink_to("p/a.jpg")
    assert shots(["link.jpg", "p/a.jpg", "./p/a.jpg"]) == ["link.jpg"]


def test_a_sidecar_of_two_photos_is_not_taken_away_from_one_that_stays() -> None:
    touch("p/a.jpg", "p/a.png", "p/a.xmp", "p/a.jpg.xmp")
    assert going(planned(["p/a.jpg"], "move")) == ["a.jpg.xmp", "a.jpg"]
    assert going(planned(["p/a.jpg"], "copy")) == ["a.jpg.xmp", "a.xmp", "a.jpg"]
    both = planned(["p/a.jpg", "p/a.png"], "move")
    assert going(both) == ["a.jpg.xmp", "a.xmp", "a.jpg", "a.png"]
    assert Companions().of("p/a.png") == ["p/a.xmp"]


def test_a_sidecar_stays_with_a_keeper_that_is_left() -> None:
    """Whichever of the two is looked at first, and whatever it is left for."""
    keepers = touch("p/a.webp", "p/a.jpg")
    touch("p/a.xmp", "k/a.jpg")
    assert going(planned(keepers, "move")) == ["a.webp"]
    assert going(planned(keepers[::-1], "move")) == ["a.webp"]
    assert going(planned(keepers, "copy")) == ["a.xmp", "a.webp"]
    Path("k/a.jpg").unlink()
    Path("p/a.jpg").unlink()
    touch("q/z.jpg")
    Path("p/a.jpg").symlink_to("../q/z.jpg")
    plan = make_plan(["q/z.jpg", *keepers], common_root(["p", "q"]), Path("k"), "move")
    assert going(plan) == ["q/z.jpg", "p/a.webp"]


@pytest.mark.parametrize("how", ["link", "copy", "move"])
def test_what_is_in_the_way_stays_and_is_told(how: How) -> None:
    touch("p/a.jpg", "p/b.jpg", "p/b.xmp", "k/a.jpg", "k/b.xmp")
    plan = planned(["p/a.jpg", "p/b.jpg"], how)
    assert going(plan) == ["b.jpg"]
    where = str(Path("k").absolute())
    assert plan.left == [
        ("p/a.jpg", f"{where}/a.jpg is there and is another file"),
        ("p/b.xmp", f"{where}/b.xmp is there and is another file"),
    ]


def test_a_copy_that_is_there_is_done() -> None:
    touch("p/a.jpg", "p/a.xmp")
    Path("k").mkdir()
    Path("k/a.jpg").write_text("p/a.jpg")
    plan = planned(["p/a.jpg"])
    assert (going(plan), plan.done, plan.left) == (["a.xmp"], 1, [])
    assert planned(["p/a.jpg"], "move").left  # it would be deleted here, which is no move


def test_links_are_not_moved() -> None:
    touch("q/a.jpg", "p/b.jpg")
    Path("p/a.jpg").symlink_to("../q/a.jpg")
    plan = planned(["p/a.jpg", "p/b.jpg"], "move")
    assert going(plan) == ["b.jpg"]
    assert [path for path, why in plan.left] == ["p/a.jpg"]
    assert going(planned(["p/a.jpg", "p/b.jpg"])) == ["a.jpg", "b.jpg"]


def test_a_sidecar_that_is_a_link_is_not_moved() -> None:
    """From elsewhere it would lead nowhere."""
    touch("p/a.jpg", "p/real/a.xmp", "p/a.mov")
    Path("p/a.xmp").symlink_to("real/a.xmp")
    plan = planned(["p/a.jpg"], "move")
    assert going(plan) == ["a.mov", "a.jpg"]
    assert plan.left == [("p/a.xmp", "it is a link, and links are not moved")]
    assert going(planned(["p/a.jpg"])) == ["a.mov", "a.xmp", "a.jpg"]
