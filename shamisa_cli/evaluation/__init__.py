"""How well frozen features follow human scores: splits, ridge, measures, reports."""
