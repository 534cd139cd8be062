"""The points of a map as a table."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import torch

from shamisa_cli.maps.gather import write_csv
from shamisa_cli.maps.points import Points


def test_a_photo_whose_name_is_not_utf8_is_in_the_table(tmp_path: Path) -> None:
    names = (Path("é.png"), Path(os.fsdecode(b"caf\xe9.png")))
    write_csv(tmp_path / "map.csv", Points(torch.zeros(2, 3), names), np.zeros((2, 2)))
    content = (tmp_path / "map.csv").read_bytes()
    assert content == "path,x,y\né.png,0.0,0.0\n".encode() + b"caf\xe9.png,0.0,0.0\n"
    with (tmp_path / "map.csv").open(encoding="utf-8", errors="surrogateescape") as file:
        assert [Path(row["path"]) for row in csv.DictReader(file)] == list(names)
