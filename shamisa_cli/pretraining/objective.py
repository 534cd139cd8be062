"""What an objective sees and what it must give: the contract for our own and for plugins.

An objective is a class registered under the entry-point group ``shamisa.objectives``. The keyword
parameters of its constructor, with defaults, are its options (docs/objectives.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.graphs.combine import GraphCombination
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.graphs.source import GraphInputs
from shamisa_cli.plugins import Entry, Kind, available, create
from shamisa_cli.training.task import Loss

Repulsion = Literal["refused", "optional", "needed"]


@dataclass(frozen=True, eq=False)
class ObjectiveInputs:
    """What is known of the N crops (nodes) of a mini-batch. All tensors are on one device.

    Attributes
    ----------
    z : (N, D) float, embeddings, with gradients.
    nodes : the columns that graph sources see, detached.
    attraction : the combined graph A; its weights carry gradients where α learns.
    repulsion : the combined graph of the pairs that sources hold apart; without gradients.
    auxiliary : the graph sources' own losses by name, scalars.
    regularized : A with all gradients of its weights; other than ``attraction`` only where
        ``detach = false``.
    """

    z: Tensor
    nodes: GraphInputs
    attraction: Graph
    repulsion: Graph
    auxiliary: Mapping[str, Tensor]
    regularized: Graph


class Objective(nn.Module):
    """Base class: override :meth:`forward`.

    Attributes
    ----------
    terms : the names of the terms that the loss is made of, as the log has them.
    repulsion : what becomes of graph sources that repel: they are refused, or may be there, or
        there must be one.
    regularizes : whether it uses ``regularized``; if not, ``detach = false`` is refused.
    """

    terms: ClassVar[tuple[str, ...]] = ()
    repulsion: ClassVar[Repulsion] = "refused"
    regularizes: ClassVar[bool] = False

    def forward(self, inputs: ObjectiveInputs) -> Loss:
        """What a step minimizes; compute it in float32 at least, under mixed precision too."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")


def _check(name: str, objective: type[Objective]) -> None:
    """Terms that can stand in a log, and a known word about repulsion."""
    terms = objective.terms
    if not isinstance(terms, tuple) or not all(isinstance(term, str) for term in terms):
        raise TypeError(f"its terms must be a tuple of names, not {terms!r}")
    if "total" in terms:
        raise ValueError("a term cannot be called 'total', the sum of all")
    if objective.repulsion not in get_args(Repulsion):
        raise ValueError(
            f"its repulsion must be {', '.join(get_args(Repulsion))}, not {objective.repulsion!r}"
        )


OBJECTIVES = Kind(
    "objective", "shamisa.objectives", Objective, _check, "`shamisa objectives` lists them."
)


def available_objectives() -> dict[str, Entry[Objective]]:
    """Every registered objective by name, see :func:`shamisa_cli.plugins.available`."""
    return available(OBJECTIVES)


def create_objective(settings: Mapping[str, Any]) -> Objective:
    """Make the objective ``settings["name"]`` with the other settings as its options."""
    options = {key: value for key, value in settings.items() if key != "name"}
    return create(OBJECTIVES, settings["name"], options)


def check_graphs(name: str, objective: Objective, graphs: GraphCombination, detach: bool) -> None:
    """Refuse graphs that objective ``name`` has no use for, before anything is trained."""
    repelling = graphs.repelling
    rest = graphs.negatives == "rest"
    if objective.repulsion == "refused" and rest:
        raise UsageError(
            f'objective {name!r} does not hold crops apart: graphs.negatives = "rest" is for those '
            "that do"
        )
    if objective.repulsion == "refused" and repelling:
        others = (e.name for e in available_objectives().values() if _takes_repulsion(e))
        raise UsageError(
            f"objective {name!r} does not hold crops apart, and graph source {repelling[0]!r} "
            f"repels: turn off its negatives, or choose an objective that does "
            f"({', '.join(others)})"
        )
    if objective.repulsion == "needed" and not (repelling or rest):
        raise UsageError(
            f"objective {name!r} needs a graph source that repels, and none of "
            f"{', '.join(graphs.names)} does: set negatives = true for one that has this option, "
            'such as arniqa, contrique or vicreg, or set graphs.negatives = "rest"'
        )
    if not detach and not objective.regularizes:
        raise UsageError(
            f"detach = false lets gradients into the regularizer, and objective {name!r} has none"
        )


def _takes_repulsion(entry: Entry[Objective]) -> bool:
    return entry.plugin is not None and entry.plugin.repulsion != "refused"


def loss_of(name: str, objective: Objective, inputs: ObjectiveInputs) -> Loss:
    """The loss of ``objective``, registered as ``name``.

    Raises
    ------
    FloatingPointError
        if it is not finite.
    ShamisaError
        if the objective, which may be a plugin's, fails or returns something else than a loss.
    """
    try:
        loss = objective(inputs)
    except (ShamisaError, FloatingPointError):
        raise
    except Exception as error:
        raise ShamisaError(
            f"objective {name!r} failed: {type(error).__name__}: {error}. Fix it, or choose another"
        ) from error
    if not isinstance(loss, Loss):
        raise UsageError(f"objective {name!r} returned a {type(loss).__name__}, not a Loss")
    if tuple(loss.terms) != objective.terms:
        raise UsageError(
            f"objective {name!r} returned the terms {', '.join(loss.terms)}, and says that it has "
            f"{', '.join(objective.terms)}"
        )
    for term, value in {"total": loss.total, **loss.terms}.items():
        if not isinstance(value, Tensor) or value.dim():
            raise UsageError(f"objective {name!r}: its {term} is not a scalar tensor")
    if not bool(torch.stack([loss.total, *loss.terms.values()]).isfinite().all()):
        raise FloatingPointError("the loss is not finite")
    return loss
