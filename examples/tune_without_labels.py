"""
Tuning a filter before anybody labels
=====================================

How much of a rare class does a filter find? The script searches AnchorFilter's A and K on Debian's package
descriptions, of which 3 % are games: given 60 labeled rows, how many games of the pool are among the filter's
best 200 rows? No classifier is trained, and sentence vectors are computed once for all candidates and folds,
so a whole surface takes seconds. The search needs labels, but labels from a similar past project are enough.
The descriptions are fetched once with apt (Debian or Ubuntu), and MiniLM once (84 MB).
Runs in fifteen seconds.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded: waiting threads must not spin

from functools import partial
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from skprune import AnchorFilter, RandomFilter, pool_recall
from skprune.datasets import fetch_model, load_debian

debian = load_debian("games")
rows = np.random.default_rng(0).choice(len(debian.data), 2000, replace=False)
texts = [debian.data[i].partition("\n")[0] for i in rows]  # the first line, a synopsis, is enough
y = debian.target[rows]

# %%
# The training fold supplies the initial labels; the test fold is the pool.
options = {
    "scoring": partial(pool_recall, n_rows=200, minority=1),
    "cv": StratifiedShuffleSplit(8, train_size=60, random_state=0),
    "refit": False,
}
start = perf_counter()
search = GridSearchCV(
    AnchorFilter(encoder=fetch_model("minilm"), random_state=0),
    {"n_anchors": [1, 3, 10, 30], "n_neighbors": [10, 50, 200]},
    **options,
).fit(texts, y)
results = pd.DataFrame(search.cv_results_)
surface = results.pivot_table("mean_test_score", "param_n_anchors", "param_n_neighbors")
print(f"recall of games in 200 of {len(texts) - 60} rows, 0: as random rows, 1: all games")
print(surface.round(2))
print(f"{perf_counter() - start:.0f} seconds\n")

spread = results["std_test_score"][search.best_index_]
print(f"best: {search.best_params_}, {search.best_score_:.2f} (standard deviation over folds {spread:.2f})")
random = GridSearchCV(RandomFilter(), {"random_state": [0, 1, 2]}, **options).fit(texts, y)
print(f"random rows: {random.cv_results_['mean_test_score'].mean():.2f}")
