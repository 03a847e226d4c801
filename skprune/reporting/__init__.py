"""One page that says what a filter kept, and why."""

from skprune.reporting.page import Report, report

__all__ = ["Report", "report"]
