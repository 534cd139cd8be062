"""Fine-tuning on human scores (docs/lml.md)."""
