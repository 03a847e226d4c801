"""Prune a training set in imbalanced-learn's Pipeline, whose steps may drop rows during fit.

    python examples/imblearn_pipeline.py         # no options; ten seconds on two cores

Games are a rare class (3 %) among Debian's package descriptions. The table shows how well one classifier
finds them (average precision, cross-validated) after each way to prune the training rows. The descriptions
are fetched once with apt, so this needs Debian or Ubuntu.
"""

import numpy as np
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

from skprune import KMeansFilter, PruneSampler, RandomFilter
from skprune.datasets import load_debian

debian = load_debian("games")
rows = np.random.default_rng(0).choice(len(debian.data), 3000, replace=False)
texts, y, groups = [debian.data[i] for i in rows], debian.target[rows], debian.groups[rows]

samplers = {
    "no pruning": "passthrough",
    "random rows": PruneSampler(RandomFilter(keep=0.1, random_state=0)),
    "k-means": PruneSampler(KMeansFilter(keep=0.1, random_state=0)),
    # At least 60 rows of each class: those that the filter ranks first.
    "random, 60 a class": PruneSampler(RandomFilter(keep=0.1, random_state=0), min_per_class=60),
    "undersampling": RandomUnderSampler(random_state=0),
}
for name, sampler in samplers.items():
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True),
        TruncatedSVD(50, random_state=0),
        sampler,
        LogisticRegression(class_weight="balanced", max_iter=1000),
    )
    # Packages built from one source are near copies: keep each source on one side of the split.
    cv = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(model, texts, y, groups=groups, cv=cv, scoring="average_precision")
    n_kept = len(texts)
    if sampler != "passthrough":
        n_kept = len(model.fit(texts, y)[-2].sample_indices_)
    print(f"{name:>18}: {n_kept:5d} of {len(texts)} rows, average precision {scores.mean():.3f}")
