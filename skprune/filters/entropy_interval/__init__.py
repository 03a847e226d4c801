"""EUDS: the filter, and the search for its interval."""

from skprune.filters.entropy_interval.filter import EntropyIntervalFilter

__all__ = ["EntropyIntervalFilter"]
