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
curves = []
for name, pruner in filters.items():
    for seed in range(4):
        simulator = skprune.ActiveLearningSimulator(
            LogisticRegression(class_weight="balanced", C=10),
            Entropy(),
            pruner,
            n_instances=20,
            n_rounds=10,
            n_initial=30,
            scoring="f1",
            random_state=seed,
        ).fit(pool, y_pool, X_val=test, y_val=y_test)
        curves.append(simulator.learning_curve_.assign(filter=name, seed=seed))
curves = pd.concat(curves)

# %%
# A line is the mean over the four runs, a band reaches from the lowest to the highest.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
titles = {"minority_found": "share of the rare class that is labeled", "f1": "its F1"}
for ax, (column, title) in zip(axes, titles.items(), strict=True):
    for name in filters:
        runs = curves[curves["filter"] == name].groupby("labels")[column].agg(["mean", "min", "max"])
        (line,) = ax.plot(runs.index, runs["mean"], label=name)
        ax.fill_between(runs.index, runs["min"], runs["max"], alpha=0.12, color=line.get_color())
    ax.set(title=title, xlabel="labels")
    ax.grid(alpha=0.3)
axes[0].legend(frameon=False)
plt.show()

# %%
# What a round costs: the rows that the strategy looked at, and the seconds of filter and strategy.

rounds = curves[curves["round"] > 0].groupby("filter", sort=False)
print(rounds[["subpool", "select_seconds"]].mean().round(3))
