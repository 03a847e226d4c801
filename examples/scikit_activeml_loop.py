"""
Active learning with scikit-activeml
====================================

scikit-activeml chooses among the rows that a filter keeps: ``candidates=pruner.select(texts)``. It works on
vectors, and the filter reads the texts; row i is the same in both. Both libraries mark a missing label with
NaN. The texts are two classes of 20 Newsgroups, fetched once. Install it with
``pip install scikit-activeml``. Runs in five seconds.
"""

import matplotlib.pyplot as plt
import numpy as np
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import UncertaintySampling
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skprune import AnchorFilter, TfidfEncoder
from skprune.datasets import load_newsgroups

news = load_newsgroups("all")
graphics, space = (news.target_names.index(name) for name in ("comp.graphics", "sci.space"))
rows = np.flatnonzero(np.isin(news.target, [graphics, space]))
texts, test_texts, truth, y_test = train_test_split(
    [news.data[i] for i in rows], news.target[rows] == space, train_size=1000, test_size=400, random_state=0
)
encoder = TfidfEncoder(n_components=100).fit(texts)
vectors, test_vectors = encoder(texts), encoder(test_texts)

# %%
# Twenty rows are labeled at the start, and ten more in each round.

y = np.full(len(texts), np.nan)
y[:20] = truth[:20]
pruner = AnchorFilter(n_neighbors=20, max_subpool=300, random_state=0).fit(texts, y)
classifier = SklearnClassifier(LogisticRegression(C=10), classes=[0, 1])
strategy = UncertaintySampling(method="least_confident", random_state=0)
accuracies = []
for number in range(1, 11):
    candidates = pruner.select(texts)  # never includes labeled rows
    rows = strategy.query(vectors, y, clf=classifier, candidates=candidates, batch_size=10)
    y[rows] = truth[rows]  # in a real project, people label the rows here
    pruner.partial_fit([texts[row] for row in rows], y[rows])
    accuracies.append(classifier.fit(vectors, y).score(test_vectors, y_test))
    print(f"round {number:2d}  {len(candidates)} of {len(texts)} rows seen  accuracy {accuracies[-1]:.3f}")

# %%

plt.figure(figsize=(6, 3.5), layout="constrained")
plt.plot(range(30, 130, 10), accuracies)
plt.xlabel("labels")
plt.ylabel("accuracy on held-out posts")
plt.show()
