"""Pre-training: the objective, the loop, its checkpoints and its logs."""
