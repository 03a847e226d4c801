"""Transformers that are fine-tuned on labeled texts, as scikit-learn estimators.

The modules of this package import torch, transformers and skorch at their top. Python runs this file before
any of them, so that a missing package gives an error that names the extra to install.
"""

from skprune._optional import optional_imports

with optional_imports(extra="models", purpose="Fine-tuning a transformer"):
    from skprune.models.classifier import TransformerClassifier
    from skprune.models.seq2seq import TransformerSeq2Seq

__all__ = ["TransformerClassifier", "TransformerSeq2Seq"]
