"""DRoP: prune a labeled set most where its classes are easy."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from skprune.base import BaseFilter
from skprune.filters.held_out import HeldOutFilter
from skprune.filters.quota_filter import Groups, QuotaFilter
from skprune.pools import Pool

# A class of recall 1 gets this much more than its floor, relative to one of recall 0.
_LEAST = 1e-6


class DRoPFilter(QuotaFilter, HeldOutFilter):
    """Keep more rows of the classes that a classifier finds hard; every row must have a label.

    Parameters
    ----------
    filter : BaseFilter
        Gives the size of the selection, and selects within each class. The paper draws at random:
        ``RandomFilter(keep)``. Cloned, never changed.
    min_per_group : int or dict, default=0
        Least number of different rows of each class that survive; a class with fewer rows survives whole. A
        dict ``{class: number}`` sets it for some classes.
    classifier : classifier with ``predict_proba`` or None, default=None
        Estimates the recalls. None is logistic regression.
    encoder : None, str, path, estimator or callable, default=None
        Maps texts to vectors for the classifier: None is TF-IDF with SVD, a string names a
        SentenceTransformer. Numeric rows are taken as they are.
    cv : int, default=5
        Number of folds of the cross-validation.
    memory : None or path, default=None
        Where vectors are kept: in this process, or in a folder.
    random_state : int, RandomState or None, default=None
        Seed of the folds and of the classifier.
    verbose : int, default=0
        1 reports the encoder's progress.

    Attributes
    ----------
    filter_ : BaseFilter
        The fitted filter.
    classes_ : list
        The classes.
    recalls_ : ndarray of float64, shape (n_classes,)
        The recall of each class on rows held out.
    n_encoded_ : int
        Number of texts that the encoder has processed since :meth:`fit`.

    See Also
    --------
    QuotaFilter : Equal places, or floors only, for classes or other groups.

    Notes
    -----
    [1]_: the share of class k that survives is proportional to 1 − r_k, where r_k is the recall of the class
    on held-out rows. A share above 1 is clipped, and its excess is shared by the others in proportion.

    Ours: r_k comes from cross-validation with a cheap classifier on the whole set, not from a validation set
    and a full model; the size is exact; a class of recall 1 counts as 1 − 1e-6; rows within a class may be
    selected by any filter. A class with a single row cannot be judged and counts as recall 0. Each class is
    dealt out to the folds row by row, so that no class is missing from a training set.

    References
    ----------
    .. [1] Vysogorets, Ahuja and Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from skprune import DRoPFilter, RandomFilter
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(place, 1, (100, 2)) for place in (0, 1, 9)])
    >>> y = np.repeat(["hard", "hard too", "easy"], 100)
    >>> pruner = DRoPFilter(RandomFilter(keep=60, random_state=0), min_per_group=5, random_state=0).fit(X, y)
    >>> pruner.classes_, bool(pruner.recalls_[0] > pruner.recalls_[1:].max())
    (['easy', 'hard', 'hard too'], True)
    >>> classes, counts = np.unique(y[pruner.select(X)], return_counts=True)
    >>> int(counts[0]), int(counts.sum())
    (5, 60)
    """

    _needs_memory = "a classifier judges the labels of all rows"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **HeldOutFilter._parameter_constraints,
        "filter": QuotaFilter._parameter_constraints["filter"],
        "min_per_group": QuotaFilter._parameter_constraints["min_per_group"],
    }

    groups = None  # the classes

    def __init__(
        self,
        filter: BaseFilter,
        *,
        min_per_group: int | dict[Any, int] = 0,
        classifier: Any = None,
        encoder: Any = None,
        cv: int = 5,
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.filter = filter
        self.min_per_group = min_per_group
        self.classifier = classifier
        self.encoder = encoder
        self.cv = cv
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> DRoPFilter:  # type: ignore[override]
        """Fit the filter to a labeled set, and estimate the recall of each class.

        Parameters
        ----------
        X : container of n_rows texts or numeric rows
        y : array-like of shape (n_rows,)
            The class of every row.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a row has no label, labels are not classes, or ``min_per_group`` asks for more rows than the
            filter keeps; and as in :meth:`BaseFilter.fit`.
        """
        super().fit(X, y)
        return self

    # ------------------------------------------------------------------ hooks

    def _fit(self, pool: Pool) -> None:
        if self._excluded is self.labeled_:
            raise ValueError(f"{type(self).__name__} prunes labeled sets: pass y with a label for every row")
        super()._fit(pool)
        self._embed_pool(pool)
        found = self._judge_labels()
        self.classes_, self.recalls_ = found.classes, found.recalls

    def _weights(self, groups: Groups) -> np.ndarray:
        recalls = dict(zip(self.classes_, self.recalls_.tolist(), strict=True))
        hardness = np.array([1.0 - recalls.get(name, 1.0) for name in groups.names])
        return groups.sizes * np.maximum(hardness, _LEAST)
