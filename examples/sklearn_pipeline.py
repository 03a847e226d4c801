"""Prune a training set inside scikit-learn: a Pipeline, cross-validation, a grid search.

    python examples/sklearn_pipeline.py          # half a minute on one core

Two of 20 Newsgroups' classes, computer graphics against space: how accurate is the same classifier when it is
trained on a part of the rows? (Lowest perplexity first, the low end of the temperature, is no good way to
prune a training set: the n-gram model of the rows themselves prefers what is repeated in them.)
"""

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skprune import ActivePruneFilter, KMeansFilter, PrunedClassifier, RandomFilter
from skprune.datasets import load_newsgroups

data = load_newsgroups("train")
wanted = [data.target_names.index(name) for name in ("comp.graphics", "sci.space")]
rows = [i for i, label in enumerate(data.target) if label in wanted]
texts, y = [data.data[i] for i in rows], data.target[rows]

# A filter of vectors: the last step of a Pipeline that makes them. Nothing is pruned when it predicts.
classifier = LogisticRegression(C=10)
for name, pruner in {
    "random": RandomFilter(keep=0.1, random_state=0),
    "k-means": KMeansFilter(keep=0.1, random_state=0),
}.items():
    model = make_pipeline(TfidfVectorizer(), PrunedClassifier(pruner, classifier))
    print(f"{name:>8}, a tenth of the rows: accuracy {cross_val_score(model, texts, y, cv=3).mean():.3f}")
whole = make_pipeline(TfidfVectorizer(), classifier)
print(f"{'':>8}  all of the rows:     accuracy {cross_val_score(whole, texts, y, cv=3).mean():.3f}\n")

# A filter of texts goes around the whole pipeline. Both parts are searched by name. Perplexities are computed
# once a training set, not once a candidate; with memory="folder" and n_jobs, worker processes share them.
# (beta, ActivePrune's reweighting, works from the second round of labeling on: nothing to search here.)
search = GridSearchCV(
    PrunedClassifier(ActivePruneFilter(quality=None, random_state=0), whole),
    {
        "filter__keep": [0.05, 0.1, 0.25, 0.5],
        "filter__temperature": [0.05, 0.5, 5.0],
        "estimator__logisticregression__C": [10],
    },
    cv=3,
).fit(texts, y)
surface = pd.DataFrame(search.cv_results_).pivot_table(
    "mean_test_score", "param_filter__keep", "param_filter__temperature"
)
print(surface.round(3), "\n")

best = search.best_estimator_
print(f"best: {search.best_params_}; trained on {len(best.support_)} of {len(texts)} rows")
print(best.filter_.explain()["reason"].value_counts().to_string())
