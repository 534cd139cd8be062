"""The column ``better_than``: by the head's table, where that is of the same protocol."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from PIL import Image

from shamisa_cli.models.everyday import Everyday
from shamisa_cli.models.heads import load_head, save_head
from shamisa_cli.scoring import load


def test_rows_say_what_share_scores_lower(
    tiny_model: Path, tmp_path: Path, sample_photos: list[Image.Image]
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "tiny"))
    before = load(model, device="cpu", precision="fp32")
    photo = sample_photos[0].resize((300, 240))
    assert before.score(photo).better_than is None

    head = load_head(model, "toy")
    table = Everyday("numbers", tuple(float(n) for n in range(101)))
    info = dataclasses.replace(head.info, everyday=table)
    save_head(model, dataclasses.replace(head, info=info), overwrite=True)
    assert load_head(model, "toy").info == info
    scorer = load(model, device="cpu", precision="fp32")
    row = scorer.score(photo)
    assert row.better_than == pytest.approx(row.score)
    assert row.to_row()["better_than"] == round(row.score, 1)
    assert row.model == before.model  # it decides no score
    (failed,) = scorer.score_many(["absent.jpg"])
    assert failed.better_than is None
    smaller = load(model, device="cpu", precision="fp32", short_side=128).score(photo)
    assert smaller.better_than is None
