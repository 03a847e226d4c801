"""
Pruning a training set in scikit-learn
======================================

A filter in a Pipeline, in cross-validation and in a grid search. The script compares the accuracy of one
classifier trained on random rows, on k-means rows and on all rows of two classes of 20 Newsgroups (fetched
once). Runs in ten seconds.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skprune import ActivePruneFilter, KMeansFilter, PrunedClassifier, RandomFilter
from skprune.datasets import load_newsgroups

news = load_newsgroups("train")
wanted = [news.target_names.index(name) for name in ("comp.graphics", "sci.space")]
rows = [i for i, label in enumerate(news.target) if label in wanted]
texts, y = [news.data[i] for i in rows], news.target[rows]

# %%
# A filter that reads vectors goes into the last step, after the vectorizer. Only training rows are pruned:
# the model predicts every row it is given.
classifier = LogisticRegression(C=10)
pruners = {
    "random": RandomFilter(keep=0.1, random_state=0),
    "k-means": KMeansFilter(keep=0.1, random_state=0),
}
for name, pruner in pruners.items():
    model = make_pipeline(TfidfVectorizer(), PrunedClassifier(classifier, pruner))
    print(f"{name:>8}, a tenth of the rows: accuracy {cross_val_score(model, texts, y, cv=3).mean():.3f}")
unpruned = make_pipeline(TfidfVectorizer(), classifier)
print(f"{'':>8}  all of the rows:     accuracy {cross_val_score(unpruned, texts, y, cv=3).mean():.3f}\n")

# %%
# A filter that reads texts goes around the whole pipeline. The search reaches the parameters of both parts by
# name. Perplexities are computed once per training fold and shared by all candidates; to share them between
# worker processes (n_jobs), give the filter a folder: memory="scores".
search = GridSearchCV(
    PrunedClassifier(unpruned, ActivePruneFilter(quality=None, random_state=0)),
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

plt.figure(figsize=(5, 3.5), layout="constrained")
plt.imshow(surface, origin="lower", aspect="auto")
plt.xticks(range(3), surface.columns)
plt.yticks(range(4), surface.index)
plt.xlabel("temperature")
plt.ylabel("share kept")
plt.colorbar(label="accuracy")
plt.show()

# %%
# The lowest perplexity, at the low end of the temperature, is a poor choice here: the n-gram model is trained
# on the same rows and prefers repeated text.

best = search.best_estimator_
print(f"best: {search.best_params_}; trained on {best.support_.sum()} of {len(texts)} rows")
print(best.filter_.explain()["reason"].value_counts().to_string())
