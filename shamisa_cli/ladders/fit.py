"""Fit a head on human scores and on what our own changes teach together.

Human scores say how good photos look. Few datasets say that more of a distortion never looks
better, and none what a mirror image costs. So a fit has three more terms, all linear in features:

- pairs: d_j = f(better) − f(worse), where d_j·w should be at least a gap g_j. A difference that
  exceeds its gap is let go, as in a ranking support vector machine with squared hinge loss
  (Chapelle & Keerthi, "Efficient algorithms for ranking with SVMs", Inf. Retrieval 13, 2010);
- proxies: rows f_p with a score t_p that was computed, not given by people;
- changes: c_k = f(changed) − f(photo), where c_k·w should be 0.

The loss

    Σ_i (x_i·w + b − y_i)²  +  ω Σ_j v_j max(0, g_j − d_j·w)²
        +  μ Σ_p u_p (f_p·w + b − t_p)²  +  ι Σ_k r_k (c_k·w)²  +  s ‖w‖²

with the ridge strength s, is convex. Its minimum is found by ridge regressions over the differences
that are short of their gaps, until these stay the same. A step that would raise the loss is halved
(such loops may never end otherwise: Keerthi & DeCoste, "A modified finite Newton method for fast
solution of large scale linear SVMs", JMLR 6, 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shamisa_cli.errors import ShamisaError
from shamisa_cli.evaluation.ridge import NormalEquations, crop_rows, normal_equations

MAX_ROUNDS = 100
MAX_HALVINGS = 40

_NOTHING = 1e-12
"""A direction with less of the variance of the first one is none: it is rounding."""


@dataclass(frozen=True, eq=False)
class Term:
    """One part of a fit beside the human scores.

    Attributes
    ----------
    rows : (m, F) float64; may be none.
    wanted : (m,) float64: of pairs the gap, of proxies the score, of changes 0.
    shares : (m,) float64 > 0, what each row counts beside the others.
    weight : ≥ 0, what all rows count together, where all crops of the scored images count 1
        together: ω·v_j of the formula is this times the number of crops, times the row's share of
        the sum of shares.
    """

    rows: Tensor
    wanted: Tensor
    shares: Tensor
    weight: float

    def factors(self, crops: int) -> Tensor:
        """(m,) ω·v_j, for a fit to so many crops of scored images."""
        total = self.shares.sum()
        return self.weight * crops * self.shares / (total if total > 0 else 1.0)


def no_term(features: int) -> Term:
    """A term that asks for nothing."""
    none = torch.zeros(0, dtype=torch.float64)
    return Term(none.new_zeros(0, features), none, none, 0.0)


def join_terms(parts: Sequence[tuple[Tensor, Tensor, Tensor]], weight: float) -> Term:
    """One term of several (rows, wanted, shares)."""
    rows, wanted, shares = (
        torch.cat([p.double() for p in each]) for each in zip(*parts, strict=True)
    )
    return Term(rows, wanted, shares, weight)


@dataclass(frozen=True, eq=False)
class Lessons:
    """All that a fit asks for beside the human scores; see the module's docstring."""

    pairs: Term
    proxies: Term
    changes: Term


class LessonSums:
    """What lessons add to the normal equations of any fit.

    State: which pairs are short of their gaps, and the sums over these. They hardly change from one
    fit to a similar one, so only what changed is added or taken away.

    Attributes
    ----------
    short : (m,) bool, of the pairs.
    changes : (F, F) float64, ι Σ r c cᵀ for one crop.
    proxies : normal equations of the proxies, whose shares sum to 1.
    """

    def __init__(self, lessons: Lessons) -> None:
        self.lessons = lessons
        pairs, changes = lessons.pairs, lessons.changes
        self.short = torch.zeros(len(pairs.rows), dtype=torch.bool)
        self._summed = self.short
        size = pairs.rows.shape[1]
        self._gram, self._towards = pairs.rows.new_zeros(size, size), pairs.rows.new_zeros(size)
        self._factors = pairs.factors(1)
        self.changes = changes.rows.T @ (changes.factors(1)[:, None] * changes.rows)
        self.proxies = _weighted_equations(lessons.proxies)

    def update(self, w: Tensor) -> bool:
        """Find the pairs that are short with weights ``w`` (F,); True if others than before."""
        pairs = self.lessons.pairs
        before, self.short = self.short, pairs.rows @ w < pairs.wanted
        return not torch.equal(self.short, before)

    def sums(self) -> tuple[Tensor, Tensor]:
        """Of the pairs that are short, Σ v d dᵀ (F, F) and Σ v g d (F,); not to be changed."""
        changed = self.short != self._summed
        rows = self.lessons.pairs.rows[changed]
        signed = torch.where(self.short[changed], 1.0, -1.0).double() * self._factors[changed]
        weighted = signed[:, None] * rows
        self._gram.addmm_(weighted.T, rows)
        self._towards += weighted.T @ self.lessons.pairs.wanted[changed]
        self._summed = self.short
        return self._gram, self._towards

    def loss(self, w: Tensor, b: float) -> float:
        """The three terms for one crop, at weights ``w`` (F,) and bias ``b``."""
        pairs, proxies, changes = (
            self.lessons.pairs,
            self.lessons.proxies,
            self.lessons.changes,
        )
        lacking = (pairs.wanted - pairs.rows @ w).clamp_min(0).square()
        missed = (proxies.rows @ w + b - proxies.wanted).square()
        moved = (changes.rows @ w).square()
        terms = ((pairs, lacking), (proxies, missed), (changes, moved))
        return sum(float(term.factors(1) @ values) for term, values in terms)


class HeadFit:
    """Fits to scored images, features (n, K, F) and scores (n,), and to lessons.

    State: what every fit to them shares.
    """

    def __init__(self, features: Tensor, scores: Tensor, lessons: LessonSums) -> None:
        rows, targets = crop_rows(features, scores)
        self._crops = len(rows)
        self._scored = normal_equations(rows, targets)
        self._both = _together(
            self._scored, self._crops, lessons.proxies, lessons.lessons.proxies.weight * self._crops
        )
        self._fixed = torch.add(self._both.gram, lessons.changes, alpha=self._crops)
        self._lessons = lessons

    def solve(self, strength: float, start: Tensor | None = None) -> tuple[Tensor, float]:
        """Weights (F,) float64 and bias for ridge strength ``strength``.

        ``start``, the weights (F,) of a similar fit, saves rounds and changes nothing else.
        """
        w = self._minimum(strength, start)
        return w, self._bias(w)

    def _bias(self, w: Tensor) -> float:
        return self._both.target_mean - float(self._both.feature_mean @ w)

    def _minimum(self, strength: float, start: Tensor | None) -> Tensor:
        """Newton's method for the squared hinge, with a line search."""
        lessons = self._lessons
        if start is None:
            lessons.short = torch.zeros_like(lessons.short)
            start = self._step(strength)
        w = start
        for _ in range(MAX_ROUNDS):
            lessons.update(w)
            aim = self._step(strength)
            if not lessons.update(aim):
                return aim
            lower = self._lower(w, aim, strength)
            if lower is None:  # what is left to gain is less than rounding
                return w
            w = lower
        raise ShamisaError(
            f"no minimum found for a head with ladders in {MAX_ROUNDS} rounds, at ridge strength "
            f"{strength:g}; give ladders a smaller weight"
        )

    def _step(self, strength: float) -> Tensor:
        """The minimum (F,) if the pairs that are short now were all that count."""
        of_short, towards = self._lessons.sums()
        gram = torch.add(self._fixed, of_short, alpha=self._crops)
        gram.diagonal().add_(strength)
        right = self._both.correlation + self._crops * towards
        return torch.cholesky_solve(right[:, None], torch.linalg.cholesky(gram))[:, 0]

    def _lower(self, w: Tensor, aim: Tensor, strength: float) -> Tensor | None:
        """Between ``w`` and ``aim``, weights of a loss below that of ``w``; None if there are none.

        The loss is convex, so along the way from ``aim`` to ``w`` it falls, then rises.
        """
        found, lowest = aim, self._loss(aim, strength)
        for halvings in range(1, MAX_HALVINGS):
            nearer = w + (aim - w) * 0.5**halvings
            loss = self._loss(nearer, strength)
            if loss >= lowest:
                break
            found, lowest = nearer, loss
        return found if lowest < self._loss(w, strength) else None

    def _loss(self, w: Tensor, strength: float) -> float:
        """The loss of the module's docstring at ``w`` and its best bias, but for a constant."""
        of = self._scored
        away = of.target_mean - float(of.feature_mean @ w) - self._bias(w)
        misfit = float(w @ (of.gram @ w) - 2 * (w @ of.correlation)) + self._crops * away**2
        lessons = self._crops * self._lessons.loss(w, self._bias(w))
        return misfit + lessons + strength * float(w @ w)


def fit_with_lessons(
    features: Tensor, scores: Tensor, strength: float, lessons: Lessons
) -> tuple[Tensor, float]:
    """One fit of :class:`HeadFit`: weights (F,) float64 and bias."""
    return HeadFit(features, scores, LessonSums(lessons)).solve(strength)


def principal_directions(rows: Sequence[Tensor], most: int) -> Tensor:
    """(F, r) float64, orthonormal: where ``rows``, each (m, F), vary most; r is ``most`` at most.

    Where they vary in no more than r directions, a ridge regression on them within these is the
    same as on all features: its weights are a sum of rows. Else it is one that has no weights
    where all of them hardly differ.

    Of fewer rows than features the products of the rows are decomposed, not those of the features:
    time goes with the cube of the smaller number.
    """
    size = rows[0].shape[1]
    if sum(len(each) for each in rows) < size:
        every = torch.cat([each.double() for each in rows])
        spectrum, of_rows = torch.linalg.eigh(every @ every.T)
        found = spectrum.flip(0)[:most] > spectrum[-1] * _NOTHING
        return torch.linalg.qr(every.T @ of_rows.flip(1)[:, :most][:, found])[0]
    gram = torch.zeros(size, size, dtype=torch.float64)
    for each in rows:
        for block in each.split(4096):
            gram.addmm_(block.double().T, block.double())
    return torch.linalg.eigh(gram)[1].flip(1)[:, :most]


def _weighted_equations(term: Term) -> NormalEquations:
    """Of rows whose shares sum to 1; all zero if there are none."""
    share = term.shares / term.shares.sum() if len(term.shares) else term.shares
    mean, target_mean = share @ term.rows, float(share @ term.wanted)
    rows, wanted = term.rows - mean, term.wanted - target_mean
    weighted = share[:, None] * rows
    return NormalEquations(weighted.T @ rows, weighted.T @ wanted, mean, target_mean)


def _together(
    one: NormalEquations, n_one: float, other: NormalEquations, n_other: float
) -> NormalEquations:
    """Of both sets of rows; ``other`` is of shares that sum to 1, and counts ``n_other`` in all."""
    total = n_one + n_other
    apart = other.feature_mean - one.feature_mean
    targets_apart = other.target_mean - one.target_mean
    between = n_one * n_other / total
    gram = torch.add(one.gram, other.gram, alpha=n_other).addr_(apart, apart, alpha=between)
    correlation = one.correlation + n_other * other.correlation + between * targets_apart * apart
    mean = one.feature_mean + (n_other / total) * apart
    return NormalEquations(
        gram, correlation, mean, one.target_mean + n_other / total * targets_apart
    )
