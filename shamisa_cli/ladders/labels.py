"""Scores for distorted copies by MDSI: a dataset that no person has judged.

MDSI sees the photo beside its copy, so it can compare kinds of damage and photos with each other.
It takes the place of people, who would cost weeks; it is a proxy, and says nothing about how good
the photo was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shamisa_cli.distortions.copies import COMPOSITION
from shamisa_cli.evaluation.report import csv_text
from shamisa_cli.files import write_text
from shamisa_cli.ladders.edits import AS_IT_IS
from shamisa_cli.spelling import unescape_name

HEADER = ["image", "score", "reference", "distortion", "severity", "mdsi"]


def damaged_less(damage: Tensor) -> Tensor:
    """(n,) the share of all copies that are damaged less, 0 … 1, by MDSI ``damage`` (n,)."""
    return torch.searchsorted(damage.sort().values, damage) / max(1, len(damage))


def write_labels(path: Path, metadata: Path, photos: Mapping[str, Path]) -> int:
    """Write the CSV of a folder of copies; how many rows it has.

    A photo as it is scores 100, and a copy 100 less the percentage of all copies that are damaged
    less.

    Parameters
    ----------
    metadata : metadata.jsonl of the folder, its lines with ``mdsi``.
    photos : the file of each reference in it.
    """
    lines = [json.loads(line) for line in metadata.read_text(encoding="utf-8").splitlines()]
    damage = torch.tensor([line["mdsi"] for line in lines], dtype=torch.float64)
    scores = (100 * (1 - damaged_less(damage))).tolist()
    used = dict.fromkeys(unescape_name(line["reference"]) for line in lines)
    files = {name: _from(path.parent, photos[name]) for name in used}
    rows: list[list[Any]] = [[files[name], 100, files[name], AS_IT_IS, 0, 0] for name in used]
    for line, score in zip(lines, scores, strict=True):
        reference = files[unescape_name(line["reference"])]
        what = *_what(line["functions"]), line["mdsi"]
        rows.append([unescape_name(line["file"]), round(score, 4), reference, *what])
    write_text(path, csv_text([HEADER, *rows]))
    return len(rows)


def _what(functions: Sequence[Mapping[str, Any]]) -> tuple[str, float | str]:
    """Distortion and severity of a copy; a composition has no severity of its own."""
    if len(functions) > 1:
        return COMPOSITION, ""
    return functions[0]["name"], functions[0]["severity"]


def _from(folder: Path, photo: Path) -> str:
    """The way from ``folder`` to ``photo``; from the root, where there is none, as on Windows."""
    try:
        return Path(os.path.relpath(photo.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return photo.resolve().as_posix()
