"""One self-contained HTML page about a model and a test of it."""

from pyhits.report.page import write_report

__all__ = ["write_report"]
