"""Models: transformers and small nets as scikit-learn estimators, and causal language models."""

from skprune.models.classifier import TransformerClassifier
from skprune.models.fixmatch import FixMatchClassifier
from skprune.models.proxy import ProxyClassifier
from skprune.models.seq2seq import TransformerSeq2Seq

__all__ = ["FixMatchClassifier", "ProxyClassifier", "TransformerClassifier", "TransformerSeq2Seq"]
