"""An auxiliary loss from the engine's own metadata: our addition, not the paper's."""

from shamisa_degradation.degradation import Degradation

__all__ = ["Degradation"]
