"""Texts to numbers, one kind a file."""

from skprune.scorers.causal_lm import CausalLMScorer
from skprune.scorers.entropy import GenerativeEntropy, InformationEntropy
from skprune.scorers.ngram import NGramScorer
from skprune.scorers.quality import QualityScorer
from skprune.scorers.semantic import SampledSemanticEntropy, SemanticEntropy

__all__ = [
    "CausalLMScorer",
    "GenerativeEntropy",
    "InformationEntropy",
    "NGramScorer",
    "QualityScorer",
    "SampledSemanticEntropy",
    "SemanticEntropy",
]
