"""Readings of kinds and severities, fitted to damaged photos."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from shamisa_cli.evaluation.ridge import solve_ridge
from shamisa_cli.explaining.examples import Examples
from shamisa_cli.explaining.kinds import KindHeads, extend
from shamisa_cli.explaining.lessons import KINDS
from shamisa_cli.explaining.tones import TONES
from shamisa_cli.explaining.traces import TRACES

SEEN = 0.15
"""Severity from which damage counts as there; weaker damage is hardly seen, and does not count."""

PENALTIES = (3e-3, 1e-2, 3e-2, 1e-1)
"""Of squared weights of standard features, in the logistic regression; the best is kept."""

EVENNESS = 0.75
"""Standard features of a map of n count n to this power less.

At 0 the many features of late maps, which tell what a photo shows, outvote the few of early ones,
which see damage. At 0.5 each map counts alike. What it gains is in docs/explaining.md.
"""

TONES_COUNT, TRACES_COUNT = 3.0, 2.0
"""Tones, and traces, count so much more than a map of as many features."""

CHOOSING = 0.2
"""Share of the photos that choose penalty and threshold."""

ACCUSED = 0.03
"""Share of untouched photos that may be accused of some kind, on the photos that choose."""

_STRENGTH = 0.03
"""Of the ridge on severities, for each feature."""

_PLAIN = ("single", "few")
"""Pictures by which severities are learned: among many kinds none is told apart."""

_STEPS = 60
_SMALLEST = 1e-3
"""Least deviation of a feature: what hardly varies is not blown up."""


def fit_kinds(examples: Examples, maps: Tensor, *, seed: int) -> KindHeads:
    """Readings of kinds and severities.

    Parameters
    ----------
    examples : whole pictures count, those damaged in part do not.
    maps : (d,) int64, which map of the network each feature tells of; tones and traces come after
        these.
    seed : of the draw of photos that choose penalty and threshold.
    """
    choosing = photos_split(examples.photo, CHOOSING, seed)
    whole = ~examples.shows("part")
    learning, choosing = whole & ~choosing, whole & choosing
    center, deviation = center_and_deviation(examples.features[learning].float())
    scale = deviation / evened(maps)

    def standard(rows: Tensor) -> Tensor:
        return (examples.features[rows].float() - center) / scale

    fitted, chosen = standard(learning), standard(choosing)
    there, judged = presence(examples.severities[learning])
    wanted, counted = presence(examples.severities[choosing])

    def misfit(weights: Tensor) -> float:
        return float(_logistic_loss(extend(chosen) @ weights.T, wanted, counted))

    tried = [logistic(fitted, there, judged, penalty) for penalty in PENALTIES]
    detect = min(tried, key=misfit)
    plain = examples.shows(*_PLAIN)  # of all photos: nothing is chosen by severities
    severity = _fit_severities(standard(plain), examples.severities[plain])
    untouched = examples.shows("as it is")[choosing]
    threshold = threshold_of((extend(chosen[untouched]) @ detect.T).sigmoid())
    detect = _unscaled(detect, center, scale)
    return KindHeads(KINDS, detect, _unscaled(severity, center, scale), threshold)


def presence(severities: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each kind is there, and whether that is judged, (n, k) float32 both: 1 or 0."""
    there = severities >= SEEN
    return there.float(), (there | (severities < 0)).float()


def threshold_of(probabilities: Tensor) -> float:
    """The probability that no more than :data:`ACCUSED` of untouched photos (n, k) reach."""
    most = probabilities.max(dim=1).values
    return min(0.99, max(0.5, float(torch.quantile(most, 1 - ACCUSED))))


def logistic(x: Tensor, there: Tensor, judged: Tensor, penalty: float) -> Tensor:
    """(k, F+1) weights of k logistic regressions side by side, the bias last; by L-BFGS.

    Minimizes the sum over the kinds of the mean loss over the n rows of ``x`` (n, F), those that
    are ``judged`` (n, k), plus ``penalty`` times the squared weights, without the bias.
    """
    weights = torch.zeros(there.shape[1], x.shape[1], requires_grad=True)
    bias = torch.full((there.shape[1],), -3.0, requires_grad=True)
    search = torch.optim.LBFGS(
        [weights, bias], max_iter=_STEPS, history_size=10, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        search.zero_grad()
        loss = _logistic_loss(x @ weights.T + bias, there, judged)
        loss = loss + penalty * weights.square().sum()
        loss.backward()
        return loss

    search.step(closure)
    return torch.cat([weights.detach(), bias.detach()[:, None]], dim=1)


def _logistic_loss(logits: Tensor, there: Tensor, judged: Tensor) -> Tensor:
    each = F.binary_cross_entropy_with_logits(logits, there, reduction="none")
    return (each * judged).mean(0).sum()


def _fit_severities(x: Tensor, severities: Tensor) -> Tensor:
    """(k, F+1): for each kind a ridge of its severity over the rows (n, F) where it is there."""
    rows, penalty = [], _STRENGTH * x.shape[1]
    for kind in range(severities.shape[1]):
        there = severities[:, kind] >= 0
        if int(there.sum()) < 2:
            rows.append(torch.cat([torch.zeros(x.shape[1]), torch.tensor([0.5])]))
            continue
        weights, bias = solve_ridge(x[there], severities[there, kind : kind + 1], penalty)
        rows.append(torch.cat([weights[0], bias]).float())
    return torch.stack(rows)


def center_and_deviation(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (F,) of rows (n, F), by which they are made standard."""
    return x.mean(0), x.std(0).clamp_min(_SMALLEST)


def evened(maps: Tensor) -> Tensor:
    """(d + TONES + TRACES,) float32 of mean square 1: what each standard number counts.

    A feature counts by how many its map has, ``maps`` (d,) int64 as of
    :meth:`~shamisa_cli.encoders.encoder.Encoder.maps_of_features`; tones and traces, the last ones,
    as one more map each, :data:`TONES_COUNT` and :data:`TRACES_COUNT` times.
    """
    counts = torch.cat(
        [
            torch.bincount(maps)[maps].float() ** -EVENNESS,
            torch.full((TONES,), TONES_COUNT * TONES**-EVENNESS),
            torch.full((TRACES,), TRACES_COUNT * TRACES**-EVENNESS),
        ]
    )
    return counts / counts.square().mean().sqrt()


def _unscaled(weights: Tensor, center: Tensor, scale: Tensor) -> Tensor:
    """Weights (k, F+1) of features less ``center`` by ``scale`` as those of the features."""
    plain = weights[:, :-1] / scale
    return torch.cat([plain, (weights[:, -1] - plain @ center)[:, None]], dim=1)


def photos_split(photo: Tensor, share: float, seed: int) -> Tensor:
    """(n,) bool: the pictures of a random ``share`` of the photos (n,) that they show."""
    photos: Sequence[int] = sorted(set(photo.tolist()))
    order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(seed)).tolist()
    drawn = torch.tensor([photos[at] for at in order[: max(1, round(share * len(photos)))]])
    return torch.isin(photo, drawn)
