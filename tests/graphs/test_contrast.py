"""InfoNCE over graphs: a triple loop in float64, torch's cross entropy, and worked numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from shamisa_cli.graphs.contrast import anchor_losses, cosines, infonce


def by_loops(s: Tensor, a: Tensor, r: Tensor, tau: float, others: bool = False) -> list[float]:
    """The formula of the docstring, anchor by anchor, pair by pair, negative by negative."""
    losses = []
    for i in range(len(s)):
        total = loss = 0.0
        for j in range(s.shape[1]):
            own = below = math.exp(s[i, j].item() / tau)
            for k in range(s.shape[1]):
                weight = r[i, k].item()
                if others and k != j and a[i, k] > 0:
                    weight += 1
                below += weight * math.exp(s[i, k].item() / tau)
            loss -= a[i, j].item() * math.log(own / below)
            total += a[i, j].item()
        losses.append(loss / total if total else 0.0)
    return losses


def random_case(seed: int, n: int = 7, d: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings, and two symmetric graphs that may overlap; some nodes have neither."""
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(n, d, generator=g, dtype=torch.float64)
    graphs = []
    for _ in range(2):
        upper = torch.rand(n, n, generator=g, dtype=torch.float64).triu(1)
        upper *= torch.rand(n, n, generator=g) < 0.3
        graphs.append(2 * (upper + upper.T))
    return z, graphs[0], graphs[1]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), tau=st.sampled_from([0.05, 0.2, 1.0, 3.0]), others=st.booleans())
def test_it_is_its_formula(seed: int, tau: float, others: bool) -> None:
    z, attraction, repulsion = random_case(seed)
    similarity = cosines(z, z)
    expected = by_loops(similarity, attraction, repulsion, tau, others)
    losses = anchor_losses(similarity, attraction, repulsion, tau, other_positives=others)
    torch.testing.assert_close(losses, torch.tensor(expected, dtype=torch.float64))
    kept = [x for x, row in zip(expected, attraction, strict=True) if row.any()]
    mean = infonce(similarity, attraction, repulsion, tau, other_positives=others)
    assert mean.item() == pytest.approx(sum(kept) / len(kept) if kept else 0.0)


def test_cosines() -> None:
    a, b = torch.randn(4, 3), torch.randn(5, 3)
    a[0] = 0
    expected = F.cosine_similarity(a[:, None], b[None], dim=2)
    torch.testing.assert_close(cosines(a, b), expected)
    assert cosines(a.bfloat16(), b.bfloat16()).dtype == torch.float32


def test_nt_xent_is_cross_entropy_over_the_others() -> None:
    """2N crops, each with one positive; every other crop is a negative (SimCLR)."""
    z = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    partner = torch.arange(10).roll(5)
    attraction = F.one_hot(partner, 10).float()
    repulsion = 1 - torch.eye(10) - attraction
    logits = cosines(z, z) / 0.1
    expected = F.cross_entropy(logits.masked_fill(torch.eye(10).bool(), -torch.inf), partner)
    for others in (False, True):
        loss = infonce(cosines(z, z), attraction, repulsion, 0.1, other_positives=others)
        torch.testing.assert_close(loss, expected)


A = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
P = torch.tensor([[0.6, 0.8], [0.8, 0.6]], dtype=torch.float64)
Z = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
ONE, SWAP = torch.eye(2, dtype=torch.float64), 1 - torch.eye(2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("inner", "outer", "apart", "expected"),
    [
        (1.0, 1.0, (1.0, 1.0), (1.041612, 1.613143)),
        (0.0, 1.0, (1.0, 1.0), (0.929241, 1.551251)),
        (1.0, 0.0, (1.0, 1.0), (0.263282, 0.263282)),
        (0.5, 1.0, (1.0, 1.0), (0.987004, 1.582676)),
        (1.0, 1.0, (0.75, 1.0), (1.014681, 1.613143)),
    ],
)
def test_worked_numbers_with_the_teacher_as_anchor(
    inner: float, outer: float, apart: tuple[float, float], expected: tuple[float, float]
) -> None:
    """Two photos, each with a salient crop p and a random crop z; anchors are the teacher's a."""
    attraction = torch.cat([ONE, 0 * ONE], dim=1)
    own = inner * torch.diag(torch.tensor(apart, dtype=torch.float64))
    repulsion = torch.cat([outer * SWAP, own + outer * SWAP], dim=1)
    similarity = cosines(A, torch.cat([P, Z]))
    losses = anchor_losses(similarity, attraction, repulsion, 0.5)
    assert losses.tolist() == pytest.approx(expected, abs=1e-6)
    mean = infonce(similarity, attraction, repulsion, 0.5)
    assert mean.item() == pytest.approx(sum(expected) / 2, abs=1e-6)


def test_worked_numbers_with_the_student_as_anchor() -> None:
    """All six crops are nodes; only the rows of p attract, so only they are anchors."""
    nodes = torch.cat([A, P, Z])
    none = 0 * ONE
    attraction = torch.cat([torch.zeros(2, 6), torch.cat([ONE, none, none], 1), torch.zeros(2, 6)])
    repulsion = torch.zeros(6, 6, dtype=torch.float64)
    repulsion[2:4] = torch.cat([none, SWAP, ONE + SWAP], 1)
    losses = anchor_losses(cosines(nodes, nodes), attraction, repulsion, 0.5)
    assert losses.tolist() == pytest.approx([0, 0, 1.534062, 1.414698, 0, 0], abs=1e-6)
    mean = infonce(cosines(nodes, nodes), attraction, repulsion, 0.5)
    assert mean.item() == pytest.approx(1.474380, abs=1e-6)


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_gradients(seed: int, others: bool) -> None:
    z, attraction, repulsion = random_case(seed)
    attraction[0] = attraction[:, 0] = repulsion[1] = repulsion[:, 1] = 0

    def loss(z: Tensor) -> Tensor:
        return infonce(cosines(z, z), attraction, repulsion, 0.2, other_positives=others)

    assert torch.autograd.gradcheck(loss, z.requires_grad_())
    pulled, pushed = attraction > 0, repulsion > 0

    def of_weights(a: Tensor, r: Tensor) -> Tensor:
        weights = torch.zeros_like(attraction).masked_scatter(pulled, a)
        apart = torch.zeros_like(repulsion).masked_scatter(pushed, r)
        return infonce(cosines(z, z).detach(), weights, apart, 0.2, other_positives=others)

    weights = attraction[pulled].requires_grad_(), repulsion[pushed].requires_grad_()
    assert torch.autograd.gradcheck(of_weights, weights)


def test_a_teacher_gets_no_gradient_and_changes_nothing_for_the_student() -> None:
    z, attraction, repulsion = random_case(5)
    teacher = z[:3].clone().requires_grad_()
    student = z[3:].clone().requires_grad_()
    nodes = torch.cat([teacher.detach(), student])
    infonce(cosines(nodes, nodes), attraction, repulsion, 0.2).backward()
    assert teacher.grad is None
    both = z.clone().requires_grad_()
    infonce(cosines(both, both), attraction, repulsion, 0.2).backward()
    torch.testing.assert_close(student.grad, both.grad[3:])  # type: ignore[index]


@pytest.mark.parametrize("others", [False, True])
def test_extremes_stay_finite(others: bool) -> None:
    """Cold temperatures, weights from tiny to huge, rows without any, and no row with one."""
    z, attraction, repulsion = random_case(1)
    attraction[2] = attraction[:, 2] = repulsion[3] = repulsion[:, 3] = 0
    for scale in (1e-30, 1.0, 1e30):
        rows = z.float().requires_grad_()
        similarity = cosines(rows, rows)
        weights = (scale * repulsion).float()
        loss = infonce(similarity, attraction.float(), weights, 1e-3, other_positives=others)
        loss.backward()
        assert loss.isfinite()
        assert rows.grad is not None
        assert rows.grad.isfinite().all()
    for a, r in ((0, 1), (0, 0), (1, 0)):
        rows = z.clone().requires_grad_()
        loss = infonce(cosines(rows, rows), a * attraction, r * repulsion, 0.1)
        loss.backward()
        assert loss == 0
        assert rows.grad is not None
        assert not rows.grad.any()


def test_the_formula_without_overflow() -> None:
    """At τ = 1e-3 e^(s/τ) has no float; the loss is that of its largest terms."""
    similarity = torch.tensor([[0.0, 0.5, 0.9]])
    attraction, repulsion = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[0.0, 0.0, 2.0]])
    loss = infonce(similarity, attraction, repulsion, 1e-3)
    assert loss.item() == pytest.approx(400 + math.log(2), rel=1e-5)


def test_mixed_precision_changes_nothing() -> None:
    z, attraction, repulsion = random_case(2)
    rows = z.float()
    expected = infonce(cosines(rows, rows), attraction, repulsion, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = infonce(cosines(rows, rows), attraction, repulsion, 0.1)
    assert torch.equal(loss, expected)
    assert loss.dtype == torch.float32
