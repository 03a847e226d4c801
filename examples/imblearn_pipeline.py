"""
Pruning in imbalanced-learn's Pipeline
======================================

The steps of imbalanced-learn's Pipeline may drop rows during ``fit``, so a filter can be one of them. Games
are a rare class (3 %) among Debian's package descriptions. The bars show how well one classifier finds them
(average precision, cross-validated) after each way to prune the training rows. The descriptions are fetched
once with apt, so this needs Debian or Ubuntu. Runs in ten seconds.
"""

import matplotlib.pyplot as plt
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

# %%
# Five ways to prune. A Pipeline prunes only the rows that it is trained on, never those it predicts.

samplers = {
    "no pruning": "passthrough",
    "random rows": PruneSampler(RandomFilter(keep=0.1, random_state=0)),
    "k-means": PruneSampler(KMeansFilter(keep=0.1, random_state=0)),
    # At least 60 rows of each class: those that the filter ranks first.
    "random, 60 a class": PruneSampler(RandomFilter(keep=0.1, random_state=0), min_per_class=60),
    "undersampling": RandomUnderSampler(random_state=0),
}
means = {}
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
    means[name] = scores.mean()
    n_kept = len(texts)
    if sampler != "passthrough":
        n_kept = len(model.fit(texts, y)[-2].sample_indices_)
    print(f"{name:>18}: {n_kept:5d} of {len(texts)} rows, average precision {means[name]:.3f}")

# %%

plt.figure(figsize=(6, 2.5), layout="constrained")
plt.barh(list(means)[::-1], list(means.values())[::-1])
plt.xlabel("average precision, mean of three folds")
plt.show()
