"""What ``probe``, ``fit``, ``ladder`` and ``embed`` share: options, photos left out, files."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.shared import FILE, FOLDER
from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.progress import say_skipped

if TYPE_CHECKING:
    from shamisa_cli.datasets.dataset import Dataset
    from shamisa_cli.encoders.config import ViewingProtocol
    from shamisa_cli.encoders.encoder import Encoder
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder
    from shamisa_cli.evaluation.splits import Split, SplitKind

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def option_group(name: str, cls: type, *options: Decorator) -> Decorator:
    """Add ``options`` to a command, which gets their values as one dataclass, under ``name``."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def collected(**values: Any) -> Any:
            own = {each.name: values.pop(each.name) for each in dataclasses.fields(cls)}
            return command(**values, **{name: cls(**own)})

        made: Callable[..., Any] = collected
        for option in reversed(options):
            made = option(made)
        return made

    return add


model_option = click.option(
    "--model", default="default", show_default=True, help="Model name or folder."
)
root_option = click.option(
    "--root", type=FOLDER, help="Folder of your datasets.  [default: $SHAMISA_DATA]"
)
crops_option = click.option(
    "--crops",
    type=click.Choice(["five", "whole"]),
    help="Five crops, or the photo as one.  [default: the model's own]",
)


@dataclasses.dataclass(frozen=True)
class FeatureOptions:
    """How features are made."""

    features_cache: Path | None
    device: str
    precision: str
    workers: int
    quiet: bool

    def freeze(self, name: str, encoder: Encoder, protocol: ViewingProtocol) -> FrozenEncoder:
        """The encoder as a maker of features."""
        from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder

        return FrozenEncoder(
            name,
            encoder,
            protocol,
            device=self.device,
            precision=self.precision,
            cache=self.features_cache,
            workers=self.workers,
            quiet=self.quiet,
        )


feature_options = option_group(
    "features",
    FeatureOptions,
    click.option("--features-cache", type=FOLDER, help="Keep features here for the next run."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps."),
    click.option("--precision", default="auto", show_default=True, help="auto, fp32 or bf16."),
    click.option(
        "--workers",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="Threads that read photos.",
    ),
    click.option("--quiet", is_flag=True, help="No progress bar."),
)


@dataclasses.dataclass(frozen=True)
class SplitOptions:
    """How a dataset is split, and the seed of all that is drawn."""

    splits: int
    split: SplitKind
    seed: int

    def choose(self, dataset: Dataset) -> list[Split]:
        """The splits of ``dataset``."""
        from shamisa_cli.evaluation.splits import choose_splits

        return choose_splits(dataset, self.splits, self.seed, self.split)


split_options = option_group(
    "splits",
    SplitOptions,
    click.option(
        "--splits",
        type=click.IntRange(1),
        default=10,
        show_default=True,
        help="Number of random splits.",
    ),
    click.option(
        "--split",
        type=click.Choice(["auto", "random", "official"]),
        default="auto",
        show_default=True,
        help="auto: official where the field uses it (FLIVE, or a CSV with a column split).",
    ),
    click.option(
        "--seed", type=int, default=0, show_default=True, help="Of all that is drawn at random."
    ),
)


@dataclasses.dataclass(frozen=True)
class TableFiles:
    """Where a table is written to."""

    csv: Path | None
    json: Path | None
    markdown: Path | None

    def __post_init__(self) -> None:
        check_files(self.csv, self.json, self.markdown)


table_options = option_group(
    "files",
    TableFiles,
    click.option("--csv", type=FILE, help="Write the table as CSV."),
    click.option("--json", type=FILE, help="Write everything measured as JSON."),
    click.option("--markdown", type=FILE, help="Write the table as Markdown."),
)


class Skipped:
    """Says once why each photo is left out, and counts them."""

    def __init__(self) -> None:
        self.errors: set[str] = set()

    def __call__(self, error: Exception) -> None:
        if str(error) not in self.errors:
            self.errors.add(str(error))
            say_skipped(error)

    def tell(self, where: str) -> None:
        """Fail if any were left out: call it once everything else is done and written."""
        if self.errors:
            raise ShamisaError(f"{len(self.errors)} photos could not be read; they are not {where}")


def check_files(*paths: Path | None, plot: Path | None = None) -> None:
    """Refuse files that cannot be written, and a picture that cannot be drawn.

    Raises
    ------
    UsageError
        for a missing folder, a missing matplotlib, or an ending that names no picture format.
    """
    import importlib.util

    for path in filter(None, (*paths, plot)):
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent} to write it in")
    if plot is None:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib: pip install 'shamisa[plots]'")
    from matplotlib.backend_bases import FigureCanvasBase

    if plot.suffix[1:].casefold() not in FigureCanvasBase.get_supported_filetypes():
        raise UsageError(f"{plot}: its ending names no picture format; use .png, .svg or .pdf")


def mention_part(dataset: Dataset) -> None:
    """Say so where only a part of a dataset is there: its figures are not the published ones."""
    have, all_of_it = len(dataset.images), dataset.info.n_images
    if have != all_of_it:
        click.echo(f"{dataset.info.name}: {have} of its {all_of_it} images are listed", err=True)
