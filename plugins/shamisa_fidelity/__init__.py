"""An auxiliary loss from a full-reference metric: our addition, not the paper's."""

from shamisa_fidelity.fidelity import Fidelity

__all__ = ["Fidelity"]
