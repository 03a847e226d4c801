"""
What each filter keeps
======================

A picture of seven filters on one pool of points in the plane, where distances can be seen. 600 points
belong to a common class and 24 to a rare one. Twelve rows are labeled, three of them rare, and a logistic
regression has learned from them. Each filter keeps about 60 rows. Runs in a few seconds.

The picture shows what a filter looks at, not how good it is: see the tables of results for that.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

import skprune

# %%
# The pool: three dense groups of the common class, and the rare class beside one of them. A label of −1 means
# "not labeled yet".

rng = np.random.default_rng(0)
centers, sizes = [(-2, -1), (0, 2), (2.5, -1), (1.2, -2.6)], [200, 200, 200, 24]
pool = np.concatenate(
    [rng.normal(center, 0.65, size=(n, 2)) for center, n in zip(centers, sizes, strict=True)]
)
y = np.repeat([0, 0, 0, 1], sizes)
labeled = np.r_[rng.choice(600, 9, replace=False), 600 + rng.choice(24, 3, replace=False)]
known = np.full(len(pool), -1)
known[labeled] = y[labeled]
learner = LogisticRegression(class_weight="balanced").fit(pool[labeled], y[labeled])

# %%
# Each filter is fitted on the pool with the labels that are known. ``UPSFilter`` and ``ProxyFilter`` also use
# what the learner predicts, so they are told about a round. ``AnchorFilter`` and ``SEALSFilter`` compare
# directions (cosine similarity), so in the plane their neighbors lie on rays from the origin, the middle of
# the picture.

filters = {
    "RandomFilter": skprune.RandomFilter(keep=60, random_state=0),
    "KMeansFilter": skprune.KMeansFilter(keep=60, random_state=0),
    "AnchorFilter": skprune.AnchorFilter(n_anchors=3, n_neighbors=10, random_state=0),
    "SEALSFilter": skprune.SEALSFilter(n_neighbors=6, random_state=0),
    "UPSFilter": skprune.UPSFilter(keep=60, random_state=0),
    "ProxyFilter": skprune.ProxyFilter(keep=60, random_state=0),
    "SemiPruneFilter": skprune.SemiPruneFilter(keep=60, random_state=0),
}
figure, axes = plt.subplots(2, 4, figsize=(11, 5.6), sharex=True, sharey=True, layout="constrained")
for ax, (name, pruner) in zip(axes.flat, filters.items(), strict=False):
    pruner.fit(pool, known).partial_fit(pool[labeled], y[labeled], learner=learner)
    kept = pruner.select(pool)
    ax.scatter(*pool.T, s=6, color="0.8")
    ax.scatter(*pool[kept].T, s=14, c=np.where(y[kept] == 1, "tab:orange", "tab:blue"))
    ax.scatter(*pool[labeled].T, s=40, marker="x", color="black", linewidth=1)
    ax.set_title(f"{name}: {len(kept)} rows, {np.sum(y[kept])} rare", fontsize=10)
    ax.set(xticks=[], yticks=[])

legend = axes.flat[-1]
legend.set_axis_off()
for color, marker, label in [
    ("0.8", "o", "pool"),
    ("tab:blue", "o", "kept, common class"),
    ("tab:orange", "o", "kept, rare class"),
    ("black", "x", "labeled"),
]:
    legend.scatter([], [], color=color, marker=marker, label=label)
legend.legend(loc="center", frameon=False)
plt.show()
