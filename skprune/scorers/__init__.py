"""Texts to numbers, one kind a file."""

from skprune.scorers.ngram import NGramScorer
from skprune.scorers.quality import QualityScorer

__all__ = ["NGramScorer", "QualityScorer"]
