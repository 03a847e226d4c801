"""Models: transformers and small nets as scikit-learn classifiers, and causal language models."""

from skprune.models.classifier import TransformerClassifier
from skprune.models.fixmatch import FixMatchClassifier
from skprune.models.proxy import ProxyClassifier

__all__ = ["FixMatchClassifier", "ProxyClassifier", "TransformerClassifier"]
