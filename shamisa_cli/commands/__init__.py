"""One command a file. Nothing heavy is imported at the top of these modules (no torch, no timm)."""
