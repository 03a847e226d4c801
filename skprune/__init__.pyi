# The public names and where they are defined; __init__.py attaches them lazily from this file.
from .annotation import read_labels, write_tasks
from .base import BaseFilter
from .compose import PrunedClassifier, PrunedEstimator
from .encoders import SentenceEncoder, TfidfEncoder
from .exceptions import EmptyPoolError, LostClassWarning, ModelLoadError, PoolExhaustedError, ServerError
from .filters.active_prune import ActivePruneFilter
from .filters.anchor import AnchorFilter
from .filters.ask_llm import AskLLMFilter
from .filters.drop_filter import DRoPFilter
from .filters.entropy_interval.filter import EntropyIntervalFilter
from .filters.filter_chain import FilterChain, make_filter_chain
from .filters.filter_union import FilterUnion, make_filter_union
from .filters.kmeans import KMeansFilter
from .filters.perplexity import PerplexityFilter
from .filters.plausibility import PlausibilityFilter
from .filters.proxy_filter import ProxyFilter
from .filters.quota_filter import QuotaFilter
from .filters.random import RandomFilter
from .filters.seals import SEALSFilter
from .filters.semi_prune.filter import SemiPruneFilter
from .filters.semi_prune.fixmatch import FixMatchClassifier
from .filters.semi_prune.proxy import ProxyClassifier
from .filters.ups import UPSFilter
from .models.classifier import TransformerClassifier
from .models.seq2seq import TransformerSeq2Seq
from .pool_scoring import pool_recall
from .prefetch import Prefetch
from .query import PrunedQuery
from .reporting.page import report
from .sampler import PruneSampler
from .scorers.causal_lm import CausalLMScorer
from .scorers.distilled import DistilledScorer
from .scorers.entropy import GenerativeEntropy, InformationEntropy
from .scorers.ngram import NGramScorer
from .scorers.quality import QualityScorer
from .scorers.sampled_semantic import SampledSemanticEntropy
from .scorers.semantic import SemanticEntropy
from .simulate import (
    ActiveLearningSimulator,
    LearningCurveScorer,
    OverallUncertainty,
    StabilizingPredictions,
    ValidationPlateau,
)

__version__: str

__all__ = [
    "ActiveLearningSimulator",
    "ActivePruneFilter",
    "AnchorFilter",
    "AskLLMFilter",
    "BaseFilter",
    "CausalLMScorer",
    "DRoPFilter",
    "DistilledScorer",
    "EmptyPoolError",
    "EntropyIntervalFilter",
    "FilterChain",
    "FilterUnion",
    "FixMatchClassifier",
    "GenerativeEntropy",
    "InformationEntropy",
    "KMeansFilter",
    "LearningCurveScorer",
    "LostClassWarning",
    "ModelLoadError",
    "NGramScorer",
    "OverallUncertainty",
    "PerplexityFilter",
    "PlausibilityFilter",
    "PoolExhaustedError",
    "Prefetch",
    "ProxyClassifier",
    "ProxyFilter",
    "PruneSampler",
    "PrunedClassifier",
    "PrunedEstimator",
    "PrunedQuery",
    "QualityScorer",
    "QuotaFilter",
    "RandomFilter",
    "SEALSFilter",
    "SampledSemanticEntropy",
    "SemanticEntropy",
    "SemiPruneFilter",
    "SentenceEncoder",
    "ServerError",
    "StabilizingPredictions",
    "TfidfEncoder",
    "TransformerClassifier",
    "TransformerSeq2Seq",
    "UPSFilter",
    "ValidationPlateau",
    "make_filter_chain",
    "make_filter_union",
    "pool_recall",
    "read_labels",
    "report",
    "write_tasks",
]
