"""Contrast of places of labeled photos, after LML-IQA (arXiv 2406.19247; docs/finetuning.md).

The most salient place of a photo, as the teacher sees it, attracts the same place as the student
sees it, and is held apart from other places of the photo and from all places of other photos. Which
node attracts or repels which is up to graph sources. The method's equations are not public to us:
these are our readings.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.halves import Early
from shamisa_cli.errors import UsageError
from shamisa_cli.finetuning.config import ContrastConfig
from shamisa_cli.finetuning.kept import Looked
from shamisa_cli.finetuning.places import (
    choose_places,
    cut,
    features_of_places,
    mirrored_place,
    saliency_maps,
    size_of,
)
from shamisa_cli.finetuning.saliency import overlap
from shamisa_cli.graphs.combine import GraphCombination
from shamisa_cli.graphs.contrast import cosines, infonce
from shamisa_cli.graphs.registry import create_sources
from shamisa_cli.graphs.source import GraphInputs, GraphSource, Places, Role, seeded_linear
from shamisa_cli.seeds import generator

PROJECTOR, GRAPHS = range(20, 22)
"""Names of random streams."""

GIVEN = frozenset({"places"})
"""What graph sources are told of labeled photos, of all that they may need."""

MEMORY = 10
"""A teacher forgets in a tenth of the run."""


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos of one size, as the student sees them and mirrored, as the teacher does.

    Attributes
    ----------
    seen, turned : pixels (n, 3, h, w) uint8, or what comes out of the first layers.
    images : (n,) int64, which images they are of.
    """

    seen: Tensor | Early
    turned: Tensor | Early
    images: Tensor


@dataclass(frozen=True, eq=False)
class Nodes:
    """Crops of places: those that the student sees, photo by photo, the most salient first.

    Attributes
    ----------
    h : (n, d) the student's features, with gradients.
    teacher : (p, d) the teacher's, of each photo's most salient place.
    image : (n,) int64; ``photo`` (p,) int64, of the teacher's.
    overlap : (n,) float32 with the photo's most salient place, intersection over union.
    """

    h: Tensor
    teacher: Tensor
    image: Tensor
    photo: Tensor
    overlap: Tensor


def photos_of(
    seen: Sequence[Looked], turned: Sequence[Looked], device: torch.device
) -> list[Photos]:
    """The photos ``seen``, at the model's first scale, with the same photos ``turned``."""
    return [
        Photos(ours[0].to(device), theirs[0].to(device), images)
        for (ours, images), (theirs, _) in zip(seen, turned, strict=True)
    ]


class LocalContrast(nn.Module):
    """What is contrasted. State: the teacher, both projectors, and the graph sources.

    Parameters
    ----------
    encoder : that training starts from; the teacher starts as its copy.
    features : (t, d) of the training part, by which features are made standard before projection.
    shares : (n,) human scores of the training part as shares of their range; NaN elsewhere.
    identity : (n,) int64, equal for files of one content: these are one photo.
    config : of the contrast.
    steps : of the run, where it is known.
    cell : side in px of a cell of what the encoder sees.
    seed : of the initial projector, and of graph sources.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        encoder: Encoder,
        features: Tensor,
        shares: Tensor,
        identity: Tensor,
        config: ContrastConfig,
        steps: int | None,
        cell: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.config = config
        self.shares = shares.float()
        self.identity = identity
        self.cells = max(1, round(config.side / cell))
        self.momentum = momentum_for(steps) if config.momentum is None else config.momentum
        self.teacher = copy.deepcopy(encoder).requires_grad_(False)
        size = features.shape[1]
        self.projector = seeded_projector(size, config.hidden, config.out, seed)
        self.teacher_projector = copy.deepcopy(self.projector).requires_grad_(False)
        self.graphs = make_graphs(config)
        self.graphs.prepare(size, generator(seed, GRAPHS))
        self.register_buffer("mean", features.mean(0).float(), persistent=False)
        spread = features.std(0, correction=0).float()
        self.register_buffer("deviation", torch.where(spread > 0, spread, 1.0), persistent=False)

    def train(self, mode: bool = True) -> LocalContrast:
        """As torch's; the teacher stays in evaluation."""
        super().train(mode)
        self.teacher.eval()
        return self

    def nodes(
        self, student: Encoder, photos: Sequence[Photos], draws: Callable[[int], torch.Generator]
    ) -> Nodes:
        """Choose places and look at them; ``draws`` gives the generator of an image's places."""
        config, h, teacher, image, overlaps = self.config, [], [], [], []
        for some in photos:
            size = size_of(some.seen)
            side = min(self.cells, *size)
            maps = saliency_maps(config.saliency, self.teacher, some.seen, some.turned)
            places = [
                choose_places(
                    config.saliency,
                    saliency,
                    size,
                    side,
                    config.places,
                    config.max_overlap,
                    draws(number),
                    sampled=config.pick == "sampled",
                )
                for saliency, number in zip(maps, some.images.tolist(), strict=True)
            ]
            h.append(features_of_places(student, cut(some.seen, places, side)))
            with torch.no_grad():
                first = [[mirrored_place(each[0], size, side)] for each in places]
                teacher.append(features_of_places(self.teacher, cut(some.turned, first, side)))
            image.append(some.images)
            overlaps += [[overlap(each[0], place, side) for place in each] for each in places]
        photo = torch.cat(image)
        repeated = photo.repeat_interleave(1 + config.places)
        shared = torch.tensor(overlaps).flatten()
        return Nodes(torch.cat(h).float(), torch.cat(teacher).float(), repeated, photo, shared)

    def forward(self, nodes: Nodes) -> Tensor:
        """The contrast of the nodes, a scalar in float32."""
        device = nodes.h.device
        with torch.autocast(device.type, enabled=False):
            z = torch.cat(
                [
                    self.teacher_projector(self.standard(nodes.teacher)),
                    self.projector(self.standard(nodes.h)),
                ]
            )
            inputs = self._inputs(nodes, z.detach())
            combined = self.graphs(inputs)
            teacher = inputs.require_places().teacher
            anchors = teacher if self.config.anchor == "teacher" else ~teacher
            if self.config.anchor != "every":
                anchors = anchors & (inputs.role == Role.POSITIVE)
            return contrast_of(
                z,
                combined.graph.dense(),
                combined.repulsion.dense(),
                anchors,
                teacher,
                self.config.temperature,
            )

    def standard(self, h: Tensor) -> Tensor:
        """``h`` less its mean over the training part, by its deviation there.

        Features are averages of what no unit holds below 0, so nearly parallel as they are.
        """
        return (h - self.mean) / self.deviation

    @torch.no_grad()
    def update(self, student: Encoder) -> None:
        """Move the teacher: ξ ← m·ξ + (1 − m)·θ."""
        pairs = ((self.teacher, student), (self.teacher_projector, self.projector))
        for teacher, taught in pairs:
            for old, new in zip(teacher.parameters(), taught.parameters(), strict=True):
                old.lerp_(new, 1 - self.momentum)

    def _inputs(self, nodes: Nodes, z: Tensor) -> GraphInputs:
        """The table that sources see: the teacher's rows first."""
        count, device = len(nodes.photo), z.device
        teacher = torch.arange(len(z)) < count
        first = torch.arange(len(nodes.image)) % (1 + self.config.places) == 0
        positive = torch.cat([torch.ones(count, dtype=torch.bool), first])
        image = torch.cat([nodes.photo, nodes.image])
        places = Places(
            teacher.to(device),
            torch.cat([torch.ones(count), nodes.overlap]).to(device),
            self.shares[image].to(device),
        )
        role = torch.where(positive, int(Role.POSITIVE), int(Role.NEGATIVE)).to(device)
        h = F.normalize(torch.cat([nodes.teacher, nodes.h.detach()]), dim=1)
        image = self.identity[image].to(device)
        return GraphInputs(h, z, image, torch.zeros_like(image), role, places=places)


def make_graphs(config: ContrastConfig) -> GraphCombination:
    """The graph sources of a contrast; those that it cannot do with are a UsageError."""
    sources = create_sources(config.sources)
    for name, (source, _) in sources.items():
        if missing := source.needs - GIVEN:
            raise UsageError(
                f"contrast.sources.{name}: needs {' and '.join(sorted(missing))}, which labeled "
                "photos lack; leave it out"
            )
        if type(source).auxiliary_loss is not GraphSource.auxiliary_loss:
            raise UsageError(
                f"contrast.sources.{name}: learns by a loss of its own, which method lml does not "
                "have; leave it out"
            )
    graphs = GraphCombination(sources)
    if not graphs.repelling:
        raise UsageError(
            "contrast.sources: nothing is held apart: give same_image_apart or "
            "other_image_apart a coeff above 0"
        )
    return graphs


def contrast_of(
    z: Tensor,
    attraction: Tensor,
    repulsion: Tensor,
    anchors: Tensor,
    teacher: Tensor,
    temperature: float,
) -> Tensor:
    """InfoNCE of the rows ``anchors``, (N,) bool, of embeddings z (N, D), over two graphs (N, N).

    Nodes of the ``teacher``, (N,) bool, are held apart from nobody as others see them: negatives
    go through the student, as our sources say.
    """
    negatives = repulsion[anchors].masked_fill(teacher, 0)
    return infonce(cosines(z[anchors], z), attraction[anchors], negatives, temperature)


def momentum_for(steps: int | None) -> float:
    """m = 1 − 10/steps within [0.9, 0.999]; 0.99 where the number of steps is not known."""
    return 0.99 if steps is None else min(max(1 - MEMORY / steps, 0.9), 0.999)


def seeded_projector(size: int, hidden: int, out: int, seed: int) -> nn.Sequential:
    """Linear → ReLU → Linear, with initial values from a stream of ``seed``."""
    draws = generator(seed, PROJECTOR)
    first, last = seeded_linear(size, hidden, draws), seeded_linear(hidden, out, draws)
    return nn.Sequential(first, nn.ReLU(), last)
