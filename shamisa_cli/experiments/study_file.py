"""What a study is: the file that says which variants, seeds, budget and probe."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.errors import UsageError, near_matches, unknown_name
from shamisa_cli.evaluation.splits import SplitKind
from shamisa_cli.pretraining.ablations import parse_ablation, settings_text
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.settings import from_mapping, read_toml
from shamisa_cli.training.config import check_range

SHIPPED = Path(__file__).parent / "studies"
"""The study files that come with the program."""

CONTROLS = ("start", "random")
ENDS = ("steps", "epochs", "budget")
OF_STUDY = ("seed", *ENDS)
"""Keys of a run's config that the study itself sets, the same for every variant."""


@dataclass(frozen=True)
class ProbeSettings:
    """How every run is measured: features of the frozen encoder, ridge, splits (docs/method.md §6).

    Attributes
    ----------
    dataset : a name, or a CSV with image,mos.
    splits, split, seed : number, kind and seed of the splits, the same for all runs.
    sample : so many of its images, drawn with ``seed``; None takes all.
    crops, short_side, scales : how a photo is looked at, see
        :class:`~shamisa_cli.encoders.config.ViewingProtocol`.
    """

    dataset: str = "clive"
    splits: int = 10
    split: SplitKind = "auto"
    seed: int = 0
    sample: int | None = None
    crops: Literal["five", "whole"] = "five"
    short_side: int = 512
    scales: tuple[float, ...] = (1.0, 0.5)

    def __post_init__(self) -> None:
        check_range(self, 1, "splits")
        check_range(self, 0, "seed")
        check_range(self, 20, "sample")
        _ = self.protocol  # checks the rest

    @property
    def protocol(self) -> ViewingProtocol:
        """As the encoders take it."""
        return ViewingProtocol(self.short_side, crops=self.crops, scales=self.scales)


@dataclass(frozen=True)
class Variant:
    """One row of the table: the study's config with a difference.

    Attributes
    ----------
    name : in the table; by default that of the ablation.
    ablation : one of ``shamisa ablations``, or several with commas: ``A1`` or ``C1:k=7,G1``.
    config : keys of a run's config, over everything else.
    shift_seeds : is added to every seed. With no other difference the row is a placebo: it shows
        what chance alone does.
    """

    name: str = ""
    ablation: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    shift_seeds: int = 0

    def __post_init__(self) -> None:
        if not (self.name or self.ablation):
            raise ValueError("give it a name, or an ablation")
        check_range(self, 0, "shift_seeds")
        _check_own(self.config, "config")

    @property
    def title(self) -> str:
        """Its name in the table."""
        return self.name or self.ablation

    @property
    def ablations(self) -> tuple[str, ...]:
        """The ablations, one by one."""
        return tuple(part.strip() for part in self.ablation.split(",") if part.strip())

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return re.sub(r"[^A-Za-z0-9._=-]+", "-", self.title).strip("-.") or "variant"

    def change(self) -> str:
        """What it changes, for people; "" for nothing."""
        parts = []
        for text in self.ablations:
            found = parse_ablation(text)
            parts.append(found.what)
            if found.parameter:
                parts.append(f"{found.parameter[-1]} = {found.value()}")
        parts += settings_text(self.config)
        if self.shift_seeds:
            parts.append(f"seeds + {self.shift_seeds}")
        return "; ".join(parts)


@dataclass(frozen=True)
class StudySettings:
    """A grid of variants × seeds, under one budget each.

    Attributes
    ----------
    variants : the rows.
    about : what the study is for; a line above the table.
    preset, config : what all variants share: a preset, and keys of a run's config over it.
    seeds : of the runs of every variant.
    steps, epochs, budget : where every run ends; one of them. Steps can be run again anywhere. A
        ``budget`` is wall-clock (``25m``): what else the machine does decides what is reached.
    save_every : steps between two checkpoints.
    baseline : the variant that others are compared with; the first one by default.
    controls : the frozen weights that the runs start from, and random weights, one set a seed.
    photos : folder of good photos.
    """

    variants: list[Variant]
    about: str = ""
    preset: str = "shamisa"
    config: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int | None = None
    epochs: float | None = None
    budget: str | None = None
    save_every: int = 250
    baseline: str = ""
    controls: tuple[str, ...] = CONTROLS
    photos: str | None = None
    probe: ProbeSettings = field(default_factory=ProbeSettings)

    def __post_init__(self) -> None:
        check_range(self, 1, "save_every")
        if sum(getattr(self, end) is not None for end in ENDS) != 1:
            raise ValueError(f"give one of {', '.join(ENDS)}: where every run ends")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must be different numbers from 0 on, got {list(self.seeds)}")
        for name in self.controls:
            if name not in CONTROLS:
                raise unknown_name("control", name, CONTROLS)
        _check_own(self.config, "config")
        titles = [each.title for each in self.variants]
        for names in (titles, [each.folder.casefold() for each in self.variants]):
            for at, name in enumerate(names):
                if name in names[:at]:
                    first = titles[names.index(name)]
                    raise ValueError(f"variants {first!r} and {titles[at]!r} have one name")
        if not titles:
            raise ValueError("variants: there are none")
        if self.baseline and self.baseline not in titles:
            raise unknown_name("baseline", self.baseline, titles)

    @property
    def compared_with(self) -> str:
        """The title of the baseline."""
        return self.baseline or self.variants[0].title

    def run_config(self, variant: Variant, seed: int) -> PretrainConfig:
        """The resolved config of one run; ``init`` is never ``auto``.

        A study must not depend on what is on a machine: ``auto`` is ``imagenet``.
        """
        end = {name: getattr(self, name) for name in ENDS if getattr(self, name) is not None}
        options = {**variant.config, **end, "seed": seed + variant.shift_seeds}
        try:
            config = resolve(
                self.preset, None, options, ablations=variant.ablations, base=self.config
            )
        except UsageError as error:
            raise type(error)(f"variant {variant.title!r}: {error}") from error
        return replace(config, init="imagenet") if config.init == "auto" else config


def shipped_studies() -> dict[str, Path]:
    """The study files that come with the program, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find_study(name: str) -> Path:
    """The study file that ``name`` names: one that comes with the program, or a path.

    Raises
    ------
    UsageError
        if there is none, with near matches.
    """
    shipped, path = shipped_studies(), Path(name).expanduser()
    if name in shipped:
        return shipped[name]
    if path.is_file():
        return path
    hint = (
        f"Or a file of your own that ends in .toml; those that come with it: {', '.join(shipped)}."
    )
    beside = [str(each) for each in path.parent.glob("*.toml")] if path.parent.is_dir() else []
    near = near_matches(name, [*shipped, *beside])
    raise unknown_name("study", name, near or shipped, "" if near else hint)


def read_study(path: Path, over: Mapping[str, Any] | None = None) -> StudySettings:
    """The study in a TOML file, with ``over`` (keys of the file) in place of what it says.

    All names and keys are checked now: those of ablations and of every run's config, too.

    Raises
    ------
    UsageError
        that says what is wrong, with near matches.
    """
    values = _merged(read_toml(path), over or {})
    rows = values.get("variants", [])
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise UsageError(f"{path}: variants: expected tables, each under [[variants]]")
    values["variants"] = [
        from_mapping(Variant, row, f"{path}: variant {at}") for at, row in enumerate(rows, 1)
    ]
    study = from_mapping(StudySettings, values, str(path))
    for variant in study.variants:
        try:
            study.run_config(variant, study.seeds[0])
        except UsageError as error:
            raise type(error)(f"{path}: {error}") from error
    return study


def _merged(values: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with ``over``: tables key by key, and another end in place of the file's."""
    made = dict(values)
    if any(name in over for name in ENDS):
        made = {key: value for key, value in made.items() if key not in ENDS}
    for key, value in over.items():
        table = made.get(key)
        both = isinstance(value, Mapping) and isinstance(table, Mapping)
        made[key] = {**table, **value} if both else value  # type: ignore[dict-item]
    return made


def _check_own(config: Mapping[str, Any], where: str) -> None:
    """Refuse what the study sets for all of its runs."""
    for key in OF_STUDY:
        if key in config:
            own = "seeds" if key == "seed" else key
            raise ValueError(
                f"{where}.{key}: is the same for all variants; set {own} at the top of the file"
            )
