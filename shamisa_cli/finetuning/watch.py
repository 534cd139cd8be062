"""Looks at the validation part during a fine-tuning, and the state that is best there."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.files import replacing
from shamisa_cli.training.checkpoint import writing

BEST, CHECKS = "best.safetensors", "checks.json"


@dataclass(frozen=True)
class Check:
    """A look at the validation part.

    Attributes
    ----------
    step : after how many.
    srcc : :func:`~shamisa_cli.finetuning.run.agreement` there.
    in_order : share of adjacent levels of ladders, where these take part.
    """

    step: int
    srcc: float
    in_order: float | None = None

    @property
    def worth(self) -> float:
        """What states are compared by."""
        return self.srcc + (self.in_order or 0.0)


class Watch:
    """The best state so far, by what its check is worth; in files, so that a resumed run has it.

    State: the checks, and the best encoder and head in ``out``.
    """

    def __init__(self, out: Path, start: float, in_order: float | None = None) -> None:
        self.out = out
        self.checks = [Check(0, start, in_order)]

    @property
    def best(self) -> Check:
        """The best check; of equal ones the first."""
        return max(self.checks, key=lambda check: check.worth)

    def resume(self, step: int) -> None:
        """Take up the checks of a run that is resumed after ``step`` steps."""
        path = self.out / CHECKS
        if step and path.is_file():
            found = [Check(**each) for each in json.loads(path.read_text(encoding="utf-8"))]
            self.checks = [check for check in found if check.step <= step]

    def look(self, check: Check, encoder: Encoder, fit: tuple[Tensor, float]) -> None:
        """Note a check; keep the state if it is the best."""
        self.checks.append(check)
        with writing(self.out):
            if self.best is check:
                self.keep(encoder, fit)
            with replacing(self.out / CHECKS) as part:
                text = json.dumps([asdict(check) for check in self.checks])
                part.write_text(text, encoding="utf-8")

    def keep(self, encoder: Encoder, fit: tuple[Tensor, float]) -> None:
        """Keep this state."""
        w, b = fit
        state = {f"backbone/{key}": v for key, v in encoder.backbone.state_dict().items()}
        state |= {"w": w, "b": torch.tensor(b, dtype=torch.float64)}
        with writing(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
            with replacing(self.out / BEST) as part:
                save_file({key: v.contiguous() for key, v in state.items()}, part)

    def fits(self, encoder: Encoder) -> bool:
        """Whether the best state is of an encoder like this one, with other weights."""
        own = {f"backbone/{k}": list(v.shape) for k, v in encoder.backbone.state_dict().items()}
        with safe_open(self.out / BEST, "pt") as file:
            there = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118
        return own == {key: shape for key, shape in there.items() if key not in ("w", "b")}

    def kept(self, start: Encoder) -> tuple[Encoder, tuple[Tensor, float]]:
        """The best state: an encoder like ``start`` with its weights, and its head."""
        state = load_file(self.out / BEST)
        fit = state.pop("w"), float(state.pop("b"))
        encoder = copy.deepcopy(start)
        weights = {key.removeprefix("backbone/"): value for key, value in state.items()}
        encoder.backbone.load_state_dict(weights)
        return encoder, fit
