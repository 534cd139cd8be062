"""What is fine-tuned: an encoder, by heads that have not seen the photos they judge."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.encoders.encoder import Encoder, freeze_batch_norm, train_last
from shamisa_cli.encoders.halves import Early, late_half
from shamisa_cli.evaluation.ridge import crop_rows, solve_ridge
from shamisa_cli.seeds import generator

if TYPE_CHECKING:
    from shamisa_cli.finetuning.contrast import LocalContrast

FOLDS = 8
"""The random stream that deals images out to folds."""


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Ridge heads of a training part, each fitted without one fold of its images.

    A head fits its own training images far better than others, since features are many: errors
    there say little of what the encoder lacks. So each image is judged by the head that never saw
    it, nor another version of it.

    Attributes
    ----------
    weights : (k, T, F) float32, of T standard targets.
    biases : (k, T) float32.
    fold : (n,) int64, for each image of the dataset which head to ask; -1 outside of the part.
    means : (T,) float64, of the part's targets.
    deviation : of the part's scores, the first target; raw = mean + deviation · standard.
    """

    weights: Tensor
    biases: Tensor
    fold: Tensor
    means: Tensor
    deviation: float

    def standard(self, targets: Tensor) -> Tensor:
        """``targets`` (n, T) in deviations of the scores from their means, float32."""
        return ((targets - self.means) / self.deviation).float()


def cross_fit(
    features: Tensor,
    targets: Tensor,
    train: Tensor,
    strength: float,
    folds: int,
    seed: int,
    references: Sequence[str] | None = None,
) -> CrossFit:
    """Heads for the images ``train`` (t,) of features (n, K, F) and targets (n, T), scores first.

    ``strength`` is the ridge's on the whole part; each head's is smaller by its share of images.
    Images with one of the ``references`` (n,) are in one fold, as splits have them in one part; but
    where all have the same, and where none are given, each image goes by itself.
    """
    names = [references[i] for i in train.tolist()] if references else []
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    apart = len(numbers) > 1
    group = torch.tensor([numbers[name] for name in names]) if apart else torch.arange(len(train))
    groups = len(numbers) if apart else len(train)
    folds = min(folds, groups)
    order = torch.randperm(groups, generator=generator(seed, FOLDS))
    dealt = torch.empty(groups, dtype=torch.int64)
    dealt[order] = torch.arange(groups) % folds
    fold = torch.full((len(targets),), -1)
    fold[train] = dealt[group]
    means = targets[train].double().mean(0)
    deviation = float(targets[train, 0].double().std(correction=0)) or 1.0
    weights, biases = [], []
    for number in range(folds):
        others = train[fold[train] != number]
        standard = (targets[others].double() - means) / deviation
        w, b = solve_ridge(
            *crop_rows(features[others], standard), strength * len(others) / len(train)
        )
        weights.append(w.float())
        biases.append(b.float())
    return CrossFit(torch.stack(weights), torch.stack(biases), fold, means, deviation)


class FinetuneModel(nn.Module):
    """An encoder and its heads. State: the encoder's weights; the heads stay as they are.

    Batch norms keep their statistics: mini-batches are small.

    Parameters
    ----------
    encoder : to start from; it is copied.
    heads : see :class:`CrossFit`.
    trained : share of the backbone's layers that is trained, see :func:`train_last`.
    contrast : what else is trained and kept, where places are contrasted.

    Attributes
    ----------
    mean_head : the number of one more head, the mean of all.
    """

    weights: Tensor
    biases: Tensor

    def __init__(
        self,
        encoder: Encoder,
        heads: CrossFit,
        trained: float,
        contrast: LocalContrast | None = None,
    ) -> None:
        super().__init__()
        self.contrast = contrast
        self.encoder = copy.deepcopy(encoder)
        train_last(self.encoder.backbone, trained)
        self.mean_head = len(heads.biases)
        weights = torch.cat([heads.weights, heads.weights.mean(0, keepdim=True)])
        biases = torch.cat([heads.biases, heads.biases.mean(0, keepdim=True)])
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("biases", biases, persistent=False)

    def train(self, mode: bool = True) -> FinetuneModel:
        """As torch's, but for the batch norms."""
        super().train(mode)
        freeze_batch_norm(self.encoder)
        return self

    def forward(self, crops: Sequence[Tensor | Early], fold: Tensor) -> Tensor:
        """(n, T) standard targets of crops at each scale by the heads (n,).

        Crops are (n, 3, h, w), uint8, or what comes out of the first layers.
        """
        features = torch.cat([self._features(each) for each in crops], dim=1)
        return (features[:, None] * self.weights[fold]).sum(2) + self.biases[fold]

    def _features(self, crops: Tensor | Early) -> Tensor:
        if isinstance(crops, Early):
            return late_half(self.encoder, crops)
        return self.encoder(crops.float() / 255)


def regression_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """Smooth L1 distance of ``predictions`` from ``targets``, both (n, T) and standard.

    The mean over the images, summed over the targets.

    Quadratic within one standard deviation. Our sources' baseline is quadratic within one point of
    the raw score, so nearly L1; the two were not compared.
    """
    return F.smooth_l1_loss(predictions, targets, reduction="none").mean(0).sum()
