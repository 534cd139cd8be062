"""Choosing among scored rows, without holding them in memory."""
