"""``shamisa pretrain``: train an encoder on photos, without human scores."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands import completion
from shamisa_cli.commands.shared import PassedBy, follow_links_option

if TYPE_CHECKING:
    from shamisa_cli.imaging.pool import PhotoPool
    from shamisa_cli.pretraining.probe import Probed

PHOTO_FOLDERS = ("photos", "KADIS700/ref_imgs")
"""Where photos are under the data root."""


@click.command()
@click.option("--photos", type=click.Path(path_type=Path), help="Folder of good photos.")
@click.option(
    "--backbone",
    shell_complete=completion.complete_backbone,
    help="Any timm backbone; see: shamisa backbones.  [default: resnet50]",
)
@click.option(
    "--init",
    shell_complete=completion.complete_init,
    help="auto, imagenet, random, or a model to go on from.  [default: auto]",
)
@click.option(
    "--preset",
    shell_complete=completion.complete_preset,
    help="shamisa (as published), scratch, arniqa, reiqa, contrique or vicreg.  "
    "[default: shamisa; scratch from random weights]",
)
@click.option(
    "--ablation",
    "ablations",
    multiple=True,
    shell_complete=completion.complete_ablation,
    help="A named difference from the preset, A1 or C1:k=7; see: shamisa ablations.",
)
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="TOML file."
)
@click.option(
    "--objective",
    shell_complete=completion.complete_objective,
    help="What is minimized: graph_vicreg, or infonce:temperature=0.1; see: shamisa objectives.  "
    "[default: graph_vicreg]",
)
@click.option(
    "--graph",
    "graphs",
    multiple=True,
    shell_complete=completion.complete_source,
    help="Add or change a source: knn:k=31,coeff=0.2",
)
@click.option(
    "--no-graph",
    "no_graphs",
    multiple=True,
    shell_complete=completion.complete_source,
    help="Leave a graph source out.",
)
@click.option(
    "--alpha",
    shell_complete=completion.one_of(completion.ALPHAS),
    help="Shares of the graph sources: fixed, random, ones, learned or balanced.  [default: fixed]",
)
@click.option("--steps", type=int, help="Stop after so many steps.")
@click.option("--epochs", type=float, help="Stop after so many passes over the photos.")
@click.option("--budget", help="Stop after so much wall-clock time: 25m, 1h30m.")
@click.option("--crop", help="Crop side, or a progression: 112:0.6,224.")
@click.option(
    "--optimizer",
    shell_complete=completion.one_of(["sgd", "adamw", "lars"]),
    help="sgd, adamw or lars.",
)
@click.option("--lr", type=float, help="Peak learning rate.")
@click.option("--accumulate", type=int, help="Mini-batches per step.")
@click.option(
    "--precision", shell_complete=completion.complete_precision, help="auto, fp32 or bf16."
)
@click.option("--device", shell_complete=completion.complete_device, help="auto, cpu, cuda or mps.")
@click.option("--workers", type=int, help="Processes that make mini-batches ahead.")
@click.option("--compile/--no-compile", default=None, help="torch.compile the backbone.")
@click.option("--seed", type=int, help="Seed of everything random.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs/pretrain"), show_default=True
)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
@click.option("--overwrite", is_flag=True, help="Replace the run in --out.")
@click.option("--save-every", type=click.IntRange(1), default=250, show_default=True)
@click.option(
    "--probe",
    "probe_dataset",
    shell_complete=completion.complete_dataset,
    help="Measure on this dataset while training.",
)
@click.option("--probe-every", type=click.IntRange(1), default=1000, show_default=True)
@click.option(
    "--dynamics-every",
    type=int,
    help="Steps between two measurements of rank, alignment and the like.  [default: 50]",
)
@click.option("--root", type=click.Path(path_type=Path), help="Folder of your datasets.")
@follow_links_option
@click.option("--quiet", is_flag=True, help="No progress bar.")
def pretrain(
    photos: Path | None,
    preset: str | None,
    ablations: tuple[str, ...],
    config_file: Path | None,
    out: Path,
    resume: bool,
    overwrite: bool,
    save_every: int,
    probe_dataset: str | None,
    probe_every: int,
    root: Path | None,
    follow_links: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Train an encoder on photos that the distortion engine degrades; no human scores.

    Photos come from --photos, else from photos/ or KADIS700/ref_imgs under SHAMISA_DATA.
    The result is a model folder, OUT/model, for `shamisa probe` and `shamisa score --model`.
    Ctrl-C and SIGTERM save what is trained; the exit code is then 130 or 143.
    """
    from shamisa_cli.pretraining.probe import Probe
    from shamisa_cli.pretraining.run import pretrain_to
    from shamisa_cli.pretraining.start import plan_start

    options = _as_mapping(**given)
    pool = _open_pool(photo_folder(photos), follow_links, quiet)
    with _Progress(quiet) as progress:
        start = plan_start(
            options,
            out,
            progress.say,
            preset=preset,
            config_file=config_file,
            ablations=ablations,
            resume=resume,
            overwrite=overwrite,
        )
        progress.terms = start.model.objective.terms[:3]
        probe = Probe(probe_every, _prober(probe_dataset, root)) if probe_dataset else None
        folder, finished = pretrain_to(
            out, start, pool, progress.say, progress.step, save_every=save_every, probe=probe
        )
    if folder is not None:
        click.echo(str(folder))
    if finished.reason == "stopped":
        sys.exit(128 + finished.signal)


def _open_pool(folder: Path, follow_links: bool, quiet: bool) -> PhotoPool:
    """The photos below ``folder``; links that are passed by are told."""
    from shamisa_cli.imaging.pool import PhotoPool

    passed_by = PassedBy()
    pool = PhotoPool(folder, follow_links=follow_links, pass_by=passed_by)
    if not quiet:
        passed_by.tell()
    return pool


def _prober(name: str, root: Path | None) -> Callable[[Path], Probed]:
    """What measures a model folder on a dataset."""
    from shamisa_cli.datasets.registry import open_dataset
    from shamisa_cli.evaluation.datasets import evaluate_dataset
    from shamisa_cli.evaluation.frozen_encoder import FrozenEncoder
    from shamisa_cli.evaluation.splits import choose_splits
    from shamisa_cli.models.store import load_encoder
    from shamisa_cli.pretraining.probe import Probed
    from shamisa_cli.progress import say_skipped

    dataset = open_dataset(name, root)
    splits = choose_splits(dataset, 10, 0, "auto")

    def measure(folder: Path) -> Probed:
        encoder, facts = load_encoder(folder)
        found = FrozenEncoder(facts.name, encoder, facts.protocol).dataset(dataset, say_skipped)
        measures = evaluate_dataset(facts.name, found, splits).row().measures
        figures = {f"{dataset.info.name} {k.upper()}": measures[k].median for k in ("srcc", "plcc")}
        shown = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        return Probed(f"{shown} (median of {len(splits)} splits)", figures)

    return measure


def _as_mapping(
    graphs: tuple[str, ...],
    no_graphs: tuple[str, ...],
    alpha: str | None,
    objective: str | None,
    optimizer: str | None,
    lr: float | None,
    **plain: Any,
) -> dict[str, Any]:
    """The options that were given, by the names that a config file has for them."""
    from shamisa_cli.commands.plugins import parse_plugin_option
    from shamisa_cli.errors import UsageError

    def given(**values: Any) -> dict[str, Any]:
        return {key: value for key, value in values.items() if value is not None}

    sources: dict[str, dict[str, Any]] = {}
    for name, values in (parse_plugin_option("--graph", text) for text in graphs):
        if name in sources:
            raise UsageError(f"--graph {name} is given twice; put all its options into one")
        sources[name] = values
    chosen: dict[str, Any] = {}
    if objective is not None:
        name, values = parse_plugin_option("--objective", objective)
        if "name" in values:
            raise UsageError(f"--objective {objective}: the name stands first, {name}")
        chosen = {"objective": {"name": name, **values}}
    return {
        **given(**plain),
        **chosen,
        "graphs": given(sources=sources, remove=list(no_graphs), alpha=alpha),
        "optimizer": given(name=optimizer, lr=lr),
    }


def photo_folder(photos: Path | None) -> Path:
    """The folder to train on: as given, else under the data root, else one line says what to do."""
    from shamisa_cli.errors import UsageError

    if photos is not None:
        return photos
    root = os.environ.get("SHAMISA_DATA")
    for name in PHOTO_FOLDERS if root else ():
        folder = Path(root or "") / name
        if folder.is_dir():
            return folder
    now = f" (it is {root}, which holds neither)" if root else ""
    raise UsageError(
        "no photos to train on: give --photos DIR, or set SHAMISA_DATA to a folder that holds "
        f"{' or '.join(PHOTO_FOLDERS)}{now}"
    )


class _Progress:
    """Messages and a bar on stderr. State: the bar, made at the first step, and its terms."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.terms: tuple[str, ...] = ()
        self.bar: Any = None

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def say(self, message: str) -> None:
        """One line, above the bar."""
        from shamisa_cli.progress import say_above_bar
        from shamisa_cli.training.parallel import is_first_process

        if is_first_process():
            say_above_bar(message)

    def step(self, record: dict[str, Any]) -> None:
        """Move the bar; it starts after the first step, which is slower than the others."""
        from shamisa_cli.progress import facts_that_fit, progress_bar

        if self.bar is None:
            done = record["progress"]
            self.bar = progress_bar(1.0, unit="", initial=done, quiet=self.quiet)
        of_all = f"/{record['total_steps']}" if record["total_steps"] else ""
        facts = (
            f"step {record['step']}{of_all}",
            f"loss {record['total']:.3f}",
            f"{record['crops_per_s']:.0f} crops/s",
            *(f"{term[:3]} {record[term]:.4f}" for term in self.terms),
        )
        self.bar.set_postfix_str(facts_that_fit(facts), refresh=False)
        self.bar.update(record["progress"] - self.bar.n)
