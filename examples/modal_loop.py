"""
Active learning with modAL
==========================

modAL's ActiveLearner and Committee, with a filter in front of each query strategy. Three learners label two
classes of 20 Newsgroups (fetched once): one asks for the rows it is least sure of, a committee for the rows
its members disagree about, and one for ranked batches of rows that differ from each other. Ranked batches
are slow on a whole pool, but not on the 300 rows that the filter keeps. Install modAL with
``pip install --no-deps modAL-python``. Runs in fifteen seconds.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from modAL.disagreement import consensus_entropy_sampling
from modAL.uncertainty import uncertainty_sampling
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import make_pipeline

from skprune import AnchorFilter, PrunedQuery
from skprune.datasets import load_newsgroups
from skprune.modal import ActiveLearner, Committee, uncertainty_batch_sampling

news = load_newsgroups("all")
graphics, space = (news.target_names.index(name) for name in ("comp.graphics", "sci.space"))
rows = np.flatnonzero(np.isin(news.target, [graphics, space]))
texts, test_texts, y, y_test = train_test_split(
    [news.data[i] for i in rows], news.target[rows] == space, train_size=1000, test_size=400, random_state=0
)


def pruned(strategy):
    """Return a query that shows the strategy at most 300 rows of the pool."""
    return PrunedQuery(AnchorFilter(n_neighbors=20, max_subpool=300, random_state=0), strategy)


def make_learner(classifier, **options):
    """Return a learner that reads texts and knows the first 20 labels."""
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True), classifier)
    return ActiveLearner(model, X_training=texts[:20], y_training=y[:20], **options)


# %%
# The learners: each has the same filter in front of a strategy of modAL's own, or of ``skprune.modal``.

members = [
    make_learner(LogisticRegression(C=10), bootstrap_init=True, random_state=0),
    make_learner(LogisticRegression(C=10), bootstrap_init=True, random_state=1),
    make_learner(ComplementNB()),
]
learners = {
    "learner": make_learner(LogisticRegression(C=10), query_strategy=pruned(uncertainty_sampling)),
    "committee": Committee(members, pruned(consensus_entropy_sampling)),
    "ranked batches": make_learner(
        LogisticRegression(C=10), query_strategy=pruned(uncertainty_batch_sampling), on_transformed=True
    ),
}

# %%
# Ten rounds of ten labels.

accuracies = {name: [] for name in learners}
for name, learner in learners.items():
    pool, labels = texts[20:], y[20:]
    for _ in range(10):
        indices, rows = learner.query(pool, n_instances=10)
        learner.teach(rows, labels[indices])  # in a real project, people label the rows here
        left = np.setdiff1d(np.arange(len(pool)), indices)
        pool, labels = [pool[i] for i in left], labels[left]
        accuracies[name].append(learner.score(test_texts, y_test))
    n_seen = len(learner.query_strategy.subpool_)
    print(f"{name:<14}  {n_seen} rows seen in the last round  accuracy {accuracies[name][-1]:.3f}")

table = pd.DataFrame(accuracies, index=pd.RangeIndex(30, 130, 10, name="labels"))
table.plot(ylabel="accuracy on held-out posts", figsize=(6, 3.5))
plt.show()
