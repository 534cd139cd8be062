"""`transport`: crops that are assigned to the same prototypes (docs/method.md §4)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.graphs.graph import Graph, keep_largest
from shamisa_cli.graphs.source import GraphInputs, GraphSource
from shamisa_sources.paired_view import same_composition_pairs


class Transport(GraphSource):
    """Soft assignments to learned prototypes; the pairs of largest scores stay.

    p_i = softmax(logits_i / temperature), the logits being the inner products of h with prototypes
    of unit length. Scores are rescaled over all pairs i ≠ j to [0, 1] (to 0 where all are equal).

    Parameters
    ----------
    prototypes : K ≥ 2.
    temperature : > 0, of the softmax.
    epsilon, rounds : > 0 and ≥ 1, of Sinkhorn–Knopp.
    edges_per_node : ≥ 1; the mean degree, so edges_per_node·N entries of the symmetric matrix stay.
    auxiliary : ≥ 0, the weight of the loss that trains the prototypes.
    score : how the paper's s_ij = mean_k log p_i[k]·p_j[k] is read. "log_product" is
        mean_k log(p_i[k]·p_j[k]), symmetric as written, but a sum of one term a node, so that the
        crops with the flattest assignments are joined with each other; "cross_entropy" is
        mean_k (log p_i[k])·p_j[k], averaged over both directions, which joins crops that are
        assigned alike and firmly.
    """

    coeff = 0.3670

    prototypes: nn.Parameter

    def __init__(
        self,
        prototypes: int = 32,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        rounds: int = 6,
        edges_per_node: int = 8,
        auxiliary: float = 0.4906,
        score: Literal["log_product", "cross_entropy"] = "log_product",
    ) -> None:
        super().__init__()
        if score not in ("log_product", "cross_entropy"):
            raise ValueError(f"score must be log_product or cross_entropy, got {score!r}")
        if prototypes < 2 or rounds < 1 or edges_per_node < 1:
            raise ValueError("prototypes must be at least 2, rounds and edges_per_node at least 1")
        if temperature <= 0 or epsilon <= 0 or auxiliary < 0:
            raise ValueError("temperature and epsilon must be above 0, auxiliary at least 0")
        self.n_prototypes = prototypes
        self.temperature = temperature
        self.epsilon = epsilon
        self.rounds = rounds
        self.edges_per_node = edges_per_node
        self.auxiliary = auxiliary
        self.score = score

    def prepare(self, feature_size: int, generator: torch.Generator) -> None:
        weight = torch.randn(self.n_prototypes, feature_size, generator=generator)
        self.prototypes = nn.Parameter(F.normalize(weight, dim=1))

    def logits(self, h: Tensor) -> Tensor:
        """(N, K) cosines between the representations and the prototypes."""
        return F.linear(h, F.normalize(self.prototypes, dim=1))

    def build(self, inputs: GraphInputs) -> Graph:
        n = inputs.n
        log_p = self._log_assignments(inputs.h)
        scores = log_product(log_p) if self.score == "log_product" else cross_entropy(log_p)
        i, j = torch.triu_indices(n, n, offset=1, device=inputs.h.device)
        score = scores[i, j]
        low, high = score.aminmax()
        weight = (score - low) / (high - low).clamp_min(torch.finfo(score.dtype).tiny)
        return keep_largest(Graph(n, i, j, weight), self.edges_per_node * n)

    def auxiliary_loss(self, h: Tensor, inputs: GraphInputs) -> Tensor:
        """−½·auxiliary·(mean_i q_i·log p_i + mean_(i,j) q_i·log p_j), q the balanced codes of h.

        The second mean is over the `paired_view` edges in both directions, and 0 where there are
        none (one photo only, or no composition). Gradients reach the prototypes and h, not q.
        """
        log_p = self._log_assignments(h)
        q = balanced_codes(self.logits(h), self.epsilon, self.rounds)
        agreement = (q * log_p).sum(1).mean()
        if inputs.composition is None:
            return -self.auxiliary / 2 * agreement
        i, j = same_composition_pairs(inputs)
        if len(i):
            swapped = (q[i] * log_p[j]).sum(1) + (q[j] * log_p[i]).sum(1)
            agreement = agreement + swapped.mean() / 2
        return -self.auxiliary / 2 * agreement

    def _log_assignments(self, h: Tensor) -> Tensor:
        """(N, K) log p."""
        return F.log_softmax(self.logits(h) / self.temperature, dim=1)


def log_product(log_p: Tensor) -> Tensor:
    """(N, N) mean_k log(p_i[k]·p_j[k]) from (N, K) log p."""
    of_node = log_p.mean(1)
    return of_node[:, None] + of_node[None, :]


def cross_entropy(log_p: Tensor) -> Tensor:
    """(N, N) mean_k ½·(log p_i[k]·p_j[k] + log p_j[k]·p_i[k]) from (N, K) log p."""
    product = log_p @ log_p.exp().T / log_p.shape[1]
    return (product + product.T) / 2


@torch.no_grad()
def balanced_codes(logits: Tensor, epsilon: float, rounds: int) -> Tensor:
    """Entropy-regularized transport of N nodes onto K prototypes of equal mass.

    Sinkhorn–Knopp in the log domain (Cuturi, "Sinkhorn Distances", NeurIPS 2013), used as in SwAV
    (Caron et al., NeurIPS 2020): each round gives every prototype the same mass, then every node.

    Parameters
    ----------
    logits : (N, K) float; without gradient.
    epsilon : > 0, the regularization; the smaller, the harder the codes.
    rounds : ≥ 1.

    Returns
    -------
    Tensor
        (N, K), ≥ 0; rows sum to 1, columns to nearly N/K.
    """
    log_q = logits / epsilon
    for _ in range(rounds):
        log_q = log_q - log_q.logsumexp(0, keepdim=True)
        log_q = log_q - log_q.logsumexp(1, keepdim=True)
    return log_q.exp()
