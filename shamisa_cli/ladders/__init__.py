"""Severity ladders: making them, ordering by them, heads fitted with them, calibration."""
