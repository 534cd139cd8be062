"""The sheet of a direction, the lines of pairs.csv, and what is said in short."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from shamisa_cli.experiments.gmad import Level, Pair
from shamisa_cli.experiments.gmad_pool import FolderPool, Picture, open_pool
from shamisa_cli.experiments.gmad_sheets import (
    COLUMNS,
    Attack,
    attack_cells,
    damage_of_pairs,
    draw_attack,
    pair_lines,
    summary_lines,
)


@pytest.fixture
def pool(tmp_path: Path, sample_photos: list[Image.Image]) -> FolderPool:
    """A pristine photo, two degrees of JPEG of it, and another photo, larger than a sheet shows."""
    (tmp_path / "pristine_images").mkdir()
    photo = sample_photos[0].resize((300, 200))
    photo.save(tmp_path / "pristine_images/1.png")
    for level, quality in ((1, 60), (2, 5)):
        photo.save(tmp_path / f"1_2_{level}.jpg", quality=quality)
    sample_photos[1].resize((900, 600)).save(tmp_path / "large.png")
    return open_pool(tmp_path)


@pytest.fixture
def attack(pool: FolderPool) -> Attack:
    pictures = pool.pictures
    assert [each.path.name for each in pictures] == ["1_2_1.jpg", "1_2_2.jpg", "large.png", "1.png"]
    attacks, defends = np.array([60.0, 20.0, 50.0, 70.0]), np.array([40.0, 40.5, 80.0, 79.0])
    levels = [
        Level(1, 40.0, 60.0, 2, Pair(0, 1, 40.0, 2.5)),
        Level(2, 60.0, 80.0, 2, Pair(3, 2, 20.0, 1.5)),
        Level(3, 80.0, 100.0, 0, None),
    ]
    damage = damage_of_pairs(pool, pictures, levels)
    return Attack("sharp", "tame", attacks, defends, pictures, levels, damage)


def test_pairs_of_one_photo_have_mdsi(attack: Attack) -> None:
    assert set(attack.damage) == {1}
    better, worse = attack.damage[1]
    assert 0 < better < worse < 1


def test_lines_and_cells_have_a_level_each(attack: Attack) -> None:
    lines = [dict(zip(COLUMNS, line, strict=True)) for line in pair_lines(attack)]
    first, second, third = lines
    assert Path(str(first["better"])).name == "1_2_1.jpg"
    assert first["worse_distortion"] == "distortion 2, level 2"
    assert (first["better_attacker"], first["worse_defender"]) == (60.0, 40.5)
    assert (first["better_mdsi"], first["worse_mdsi"]) == attack.damage[1]
    assert second["better_mdsi"] == second["reference"] == ""
    assert (third["pictures"], third["better"]) == (0, "")
    cells = attack_cells([attack])
    assert [line[5:] for line in cells[1:]] == [["40.0", "2.50"], ["20.0", "1.50"], ["no pair", ""]]


def test_what_is_said_in_short(attack: Attack) -> None:
    (line,) = summary_lines([attack])
    assert line.startswith("sharp attacks tame: 2 pairs, on average 2.00 standard deviations apart")
    assert line.endswith("sides with the attacker's order in 1 of the 1 that show one photo")
    nothing = replace(attack, levels=attack.levels[2:], damage={})
    assert summary_lines([nothing]) == ["sharp attacks tame: 0 pairs"]


def test_a_sheet_shows_both_pictures_pixel_for_pixel(pool: FolderPool, attack: Attack) -> None:
    sheet = draw_attack(attack, pool)
    first = replace(attack, levels=attack.levels[:1])
    small = draw_attack(first, pool)
    assert small.height < sheet.height
    assert 2 * 300 < small.width < 2 * 340
    assert 2 * 768 < sheet.width < 2 * 800  # the large one is shrunk to 768 px
    left, right = (pool.see(each) for each in attack.pictures[:2])
    places = [
        (x, y)
        for y in range(small.height - 200)
        for x in (11, 322)
        if small.getpixel((x, y)) == (left if x == 11 else right).getpixel((0, 0))
    ]
    found = {
        x
        for x, y in places
        for picture in [left if x == 11 else right]
        if not ImageChops.difference(small.crop((x, y, x + 300, y + 200)), picture).getbbox()
    }
    assert found == {11, 322}


def test_a_picture_that_went_away_is_a_gray_field(pool: FolderPool, attack: Attack) -> None:
    first = replace(attack, levels=attack.levels[:1])
    before = draw_attack(first, pool)
    gone = Picture(Path("nowhere/gone.png"), reference=attack.pictures[0].reference)
    after = draw_attack(replace(first, pictures=[gone, *attack.pictures[1:]]), pool)
    assert (128, 128, 128) in {color for _, color in after.getcolors(1 << 20) or []}
    assert before.tobytes() != after.tobytes()
    assert damage_of_pairs(pool, [gone, *attack.pictures[1:]], first.levels) == {}
