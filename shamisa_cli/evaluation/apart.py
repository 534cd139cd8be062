"""Heads over several encoders, each judged on images that its own encoder did not see.

An encoder that was trained on human scores has seen them: whatever is fitted on its features looks
too good on these very images. But fine-tuning over splits leaves an encoder for each, which saw the
training part alone. Heads over these, on the test parts, tell what such a head is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shamisa_cli.evaluation.datasets import DatasetResult
from shamisa_cli.evaluation.measures import Array
from shamisa_cli.evaluation.uncertainty import Errors


@dataclass(frozen=True, eq=False)
class Apart:
    """One head or several.

    Attributes
    ----------
    result : their figures, one split each.
    errors : on the test parts.
    """

    result: DatasetResult
    errors: Errors

    @property
    def note(self) -> str:
        """For people who read the figures."""
        return f"figures by encoders of {len(self.result.splits)} splits"

    @property
    def predictions(self) -> Array:
        """(k,) of the k images that are in a test part, in their order; means over the parts."""
        results = self.result.results
        images = np.concatenate([each.test.numpy() for each in results])
        values = np.concatenate([each.predictions for each in results])
        _, at, counts = np.unique(images, return_inverse=True, return_counts=True)
        return np.bincount(at, weights=values) / counts


def join(parts: Sequence[Apart], strength: float) -> Apart:
    """The heads of ``parts`` together; ``strength`` is of the ridge for a fit on all images."""
    result = replace(
        parts[0].result,
        splits=[split for part in parts for split in part.result.splits],
        results=[each for part in parts for each in part.result.results],
        strength=strength,
    )
    error = np.concatenate([part.errors.error for part in parts])
    spread = np.concatenate([part.errors.spread for part in parts])
    return Apart(result, Errors(error, spread))
