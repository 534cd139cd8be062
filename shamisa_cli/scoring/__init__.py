"""Photos to scores: the Scorer, its files of rows, its tables."""
