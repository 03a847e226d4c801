"""Pool filters, one method a file."""

from skprune.filters.active_prune import ActivePruneFilter
from skprune.filters.anchor import AnchorFilter
from skprune.filters.entropy_interval import EntropyIntervalFilter
from skprune.filters.random import RandomFilter

__all__ = ["ActivePruneFilter", "AnchorFilter", "EntropyIntervalFilter", "RandomFilter"]
