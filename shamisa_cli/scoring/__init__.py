"""Photos to scores: the Scorer, its files of rows, its tables."""

from shamisa_cli.scoring.loading import load
from shamisa_cli.scoring.score import Score
from shamisa_cli.scoring.scorer import Scorer

__all__ = ["Score", "Scorer", "load"]
