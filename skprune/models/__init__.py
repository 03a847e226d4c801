"""Transformers: classifiers and encoder–decoders wrapped by skorch, and causal language models."""

from skprune.models.classifier import TransformerClassifier
from skprune.models.seq2seq import TransformerSeq2Seq

__all__ = ["TransformerClassifier", "TransformerSeq2Seq"]
