"""What a graph source sees and what it must give: the contract for our own sources and for plugins.

A graph source is a class registered under the entry-point group ``shamisa.graph_sources``. The
keyword parameters of its constructor, with defaults, are its options. It is a ``torch.nn.Module``:
parameters that it makes are trained by its auxiliary loss and saved with the checkpoint.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor, nn

from shamisa_cli.distortions.layout import BatchLayout, BatchMetadata
from shamisa_cli.distortions.registry import ENTRIES
from shamisa_cli.graphs.graph import Graph


class Role(IntEnum):
    """What a crop is in its mini-batch: of the distortion engine, or of labeled photos."""

    REFERENCE = 0
    """Engine: pristine."""
    DISTORTED = 1
    """Engine: a reference after a composition."""
    POSITIVE = 2
    """Labeled photo: the crop that stands for its photo."""
    NEGATIVE = 3
    """Labeled photo: any other crop."""


@dataclass(frozen=True, eq=False)
class Composition:
    """What the distortion engine did to each node.

    Attributes
    ----------
    group : (N,) int64, one id for each composition group of the mini-batch; -1 for references.
    level : (N,) int64, severity level within the group; -1 for references.
    varying_severity : (N,) float32 in [0, 1], λ_v of the function that varies; NaN for references.
    severities : (N, F) float32 in [0, 1], λ of each entry of ``distortions.registry.ENTRIES``; NaN
        where the entry is not in the composition, and for references.
    """

    group: Tensor
    level: Tensor
    varying_severity: Tensor
    severities: Tensor


@dataclass(frozen=True, eq=False)
class Places:
    """Where in a labeled photo each node is, and who sees it.

    Attributes
    ----------
    teacher : (N,) bool, whether the teacher sees it; such rows carry no gradient.
    overlap : (N,) float32 in [0, 1], intersection over union with the crop that stands for its
        photo; 1 for that crop itself.
    score : (N,) float32, the human score of its photo, as a share of the range of scores.
    """

    teacher: Tensor
    overlap: Tensor
    score: Tensor


@dataclass(frozen=True, eq=False)
class GraphInputs:
    """The N nodes (crops) of a mini-batch, a row each. All tensors are on one device.

    Two objects are equal only if they are one, so that what is made of the columns can be cached.

    Attributes
    ----------
    h : (N, d) float32, unit-length representations, detached.
    z : (N, D) float32, embeddings, detached.
    image : (N,) int64, one id for each photo: crops of one photo share it, distorted or not.
    view : (N,) int64, the scale view: 0 for full scale, 1 for half scale.
    role : (N,) int64, a :class:`Role`.
    composition : what the distortion engine did; None where it took no part.
    places : of crops of labeled photos; None elsewhere.
    """

    h: Tensor
    z: Tensor
    image: Tensor
    view: Tensor
    role: Tensor
    composition: Composition | None = None
    places: Places | None = None

    @property
    def n(self) -> int:
        """N."""
        return len(self.h)

    @property
    def has(self) -> frozenset[str]:
        """Which of ``OPTIONAL_INPUTS`` this mini-batch has."""
        return frozenset(name for name in OPTIONAL_INPUTS if getattr(self, name) is not None)

    def require_composition(self) -> Composition:
        """The composition, for sources that declare ``needs = {"composition"}``."""
        if self.composition is None:
            raise ValueError("this mini-batch has no composition")
        return self.composition

    def require_places(self) -> Places:
        """The places, for sources that declare ``needs = {"places"}``."""
        if self.places is None:
            raise ValueError("this mini-batch has no places")
        return self.places


OPTIONAL_INPUTS = frozenset({"composition", "places"})
"""The fields of GraphInputs that a mini-batch may lack: what a source may name in ``needs``."""


def engine_inputs(
    layout: BatchLayout, metadata: BatchMetadata, h: Tensor, z: Tensor
) -> GraphInputs:
    """The nodes of a mini-batch of the distortion engine, in the order of ``layout``.

    Parameters
    ----------
    layout, metadata : of the mini-batch; a composition holds an entry once at most.
    h, z : (N, d) and (N, D) float32, detached; the other columns go to the device of ``h``.
    """
    image, view, role, group, level = _layout_columns(layout, h.device)
    metadata = metadata.to(h.device)
    composed = metadata.severities
    # Slot 0 takes what pads the compositions (id -1) and is dropped.
    slots = composed.new_full((*composed.shape[:3], len(ENTRIES) + 1), torch.nan)
    ids = metadata.functions[:, :, None, :].expand_as(composed)
    slots = slots.scatter(-1, ids + 1, composed)[..., 1:]
    row = (group * layout.levels + level).clamp_min(0)
    of_node = torch.where((group >= 0)[:, None], slots.flatten(0, 2)[row], torch.nan)
    composition = Composition(group, level, metadata.node_varying_severity(layout), of_node)
    return GraphInputs(h, z, image, view, role, composition)


@lru_cache(maxsize=16)
def _layout_columns(layout: BatchLayout, device: torch.device) -> tuple[Tensor, ...]:
    """image, view, role, group and level, (N,) int64 each, of every mini-batch of this layout."""
    tiny_batch, view, reference, group, level = layout.coordinates.to(device).unbind(1)
    image = tiny_batch * layout.references + reference
    role = torch.where(group >= 0, int(Role.DISTORTED), int(Role.REFERENCE))
    group = torch.where(group >= 0, tiny_batch * layout.groups + group, -1)
    return image, view.contiguous(), role, group, level.contiguous()


class GraphSource(nn.Module):
    """Base class: override :meth:`build`, and what else there is of the methods below.

    Attributes
    ----------
    coeff : the default coefficient c ≥ 0 of this source in A = Σ α_g c_g A_g (docs/method.md §4).
        With 0 the source has no graph and no share of α, only its auxiliary loss.
    needs : those of ``OPTIONAL_INPUTS`` that the source cannot do without. A mini-batch that lacks
        one is refused, naming the source.
    """

    coeff: ClassVar[float] = 1.0
    needs: ClassVar[Set[str]] = frozenset()

    def prepare(self, feature_size: int, generator: torch.Generator) -> None:
        """Make parameters that need the size d of h; called once, before training.

        Draw initial values from ``generator`` (on the CPU), so that a seed fixes them.
        """

    def build(self, inputs: GraphInputs) -> Graph:
        """The graph of this mini-batch, made anew from the current representations at every step.

        Its edges attract. Called without gradients: a graph is a target. The default has no edge.
        """
        return Graph.empty(inputs.n, inputs.h.device)

    @property
    def repels(self) -> bool:
        """Whether there is a repulsion graph: here, whether a subclass has one of its own."""
        return type(self).build_repulsion is not GraphSource.build_repulsion

    def build_repulsion(self, inputs: GraphInputs) -> Graph:
        """The graph of the pairs that are held apart, made at every step as :meth:`build`'s.

        Asked for only where :attr:`repels`. Not every objective takes it. The default has no edge.
        """
        return Graph.empty(inputs.n, inputs.h.device)

    def auxiliary_loss(self, h: Tensor, inputs: GraphInputs) -> Tensor | None:
        """A scalar that is added to the objective, or None; ``h`` (N, d) carries gradients."""
        return None


def seeded_linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with PyTorch's usual initial values, U(±1/√inputs), from ``generator``."""
    layer = torch.nn.utils.skip_init(nn.Linear, inputs, outputs)
    bound = inputs**-0.5
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer
