"""Why a photo has its score: what it looks like, and where it looks bad."""

from shamisa_cli.explaining.explainer import (
    Explainer,
    Explanation,
    explain_scorer,
    load_explainer,
)

__all__ = ["Explainer", "Explanation", "explain_scorer", "load_explainer"]
