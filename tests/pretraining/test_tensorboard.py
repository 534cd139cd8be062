"""Log records as TensorBoard scalars."""

from __future__ import annotations

from shamisa_cli.pretraining.tensorboard import scalars


def test_tables_become_tags_and_the_step_is_none() -> None:
    record = {"step": 3, "total": 1.5, "crop": 112, "alpha": {"knn": 0.25, "ref_ref": 0.75}}
    assert scalars(record) == {
        "total": 1.5,
        "crop": 112,
        "alpha/knn": 0.25,
        "alpha/ref_ref": 0.75,
    }
