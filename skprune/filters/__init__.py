"""Pool filters, one method a file."""

from skprune.filters.active_prune import ActivePruneFilter
from skprune.filters.anchor import AnchorFilter
from skprune.filters.ask_llm import AskLLMFilter
from skprune.filters.drop_filter import DRoPFilter
from skprune.filters.entropy_interval.filter import EntropyIntervalFilter
from skprune.filters.filter_chain import FilterChain, make_filter_chain
from skprune.filters.filter_union import FilterUnion, make_filter_union
from skprune.filters.kmeans import KMeansFilter
from skprune.filters.perplexity import PerplexityFilter
from skprune.filters.plausibility import PlausibilityFilter
from skprune.filters.proxy_filter import ProxyFilter
from skprune.filters.quota_filter import QuotaFilter
from skprune.filters.random import RandomFilter
from skprune.filters.seals import SEALSFilter
from skprune.filters.semi_prune.filter import SemiPruneFilter
from skprune.filters.ups import UPSFilter

__all__ = [
    "ActivePruneFilter",
    "AnchorFilter",
    "AskLLMFilter",
    "DRoPFilter",
    "EntropyIntervalFilter",
    "FilterChain",
    "FilterUnion",
    "KMeansFilter",
    "PerplexityFilter",
    "PlausibilityFilter",
    "ProxyFilter",
    "QuotaFilter",
    "RandomFilter",
    "SEALSFilter",
    "SemiPruneFilter",
    "UPSFilter",
    "make_filter_chain",
    "make_filter_union",
]
