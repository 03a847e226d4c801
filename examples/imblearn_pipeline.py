"""Prune a training set inside imbalanced-learn's Pipeline, where a sampler may drop rows at fit.

    python examples/imblearn_pipeline.py         # twenty seconds on one core

Games among Debian's packages are a rare class (3 %). The table shows how well they are found (average
precision, cross-validated) by the same classifier after each way to prune the training rows.
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

data = load_debian("games")
rows = np.random.default_rng(0).choice(len(data.data), 3000, replace=False)
texts, y, groups = [data.data[i] for i in rows], data.target[rows], data.groups[rows]

vectors = make_pipeline(TfidfVectorizer(sublinear_tf=True), TruncatedSVD(50, random_state=0))
classifier = LogisticRegression(class_weight="balanced", max_iter=1000)
samplers = {
    "no pruning": "passthrough",
    "random rows": PruneSampler(RandomFilter(keep=0.1, random_state=0)),
    "k-means": PruneSampler(KMeansFilter(keep=0.1, random_state=0)),
    # Of each class 60 rows at least: those the filter would keep first.
    "random, 60 a class": PruneSampler(RandomFilter(keep=0.1, random_state=0), min_per_class=60),
    "undersampling": RandomUnderSampler(random_state=0),
}
for name, sampler in samplers.items():
    model = make_pipeline(*(step for _, step in vectors.steps), sampler, classifier)
    # Packages of one source are near copies: no source may stand on both sides.
    cv = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(model, texts, y, groups=groups, cv=cv, scoring="average_precision")
    kept = len(texts)
    if sampler != "passthrough":
        model.fit(texts, y)
        kept = len(model[-2].sample_indices_)
    print(f"{name:>18}: {kept:5d} of {len(texts)} rows, average precision {scores.mean():.3f}")
