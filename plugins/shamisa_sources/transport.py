"""`transport`: crops that are assigned to the same prototypes (docs/method.md §4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shamisa_cli.graphs.graph import Graph, keep_largest
from shamisa_cli.graphs.source import GraphInputs, GraphSource
from shamisa_sources.paired_view import same_composition_pairs


class Transport(GraphSource):
    """Soft assignments to learned prototypes; the pairs of largest scores stay.

    p_i = softmax(logits_i / temperature), the logits being the inner products of h with prototypes
    of unit length. The score of a pair is mean_k p_j[k]·log p_i[k], a negative cross-entropy,
    averaged over both directions: crops that are assigned alike and firmly have the largest. Scores
    are rescaled over all pairs i ≠ j to [0, 1] (to 0 where all are equal).

    Parameters
    ----------
    prototypes : K ≥ 2.
    temperature : > 0, of the softmax.
    epsilon, rounds : > 0 and ≥ 1, of Sinkhorn–Knopp.
    edges_per_node : ≥ 1; the mean degree, so edges_per_node·N entries of the symmetric matrix stay.
    auxiliary : ≥ 0, the weight of the loss that trains the prototypes.
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
    ) -> None:
        super().__init__()
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

    def prepare(self, feature_size: int, generator: torch.Generator) -> None:
        weight = torch.randn(self.n_prototypes, feature_size, generator=generator)
        self.prototypes = nn.Parameter(F.normalize(weight, dim=1))

    def logits(self, h: Tensor) -> Tensor:
        """(N, K) cosines between the representations and the prototypes."""
        return F.linear(h, F.normalize(self.prototypes, dim=1))

    def build(self, inputs: GraphInputs) -> Graph:
        n = inputs.n
        scores = cross_entropy(self._log_assignments(inputs.h))
        i, j = torch.triu_indices(n, n, offset=1, device=inputs.h.device)
        score = scores[i, j]
        low, high = score.aminmax()
        rounding = 8 * torch.finfo(score.dtype).eps * low.abs()  # equal scores differ by as much
        span = high - low
        weight = torch.where(span > rounding, (score - low) / span, 0.0)
        return keep_largest(Graph(n, i, j, weight), self.edges_per_node * n)

    def auxiliary_loss(self, h: Tensor, inputs: GraphInputs) -> Tensor:
        """−auxiliary·(m_i q_i·log p_i + m_(i,j) q_i·log p_j), q the balanced codes of h.

        Both means m are over the K prototypes, too. The second is over the `paired_view` edges in
        both directions, and 0 where there are none (one photo only, or no composition). Gradients
        reach the prototypes and h, not q.
        """
        log_p = self._log_assignments(h)
        q = balanced_codes(self.logits(h), self.epsilon, self.rounds)
        agreement = (q * log_p).mean()
        if inputs.composition is None:
            return -self.auxiliary * agreement
        i, j = same_composition_pairs(inputs)
        if len(i):
            swapped = (q[i] * log_p[j]).mean() + (q[j] * log_p[i]).mean()
            agreement = agreement + swapped / 2
        return -self.auxiliary * agreement

    def _log_assignments(self, h: Tensor) -> Tensor:
        """(N, K) log p."""
        return F.log_softmax(self.logits(h) / self.temperature, dim=1)


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
