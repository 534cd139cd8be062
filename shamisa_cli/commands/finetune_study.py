"""What ``shamisa finetune`` measures: its options about splits, other datasets and ladders."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from shamisa_cli.commands.completion import complete_datasets
from shamisa_cli.commands.shared import (
    FILE,
    FOLDER,
    draw_ladder_photos,
    names_given,
    option_group,
    sample_option,
)
from shamisa_cli.errors import UsageError

if TYPE_CHECKING:
    from shamisa_cli.datasets.dataset import Dataset
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder, Skip
    from shamisa_cli.finetuning.judges import Judges


def _shares(_: click.Context, __: click.Parameter, text: str) -> tuple[float, ...]:
    """Shares in (0, 1] with commas between, each once, in whole percents: so are their folders."""
    try:
        found = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        found = ()
    if not found or not all(0 < share <= 1 for share in found):
        raise click.BadParameter(f"expected shares such as 0.2,0.4,1, each above 0, got {text!r}")
    if any(round(share, 2) != share for share in found):
        raise click.BadParameter(f"expected whole percents, such as 0.25, got {text!r}")
    return found


@dataclasses.dataclass(frozen=True)
class Study:
    """What is measured, and on what; or that there is one model from all images."""

    shares: tuple[float, ...]
    whole: bool
    test_on: tuple[str, ...]
    plot: Path | None
    with_ladder: Path | None
    ladder_photos: int

    def __post_init__(self) -> None:
        context = click.get_current_context()

        def refuse(names: dict[str, str], why: str) -> None:
            for name, flag in names.items():
                if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                    raise UsageError(f"{flag} has no effect {why}")

        if self.whole:
            refuse(OF_SPLITS, "with --all: it leaves no image to test on")
        if self.with_ladder is None:
            refuse({"ladder_photos": "--ladder-photos"}, "without --with-ladder FOLDER")

    def open_others(self, scored: Dataset, root: Path | None) -> list[Dataset]:
        """The datasets to test on, which are others than ``scored``."""
        from shamisa_cli.datasets.registry import open_dataset
        from shamisa_cli.evaluation.datasets import by_name

        others = by_name(open_dataset(name, root) for name in self.test_on)
        if scored.info.name in others:
            raise UsageError(
                f"--test-on {scored.info.name}: is the dataset to train on; name another"
            )
        return list(others.values())

    def draw(self, seed: int, without: Callable[[Path], bool]) -> list[Path]:
        """The photos to make ladders of; too few are refused. None of ``without`` is drawn."""
        folder, count = self.with_ladder, self.ladder_photos
        return draw_ladder_photos(folder, "--with-ladder", count, seed, without)

    def judges(
        self,
        frozen: FrozenEncoder,
        others: Sequence[Dataset],
        photos: Sequence[Path],
        seed: int,
        skip: Skip,
    ) -> Judges:
        """What judges kept states, beside their test parts."""
        from shamisa_cli.finetuning.judges import Judges, other_dataset
        from shamisa_cli.finetuning.ladders import make_ladder_part

        datasets = [other_dataset(frozen, each, skip) for each in others]
        if self.with_ladder is None:
            return Judges(datasets)
        return Judges(datasets, make_ladder_part(frozen, self.with_ladder, photos, seed, skip))


OF_SPLITS = {
    "shares": "--train-share",
    "test_on": "--test-on",
    "plot": "--plot",
    "csv": "--csv",
    "json": "--json",
    "markdown": "--markdown",
    "n_splits": "--splits",
    "kind": "--split",
}
"""Options about splits, by the names of their parameters."""

study_options = option_group(
    "study",
    Study,
    click.option(
        "--train-share",
        "shares",
        default="1",
        callback=_shares,
        help="Use so much of the training part: 0.2,0.4,0.6,1.",
    ),
    click.option("--all", "whole", is_flag=True, help="No splits: one model from all images."),
    click.option(
        "--test-on",
        multiple=True,
        callback=names_given,
        shell_complete=complete_datasets,
        help="Also test each split on all of these datasets.",
    ),
    click.option(
        "--plot",
        type=FILE,
        help="Write a picture: fine-tuned against linear probe; needs: "
        "pip install 'shamisa[plots]'",
    ),
    click.option("--with-ladder", type=FOLDER, help="Also put ladders of these photos in order."),
    sample_option("--ladder-photos"),
)
