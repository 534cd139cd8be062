"""A study without networks: training that is told what to give, and a probe that repeats it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shamisa_cli.experiments.study import Planned, Trained

Values = Callable[[Planned], list[float]]


@dataclass
class FakeTrain:
    """Gives in place of an encoder the SRCC of each split; ``values`` may raise. State: who ran."""

    values: Values
    ran: list[str] = field(default_factory=list)

    def __call__(self, run: Planned) -> Trained:
        self.ran.append(run.name)
        return Trained(self.values(run), 3, 126, 1.5)  # type: ignore[arg-type]

    def facts(self) -> dict[str, Any]:
        return {"photos": {"count": 6}}


@dataclass
class FakeProbe:
    """Takes what :class:`FakeTrain` gave for figures of splits."""

    images: int = 30

    def measure(self, encoder: Any) -> list[dict[str, float]]:
        names = ("plcc", "plcc_logistic", "krcc", "rmse")
        return [{"srcc": value, **dict.fromkeys(names, value / 2)} for value in encoder]

    def facts(self) -> dict[str, Any]:
        return {"images": self.images}
