"""Tune a filter before anybody labels anything: how much of a rare class does it find?

    python examples/tune_without_labels.py       # a minute on one core

AnchorFilter's A and K on Debian's package descriptions: of a pool with 3 % games, how many of them are among
the best 200 rows, given 60 labeled rows? No classifier is trained, so that a whole surface takes seconds
once the sentence vectors are there. They are computed once for all candidates and folds.

The rows used for tuning need labels, but those of an older project of the kind will do: labels of the pool at
hand are not spent on it.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads must not spin

from functools import partial
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from skprune import AnchorFilter, RandomFilter, pool_recall
from skprune.datasets import fetch_model, load_debian

data = load_debian("games")
rows = np.random.default_rng(0).choice(len(data.data), 2000, replace=False)
texts, y = [data.data[i].partition("\n")[0] for i in rows], data.target[rows]  # the synopsis is enough here

# The training fold of a search are the labels at the start, the test fold is the pool.
starts = StratifiedShuffleSplit(8, train_size=60, random_state=0)
how = {"scoring": partial(pool_recall, n_rows=200, minority=1), "cv": starts, "refit": False}

begin = perf_counter()
search = GridSearchCV(
    AnchorFilter(encoder=fetch_model("minilm"), random_state=0),
    {"n_anchors": [1, 3, 10, 30], "n_neighbors": [10, 50, 200]},
    **how,
).fit(texts, y)
results = pd.DataFrame(search.cv_results_)
surface = results.pivot_table("mean_test_score", "param_n_anchors", "param_n_neighbors")
print(f"games among 200 of {len(texts) - 60} rows; 0 as at random, 1 all ({perf_counter() - begin:.0f} s):")
print(surface.round(2), "\n")
print(f"best: {search.best_params_}, {search.best_score_:.2f} (standard deviation over starts ", end="")
print(f"{results['std_test_score'][search.best_index_]:.2f})")
random = GridSearchCV(RandomFilter(), {"random_state": [0, 1, 2]}, **how).fit(texts, y)
print(f"random rows: {random.cv_results_['mean_test_score'].mean():.2f}")
