"""
Learning curves of filters
==========================

Which filter finds a rare class, and does it help the classifier? ``ActiveLearningSimulator`` plays the whole
loop on data whose labels are known. Here one of the 20 newsgroups (fetched once, 32 MB) stands for the rare
class, 5 % of 3,000 posts. Runs in a minute on one core.

Four runs per filter on one pool show how the curves are made. They do not rank the filters: see the tables
of results, which have more seeds, more pools and tests.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import skprune
from skprune.datasets import load_newsgroups
from skprune.plotting import SimulationCurveDisplay
from skprune.strategies import Entropy

news = load_newsgroups("all")
rows = np.random.default_rng(0).permutation(len(news.data))[:5000]
encoder = skprune.TfidfEncoder(n_components=100).fit([news.data[i] for i in rows])
vectors = encoder([news.data[i] for i in rows])
y = (news.target[rows] == news.target_names.index("sci.space")).astype(int)
pool, test, y_pool, y_test = train_test_split(vectors, y, train_size=3000, stratify=y, random_state=0)
print(f"{y_pool.sum()} of {len(pool)} rows of the pool are rare")

# %%
# All filters but the first show the strategy at most 300 rows per round. A run begins with 30 labels and adds
# 20 in each of ten rounds.

filters = {
    "no filter": None,
    "RandomFilter": skprune.RandomFilter(keep=300),
    "KMeansFilter": skprune.KMeansFilter(keep=300),
    "AnchorFilter": skprune.AnchorFilter(keep=300),
    "ProxyFilter": skprune.ProxyFilter(keep=300),
}
runs = {
    name: [
        skprune.ActiveLearningSimulator(
            LogisticRegression(class_weight="balanced", C=10),
            Entropy(),
            pruner,
            n_instances=20,
            n_rounds=10,
            n_initial=30,
            scoring="f1",
            random_state=seed,
        ).fit(pool, y_pool, X_val=test, y_val=y_test)
        for seed in range(4)
    ]
    for name, pruner in filters.items()
}

# %%
# A line is the mean over the four runs, a band its 95 % confidence interval. The right legend has the paired
# differences from no filter, with p-values adjusted for four comparisons.

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.5), layout="constrained")
SimulationCurveDisplay.from_simulators(runs, metric="minority_found", ax=left)
SimulationCurveDisplay.from_simulators(runs, metric="f1", baseline="no filter", ax=right)
plt.show()

# %%
# What a round costs: the rows that the strategy looked at, and the seconds of filter and strategy.

for name, simulators in runs.items():
    rounds = pd.concat([simulator.learning_curve_[1:] for simulator in simulators])
    print(f"{name:<12} {rounds['subpool'].mean():6.1f} rows  {rounds['select_seconds'].mean():.3f} s")
