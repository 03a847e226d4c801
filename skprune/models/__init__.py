"""Transformers: classifiers wrapped by skorch, and causal language models."""

from skprune.models.classifier import TransformerClassifier

__all__ = ["TransformerClassifier"]
