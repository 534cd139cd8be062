"""Image sets with human scores: registry, file layouts, check, pull."""
