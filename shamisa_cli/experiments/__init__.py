"""The paper's experiments: ablations, studies of them, and models that attack each other (gMAD)."""
