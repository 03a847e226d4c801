"""Transformers that scikit-learn can fine-tune."""

from skprune.models.classifier import TransformerClassifier
from skprune.models.seq2seq import TransformerSeq2Seq

__all__ = ["TransformerClassifier", "TransformerSeq2Seq"]
