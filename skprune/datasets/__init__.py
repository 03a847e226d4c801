"""Real data as scikit-learn Bunches, and models that install everywhere.

The loaders download what they need once (see `skprune.datasets._assets`); nothing is shipped with skprune.
"""

from skprune.datasets.debian import (
    BOILERPLATE_SECTIONS,
    load_debian,
    load_debian_summaries,
    load_debian_translations,
)
from skprune.datasets.images import load_fashion_mnist
from skprune.datasets.models import fetch_model
from skprune.datasets.splits import long_tail, split_by_group
from skprune.datasets.texts import load_movie_snippets, load_newsgroups, load_reuters52

__all__ = [
    "BOILERPLATE_SECTIONS",
    "fetch_model",
    "load_debian",
    "load_debian_summaries",
    "load_debian_translations",
    "load_fashion_mnist",
    "load_movie_snippets",
    "load_newsgroups",
    "load_reuters52",
    "long_tail",
    "split_by_group",
]
