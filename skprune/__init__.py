"""Prune what you label: pool filters for active learning and data selection behind scikit-learn's contract.

Names are imported when they are first used, so that ``import skprune`` takes no time and needs no optional
dependency.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME_OF = {
    "ActiveLearningSimulator": "skprune.simulate",
    "ActivePruneFilter": "skprune.filters.active_prune",
    "AnchorFilter": "skprune.filters.anchor",
    "AskLLMFilter": "skprune.filters.ask_llm",
    "KMeansFilter": "skprune.filters.kmeans",
    "PerplexityFilter": "skprune.filters.perplexity",
    "EntropyIntervalFilter": "skprune.filters.entropy_interval",
    "RandomFilter": "skprune.filters.random",
    "SEALSFilter": "skprune.filters.seals",
    "SemiPruneFilter": "skprune.filters.semi_prune",
    "UPSFilter": "skprune.filters.ups",
    "BaseFilter": "skprune.base",
    "CausalLMScorer": "skprune.scorers.causal_lm",
    "GenerativeEntropy": "skprune.scorers.entropy",
    "InformationEntropy": "skprune.scorers.entropy",
    "LearningCurveScorer": "skprune.simulate",
    "NGramScorer": "skprune.scorers.ngram",
    "QualityScorer": "skprune.scorers.quality",
    "SampledSemanticEntropy": "skprune.scorers.semantic",
    "SemanticEntropy": "skprune.scorers.semantic",
    "SentenceEncoder": "skprune.encoders",
    "TfidfEncoder": "skprune.encoders",
    "FixMatchClassifier": "skprune.models.fixmatch",
    "ProxyClassifier": "skprune.models.proxy",
    "TransformerClassifier": "skprune.models.classifier",
    "PrunedClassifier": "skprune.compose",
    "PrunedEstimator": "skprune.compose",
    "TransformerSeq2Seq": "skprune.models.seq2seq",
    "PrunedQuery": "skprune.query",
    "PruneSampler": "skprune.sampler",
    "pool_recall": "skprune.pool_scoring",
    "OverallUncertainty": "skprune.simulate",
    "StabilizingPredictions": "skprune.simulate",
    "ValidationPlateau": "skprune.simulate",
    "EmptyPoolError": "skprune.exceptions",
    "ModelLoadError": "skprune.exceptions",
    "PoolExhaustedError": "skprune.exceptions",
}

__all__ = [
    "ActiveLearningSimulator",
    "ActivePruneFilter",
    "AnchorFilter",
    "AskLLMFilter",
    "BaseFilter",
    "CausalLMScorer",
    "EmptyPoolError",
    "EntropyIntervalFilter",
    "FixMatchClassifier",
    "GenerativeEntropy",
    "InformationEntropy",
    "KMeansFilter",
    "LearningCurveScorer",
    "ModelLoadError",
    "NGramScorer",
    "OverallUncertainty",
    "PerplexityFilter",
    "PoolExhaustedError",
    "ProxyClassifier",
    "PruneSampler",
    "PrunedClassifier",
    "PrunedEstimator",
    "PrunedQuery",
    "QualityScorer",
    "RandomFilter",
    "SEALSFilter",
    "SampledSemanticEntropy",
    "SemanticEntropy",
    "SemiPruneFilter",
    "SentenceEncoder",
    "StabilizingPredictions",
    "TfidfEncoder",
    "TransformerClassifier",
    "TransformerSeq2Seq",
    "UPSFilter",
    "ValidationPlateau",
    "pool_recall",
]

if TYPE_CHECKING:
    from skprune.base import BaseFilter
    from skprune.compose import PrunedClassifier, PrunedEstimator
    from skprune.encoders import SentenceEncoder, TfidfEncoder
    from skprune.exceptions import EmptyPoolError, ModelLoadError, PoolExhaustedError
    from skprune.filters.active_prune import ActivePruneFilter
    from skprune.filters.anchor import AnchorFilter
    from skprune.filters.ask_llm import AskLLMFilter
    from skprune.filters.entropy_interval import EntropyIntervalFilter
    from skprune.filters.kmeans import KMeansFilter
    from skprune.filters.perplexity import PerplexityFilter
    from skprune.filters.random import RandomFilter
    from skprune.filters.seals import SEALSFilter
    from skprune.filters.semi_prune import SemiPruneFilter
    from skprune.filters.ups import UPSFilter
    from skprune.models.classifier import TransformerClassifier
    from skprune.models.fixmatch import FixMatchClassifier
    from skprune.models.proxy import ProxyClassifier
    from skprune.models.seq2seq import TransformerSeq2Seq
    from skprune.pool_scoring import pool_recall
    from skprune.query import PrunedQuery
    from skprune.sampler import PruneSampler
    from skprune.scorers.causal_lm import CausalLMScorer
    from skprune.scorers.entropy import GenerativeEntropy, InformationEntropy
    from skprune.scorers.ngram import NGramScorer
    from skprune.scorers.quality import QualityScorer
    from skprune.scorers.semantic import SampledSemanticEntropy, SemanticEntropy
    from skprune.simulate import (
        ActiveLearningSimulator,
        LearningCurveScorer,
        OverallUncertainty,
        StabilizingPredictions,
        ValidationPlateau,
    )


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'skprune' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
