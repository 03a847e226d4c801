"""Pool filters, one method a file."""

from skprune.filters.active_prune import ActivePruneFilter
from skprune.filters.anchor import AnchorFilter
from skprune.filters.ask_llm import AskLLMFilter
from skprune.filters.entropy_interval.filter import EntropyIntervalFilter
from skprune.filters.kmeans import KMeansFilter
from skprune.filters.perplexity import PerplexityFilter
from skprune.filters.proxy_filter import ProxyFilter
from skprune.filters.random import RandomFilter
from skprune.filters.seals import SEALSFilter
from skprune.filters.semi_prune.filter import SemiPruneFilter
from skprune.filters.ups import UPSFilter

__all__ = [
    "ActivePruneFilter",
    "AnchorFilter",
    "AskLLMFilter",
    "EntropyIntervalFilter",
    "KMeansFilter",
    "PerplexityFilter",
    "ProxyFilter",
    "RandomFilter",
    "SEALSFilter",
    "SemiPruneFilter",
    "UPSFilter",
]
