"""Fine-tuning on human scores (docs/finetuning.md)."""
