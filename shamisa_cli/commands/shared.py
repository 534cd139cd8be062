"""What several commands share: options, messages about them, photos left out, files."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from shamisa_cli.commands.completion import (
    complete_dataset,
    complete_device,
    complete_head,
    complete_model,
    complete_precision,
)
from shamisa_cli.errors import ShamisaError, UsageError, system_reason
from shamisa_cli.files import is_ours, write_text
from shamisa_cli.progress import say_skipped

if TYPE_CHECKING:
    from shamisa_cli.datasets.dataset import Dataset
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder
    from shamisa_cli.models.config import ModelConfig

Command = Callable[..., Any]
Option = Callable[[Command], Command]
Crops = Literal["five", "whole"]

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING = click.Path(path_type=Path, exists=True)

command = functools.partial(click.command, context_settings={"show_default": True})


def option_group(name: str, make: Callable[..., object], *options: Option) -> Option:
    """Add ``options`` to a command, which gets ``make(**values)`` of them, under ``name``."""

    def add(command: Command) -> Command:
        @functools.wraps(command)
        def collected(**values: Any) -> Any:
            own = {key: values.pop(key) for key in keys}
            return command(**values, **{name: make(**own)})

        made: Command = collected
        before = len(getattr(command, "__click_params__", []))
        for option in reversed(options):
            made = option(made)
        keys = [each.name for each in made.__click_params__[before:]]  # type: ignore[attr-defined]
        return made

    return add


def _one_dataset(csv_or_name: str | None, dataset: str | None) -> str:
    if (dataset is None) == (csv_or_name is None):
        asks = f"shamisa {click.get_current_context().info_name}"
        raise UsageError(f"name one dataset: {asks} mine.csv, or --dataset clive")
    return dataset or csv_or_name or ""


dataset_options = option_group(
    "dataset",
    _one_dataset,
    click.argument("csv_or_name", required=False, shell_complete=complete_dataset),
    click.option(
        "--dataset",
        shell_complete=complete_dataset,
        help="Name (see: shamisa datasets), or a CSV with image,mos.",
    ),
)
model_option = click.option(
    "--model",
    default="default",
    show_default=True,
    shell_complete=complete_model,
    help="Name or folder of a model.",
)
head_option = click.option(
    "--head",
    shell_complete=complete_head,
    help="Which head of the model.  [default: the model's own]",
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    shell_complete=complete_device,
    help="auto, cpu, cuda or mps.",
)
root_option = click.option(
    "--root", type=FOLDER, help="Folder of your datasets.  [default: $SHAMISA_DATA]"
)
seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, help="Of all that is drawn at random."
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace files, if shamisa made them."
)
crops_option = click.option(
    "--crops",
    type=click.Choice(["five", "whole"]),
    help="Five crops, or the photo as one.  [default: the model's own]",
)
recursive_option = click.option(
    "--recursive/--no-recursive", default=True, help="Look into sub-folders, or not."
)
follow_links_option = click.option(
    "--follow-links", is_flag=True, help="Follow links to folders elsewhere."
)
per_photo_option = functools.partial(
    click.option,
    type=click.IntRange(1, 24),
    default=24,
    help="Distortions of each photo, dealt out in turn.",
)
sample_option = functools.partial(
    click.option,
    type=click.IntRange(5),
    default=100,
    help="So many of the photos, drawn at random.",
)

feature_options = option_group(
    "features",  # keywords of FrozenEncoder
    dict,
    click.option("--features-cache", "cache", type=FOLDER, help="Keep features for the next run."),
    device_option,
    click.option(
        "--precision",
        default="auto",
        shell_complete=complete_precision,
        help="auto, fp32 or bf16.",
    ),
    click.option("--workers", type=click.IntRange(0), default=2, help="Threads that read photos."),
    click.option("--quiet", is_flag=True, help="No progress bar."),
)
split_options = option_group(
    "splits",  # keywords of choose_splits
    dict,
    click.option(
        "--splits", "n_splits", type=click.IntRange(1), default=10, help="Number of splits."
    ),
    click.option(
        "--split",
        "kind",
        type=click.Choice(["auto", "random", "official"]),
        default="auto",
        help="auto: official where the field uses it (FLIVE, or a CSV with a column split).",
    ),
    seed_option,
)
table_options = option_group(
    "files",  # keywords of write_files
    dict,
    click.option("--csv", type=FILE, help="Write the table as CSV."),
    click.option("--json", type=FILE, help="Write everything measured as JSON."),
    click.option("--markdown", type=FILE, help="Write the table as Markdown."),
)


def names_given(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Names given in several options, or in one with commas between."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def draw_ladder_photos(
    folder: Path | None,
    flag: str,
    count: int,
    seed: int,
    without: Callable[[Path], bool] = lambda path: False,
) -> list[Path]:
    """``count`` photos of ``folder`` to make ladders of; none without one, too few are refused.

    None of ``without`` is drawn.
    """
    from shamisa_cli.ladders.ladder import draw_photos

    if folder is None:
        return []
    passed_by = PassedBy()
    drawn = draw_photos(folder, count, seed, pass_by=passed_by, without=without)
    passed_by.tell(f"give {flag} the folder itself")
    return drawn


@contextmanager
def flags_for(*parameters: str, path: Path | None = None) -> Iterator[None]:
    """Write flags where a UsageError names ``parameters``: --short-side for short_side.

    A ``path`` in the message stays as it is.
    """
    try:
        yield
    except UsageError as error:
        names = rf"\b({'|'.join(parameters)})\b"
        parts = str(error).split(str(path)) if path else [str(error)]
        flagged = [re.sub(names, lambda name: f"--{name[0].replace('_', '-')}", s) for s in parts]
        message = str(path).join(flagged)
        raise type(error)(message) from error


def open_model(
    model: str, features: dict[str, Any], crops: Crops | None = None
) -> tuple[Path, ModelConfig, FrozenEncoder]:
    """The folder, config and encoder of ``model``, with its own crops or others."""
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder
    from shamisa_cli.models.names import locate_model
    from shamisa_cli.models.store import load_encoder

    folder = locate_model(model)
    encoder, config = load_encoder(folder)
    protocol = dataclasses.replace(config.protocol, crops=crops or config.protocol.crops)
    return folder, config, FrozenEncoder(config.name, encoder, protocol, **features)


def write_files(files: dict[str, Path | None], **texts: str) -> None:
    """Write each of ``texts`` to the file of its name, if there is one."""
    for name, path in files.items():
        if path:
            write_text(path, texts[name])


def check_files(*paths: Path | None, plot: Path | None = None, overwrite: bool = False) -> None:
    """Refuse files that cannot be written or must not be replaced, and a plot of no known kind."""
    asked = [path for path in (*paths, plot) if path]
    for path in asked:
        if str(path) == "-":
            raise UsageError("-: only rows of shamisa score go to standard output; name a file")
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent} to write it in")
        if sum(path.resolve() == other.resolve() for other in asked) > 1:
            raise UsageError(f"{path}: two files of one name; give each a name of its own")
        check_replaceable(path, overwrite)
    if plot is None:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib: pip install 'shamisa[plots]'")
    from matplotlib.backend_bases import FigureCanvasBase

    if plot.suffix[1:].casefold() not in FigureCanvasBase.get_supported_filetypes():
        raise UsageError(f"{plot}: its ending names no picture format; use .png, .svg or .pdf")


def check_replaceable(path: Path, overwrite: bool) -> None:
    """Refuse to replace a file that is not ours, and without ``overwrite`` one that is.

    Where there is no file, or an empty one, or a device, nothing can be lost.
    """
    try:
        if not path.is_file() or not path.stat().st_size:
            return
        ours = is_ours(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {system_reason(error)}") from error
    if not ours:
        raise UsageError(
            f"{path}: is there, and nothing in it says that shamisa made it; choose another name, "
            "or move it away"
        )
    if not overwrite:
        raise UsageError(
            f"{path}: is there already; replace it with --overwrite, or choose another name"
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


allow_seen_option = click.option(
    "--allow-seen", is_flag=True, help="No warning of images that the model was fine-tuned on."
)


def mention_seen(config: ModelConfig, dataset: Dataset) -> None:
    """Warn where a model was fine-tuned on images of the dataset: its figures there flatter it."""
    from shamisa_cli.evaluation.seen import count_seen

    seen = count_seen(config, dataset)
    if seen:
        click.echo(
            f"{config.name} was fine-tuned on {seen} of the {len(dataset.images)} images of "
            f"{dataset.info.name}: its figures there flatter it (--allow-seen: no warning)",
            err=True,
        )


def mention_all(config: ModelConfig, datasets: Sequence[Dataset], *, allow_seen: bool) -> None:
    """:func:`mention_part` of each dataset, and :func:`mention_seen` unless that is allowed."""
    for dataset in datasets:
        mention_part(dataset)
        if not allow_seen:
            mention_seen(config, dataset)


class PassedBy:
    """The files of folders that are no photos, and links that were not followed, to tell of."""

    def __init__(self) -> None:
        self.paths: set[Path] = set()

    def __call__(self, path: Path) -> None:
        if path.suffix.lower() != ".xmp":  # a sidecar is a part of its photo
            self.paths.add(path)

    def tell(self, follow: str = "see --follow-links") -> None:
        """Say on stderr how many there are, and of which kinds, and how to ``follow`` links."""
        from shamisa_cli.imaging.raw import RAW_EXTENSIONS, RAW_HINT

        links = sorted(path for path in self.paths if path.is_dir())
        files = self.paths.difference(links)
        endings = sorted({path.suffix.lower() or "without ending" for path in files})
        if files:
            hint = f" ({RAW_HINT})" if RAW_EXTENSIONS.intersection(endings) else ""
            click.echo(f"{_count(files, 'file')} skipped: {', '.join(endings)}{hint}", err=True)
        if links:
            first = click.format_filename(links[0])
            what = _count(links, "link")
            click.echo(f"{what} out of the folder skipped: {first}; {follow}", err=True)


def _count(things: Collection[object], kind: str) -> str:
    return f"{len(things)} {kind}{'' if len(things) == 1 else 's'}"


def mention_part(dataset: Dataset) -> None:
    """Say so where only a part of a dataset is there: its figures are not the published ones."""
    have, all_of_it = len(dataset.images), dataset.info.n_images
    if have != all_of_it:
        click.echo(f"{dataset.info.name}: {have} of its {all_of_it} images are listed", err=True)
