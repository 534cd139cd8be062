"""Maps of features: near pictures look alike to the encoder."""
