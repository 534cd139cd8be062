"""Why a photo has its score: what it looks like, and where it looks bad."""
