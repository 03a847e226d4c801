"""Pruning of files that need not fit into memory."""

from skprune._optional import optional_imports

with optional_imports(extra="files", purpose="skprune.files"):
    from skprune.files.estimating import PruneEstimate, estimate
    from skprune.files.pruning import PruneSummary, prune
    from skprune.files.reading import read_frame, read_labeled, sample_texts
    from skprune.files.scoring import score
    from skprune.files.training import train_ngram

__all__ = [
    "PruneEstimate",
    "PruneSummary",
    "estimate",
    "prune",
    "read_frame",
    "read_labeled",
    "sample_texts",
    "score",
    "train_ngram",
]
