"""What the shell may complete: names of models, heads, datasets, backbones, presets, sources.

Completion answers at once. So nothing here imports torch or timm, and lists that live beside heavy
code are here as well; a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import click
from click.shell_completion import CompletionItem

from shamisa_cli.errors import ShamisaError

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

DATASETS = ("live", "csiq", "tid2013", "kadid10k", "koniq", "clive", "flive", "spaq")
PRESETS = ("shamisa", "arniqa", "reiqa", "contrique", "vicreg", "scratch")
ALPHAS = ("fixed", "random", "ones", "learned", "balanced")
DISTORTIONS = (
    *("gaussian_blur", "lens_blur", "motion_blur", "color_diffusion", "color_shift"),
    *("color_saturation_1", "color_saturation_2", "jpeg2000", "jpeg", "white_noise"),
    *("white_noise_cc", "impulse_noise", "multiplicative_noise", "brighten", "darken"),
    *("mean_shift", "jitter", "non_eccentricity_patch", "pixelate", "quantization"),
    *("color_block", "high_sharpen", "linear_contrast_change", "nonlinear_contrast_change"),
)
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")
STUDIES = ("published", "quick")


def one_of(
    values: Sequence[str] | Callable[[click.Context], Iterable[str]],
    or_path: Literal["file", "dir"] | None = None,
    *,
    commas: bool = False,
) -> Complete:
    """A ``shell_complete`` for ``values``, for paths where none begins so, or a list by commas."""

    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        names = values(ctx) if callable(values) else values
        before, comma, last = incomplete.rpartition(",") if commas else ("", "", incomplete)
        found = [
            CompletionItem(f"{before}{comma}{name}") for name in names if name.startswith(last)
        ]
        paths = [CompletionItem(incomplete, type=or_path)] if or_path else []
        return paths + found  # bash forgets what comes before a path

    return complete


def _models(ctx: click.Context) -> list[str]:
    from shamisa_cli.hub.names import cached_names
    from shamisa_cli.models.names import CONFIG_FILE, bundled_models

    trained = sorted(str(path.parent) for path in Path("runs").glob(f"*/*/{CONFIG_FILE}"))
    return ["default", *bundled_models(), *trained, *cached_names()]


def _heads(ctx: click.Context) -> list[str]:
    """Those of the model that the line names so far."""
    from shamisa_cli.models.names import is_bundled, locate_model, user_folder

    try:
        folder = locate_model(str(ctx.params.get("model") or "default"))
    except ShamisaError:
        return []
    places = [folder / "heads"]
    if is_bundled(folder):
        places.append(user_folder() / "heads" / folder.name)
    return sorted({path.stem for place in places for path in place.glob("*.json")})


def _backbones(ctx: click.Context) -> list[str]:
    """timm's names, read from its source: to import it takes seconds."""
    from importlib.util import find_spec

    timm = find_spec("timm")
    names: set[str] = set()
    for folder in (timm and timm.submodule_search_locations) or ():
        for path in Path(folder, "models").glob("*.py"):
            text = path.read_text(encoding="utf-8")
            names.update(re.findall(r"^@register_model\s*\ndef (\w+)\(", text, re.MULTILINE))
    return sorted(names)


def _ablations(ctx: click.Context) -> list[str]:
    from shamisa_cli.pretraining.ablations import ABLATIONS

    return list(ABLATIONS)


def _plugins(group: str) -> list[str]:
    from importlib.metadata import entry_points

    return sorted({point.name for point in entry_points(group=group)})


complete_model = one_of(_models, "dir")
complete_init = one_of(lambda ctx: ["auto", "imagenet", "random", *_models(ctx)], "dir")
complete_head = one_of(_heads)
complete_backbone = one_of(_backbones)
complete_source = one_of(lambda ctx: _plugins("shamisa.graph_sources"))
complete_objective = one_of(lambda ctx: _plugins("shamisa.objectives"))
complete_dataset = one_of(DATASETS, "file")
complete_datasets = one_of(DATASETS, "file", commas=True)
complete_preset = one_of(PRESETS)
complete_ablation = one_of(_ablations)
complete_distortion = one_of(DISTORTIONS)
complete_device = one_of(DEVICES)
complete_precision = one_of(PRECISIONS)
complete_study = one_of(STUDIES, "file")
