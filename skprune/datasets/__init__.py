"""Real data as scikit-learn Bunches, and small real models.

Each loader downloads its data on the first call and then reads them from the cache folder: ``$SKPRUNE_HOME``,
else ``$XDG_CACHE_HOME/skprune``, else ``~/.cache/skprune``. A download that fails raises `AssetError`.
skprune itself contains no data.
"""

from skprune.datasets._assets import AssetError
from skprune.datasets.debian import (
    BOILERPLATE_SECTIONS,
    load_debian,
    load_debian_summaries,
    load_debian_translations,
)
from skprune.datasets.images import load_fashion_mnist
from skprune.datasets.models import fetch_model
from skprune.datasets.splits import long_tail, split_by_group
from skprune.datasets.texts import load_brown, load_movie_snippets, load_newsgroups, load_reuters52

__all__ = [
    "BOILERPLATE_SECTIONS",
    "AssetError",
    "fetch_model",
    "load_brown",
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
