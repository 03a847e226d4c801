"""
Active learning with small-text
===============================

A query strategy of small-text gets the indices of the unlabeled rows. ``PrunedQueryStrategy``, which you can
copy into your project, passes on only those that the filter keeps, and tells the filter each new label. The
texts are two classes of 20 Newsgroups, fetched once. Install small-text with ``pip install small-text``.
Runs in ten seconds.
"""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from small_text import (
    LeastConfidence,
    PoolBasedActiveLearner,
    QueryStrategy,
    SklearnClassifierFactory,
    SklearnDataset,
)

from skprune import AnchorFilter
from skprune.datasets import load_newsgroups

# %%
# The class to copy.


class PrunedQueryStrategy(QueryStrategy):
    """Apply a small-text strategy to the rows that a filter keeps.

    ``texts`` are the rows of the dataset, in its order. The filter is fitted on them at the first query.
    """

    def __init__(self, base_query_strategy, filter, texts):
        self.base_query_strategy = base_query_strategy
        self.filter = filter
        self.texts = texts
        self.known = set()  # labeled rows that the filter has been told about

    def query(self, clf, dataset, indices_unlabeled, indices_labeled, y, n=10):
        """Return the indices of ``n`` rows of the dataset."""
        if not self.known:
            self.filter.fit(self.texts)
        new = [i for i, row in enumerate(indices_labeled) if row not in self.known]
        if new:
            rows = indices_labeled[new]
            self.filter.partial_fit([self.texts[row] for row in rows], y[new])
            self.known.update(rows.tolist())
        unlabeled = [self.texts[row] for row in indices_unlabeled]
        subpool = indices_unlabeled[self.filter.select(unlabeled, min_rows=n)]
        return self.base_query_strategy.query(clf, dataset, subpool, indices_labeled, y, n=n)


# %%
# It wraps any strategy of small-text.

news = load_newsgroups("all")
graphics, space = (news.target_names.index(name) for name in ("comp.graphics", "sci.space"))
rows = np.flatnonzero(np.isin(news.target, [graphics, space]))
labels = (news.target[rows] == space).astype(int)
texts, test_texts, y, y_test = train_test_split(
    [news.data[i] for i in rows], labels, train_size=1000, test_size=400, random_state=0
)
vectorizer = TfidfVectorizer(sublinear_tf=True)
dataset = SklearnDataset(vectorizer.fit_transform(texts), y, target_labels=np.array([0, 1]))
test = SklearnDataset(vectorizer.transform(test_texts), y_test, target_labels=np.array([0, 1]))

pruner = AnchorFilter(n_neighbors=20, max_subpool=300, random_state=0)
classifiers = SklearnClassifierFactory(LogisticRegression(C=10), num_classes=2)
learner = PoolBasedActiveLearner(classifiers, PrunedQueryStrategy(LeastConfidence(), pruner, texts), dataset)
learner.initialize_data(np.arange(20), y[:20])
accuracies = []
for number in range(1, 11):
    rows = learner.query(num_samples=10)
    learner.update(y[rows])  # in a real project, people label the rows here
    accuracies.append(float((learner.classifier.predict(test) == y_test).mean()))
    print(f"round {number:2d}  accuracy {accuracies[-1]:.3f}")
