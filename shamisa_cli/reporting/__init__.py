"""Rows to a report: one page that shows the photos by their scores, and opens in any browser."""

from shamisa_cli.reporting.write import write_report

__all__ = ["write_report"]
