"""The Hugging Face Hub: names, its cache, transfers, and what can go wrong; nothing of models."""
