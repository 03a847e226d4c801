"""Scorers turn texts into numbers; each file holds one kind of score."""

from skprune.scorers.causal_lm import CausalLMScorer
from skprune.scorers.distilled import DistilledScorer
from skprune.scorers.entropy import GenerativeEntropy, InformationEntropy
from skprune.scorers.ngram import NGramScorer
from skprune.scorers.quality import QualityScorer
from skprune.scorers.sampled_semantic import SampledSemanticEntropy
from skprune.scorers.semantic import SemanticEntropy

__all__ = [
    "CausalLMScorer",
    "DistilledScorer",
    "GenerativeEntropy",
    "InformationEntropy",
    "NGramScorer",
    "QualityScorer",
    "SampledSemanticEntropy",
    "SemanticEntropy",
]
