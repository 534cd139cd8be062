"""`infonce`: the contrast of what attracts against what repels (docs/objectives.md)."""

from __future__ import annotations

import torch

from shamisa_cli.graphs.contrast import cosines, infonce
from shamisa_cli.pretraining.objective import Objective, ObjectiveInputs
from shamisa_cli.training.task import Loss


class InfoNce(Objective):
    """InfoNCE of the cosines between embeddings, over the attraction and the repulsion graph.

    The sum of contrast and auxiliary (the sum of the sources' own losses). Every crop that a source
    attracts to another is an anchor.

    Parameters
    ----------
    temperature : τ > 0; CONTRIQUE and ARNIQA have 0.1.
    other_positives : an anchor's other positives stand in the denominator too, as in CONTRIQUE.
    """

    terms = ("contrast", "auxiliary")
    repulsion = "needed"

    def __init__(self, temperature: float = 0.1, other_positives: bool = False) -> None:
        super().__init__()
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.temperature = temperature
        self.other_positives = other_positives

    def forward(self, inputs: ObjectiveInputs) -> Loss:
        with torch.autocast(inputs.z.device.type, enabled=False):
            similarity = cosines(inputs.z, inputs.z)
            contrast = infonce(
                similarity,
                inputs.attraction.dense(),
                inputs.repulsion.dense(),
                self.temperature,
                other_positives=self.other_positives,
            )
            auxiliary = sum(inputs.auxiliary.values(), start=contrast.new_zeros(()))
        return Loss(contrast + auxiliary, {"contrast": contrast, "auxiliary": auxiliary})
