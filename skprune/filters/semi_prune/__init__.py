"""SemiPrune: the filter, its classifiers and views, the training dynamics and the coresets."""

from skprune.filters.semi_prune.filter import SemiPruneFilter
from skprune.filters.semi_prune.fixmatch import FixMatchClassifier
from skprune.filters.semi_prune.proxy import ProxyClassifier

__all__ = ["FixMatchClassifier", "ProxyClassifier", "SemiPruneFilter"]
