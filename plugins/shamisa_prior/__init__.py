"""Earlier self-supervised methods as binary relation graphs (method.md §4, prior methods).

Only which crops each method pulls together is taken from its paper; the engine, the objective and
the rest of the training are this program's, without negatives.
"""

from shamisa_prior.arniqa import Arniqa
from shamisa_prior.contrique import Contrique
from shamisa_prior.reiqa import ReIqa
from shamisa_prior.vicreg import VicReg

__all__ = ["Arniqa", "Contrique", "ReIqa", "VicReg"]
