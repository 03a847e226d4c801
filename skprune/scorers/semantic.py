"""Entropy over topics: how evenly a text lies between the topics of its pool."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, softmax
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import normalize
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skprune.encoders import make_encoder
from skprune.fitting import fitted_on
from skprune.hub.fingerprints import digest_of
from skprune.pools import check_texts
from skprune.row_table import RowTable, digests
from skprune.store import Remembered

_SCORE_VERSION = 1  # part of the fingerprint: increase it whenever a score changes
_CHUNK = 16_384  # rows that are compared with the centroids together


class SemanticEntropy(BaseEstimator):
    """Score texts by how evenly they lie between the topics of their pool, in nats.

    Parameters
    ----------
    encoder : None, str, path, estimator or callable, default=None
        Turns texts into vectors. None is TF-IDF with SVD; a string or path names a SentenceTransformer.
    n_clusters : int, default=32
        Number of topics K: the centroids of k-means over the vectors of the pool.
    temperature : float, default=0.1
        Temperature τ, in units of the cosine. As τ tends to 0, only the nearest topic counts and all
        entropies become 0; for large τ all become ln K.
    max_train_texts : int, default=20_000
        Run k-means on at most this many texts: those with the lowest content hashes, which is a random sample
        that does not depend on the order of the pool.
    memory : None or path, default=None
        Where vectors are kept: None keeps them in this process, a path in that folder.
    random_state : int, default=0
        Seed of k-means. It must be a number, so that a fit on the same pool gives the same fingerprint.
    verbose : int, default=0
        Verbosity of the encoder, if ``encoder`` is a name or path.

    Attributes
    ----------
    centroids_ : ndarray of float32, shape (n_topics, n_features)
        The topics, of unit length. There are fewer than ``n_clusters`` if the pool has fewer distinct
        vectors.

    See Also
    --------
    SampledSemanticEntropy : The entropy over the meanings of sampled continuations.

    Notes
    -----
    ``H_S = −Σ_k q_k ln q_k`` with ``q = softmax(cos(e, μ_k)/τ)``, where e is the vector of the text and μ_k
    are the centroids. The name is from EUDS [1]_. The formula is ours, because the sources available to us
    do not contain the paper's. A text with a zero vector is equally near to all topics and scores ln K.

    References
    ----------
    .. [1] Huang, Li and Liu, "Entropy-Based Data Selection for Language Models", 2026, arXiv:2602.17465.

    Examples
    --------
    >>> from skprune.scorers import SemanticEntropy
    >>> pool = ["red fox", "red dog", "fox dog", "blue sea", "blue sky", "sea sky"]
    >>> scorer = SemanticEntropy(n_clusters=2).fit(pool)
    >>> clear, between = scorer(["red fox", "red sea"])
    >>> bool(clear < between)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "encoder": "no_validation",  # make_encoder validates it
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "max_train_texts": [Interval(Integral, 1, None, closed="left")],
        "memory": [None, str, os.PathLike],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        encoder: Any = None,
        *,
        n_clusters: int = 32,
        temperature: float = 0.1,
        max_train_texts: int = 20_000,
        memory: Any = None,
        random_state: int = 0,
        verbose: int = 0,
    ) -> None:
        self.encoder = encoder
        self.n_clusters = n_clusters
        self.temperature = temperature
        self.max_train_texts = max_train_texts
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Sequence[str], y: object = None) -> SemanticEntropy:
        """Find the topics of the pool.

        Parameters
        ----------
        X : sequence of str
            The pool.
        y : ignored
            Present for the scikit-learn API.

        Returns
        -------
        SemanticEntropy
            The fitted scorer.

        Raises
        ------
        ValueError
            If there are no texts, or the encoder cannot be fitted on them.
        """
        self._validate_params()
        texts = RowTable(check_texts(X, name="X")).keys
        if not len(texts):
            raise ValueError("X has no texts to find topics in")
        encoder = fitted_on(make_encoder(self.encoder, verbose=self.verbose), texts, name="encoder")
        self._encode = Remembered(encoder, self.memory, name="encoder")
        hashes = digests(texts)
        sample = np.lexsort(hashes.T)[: self.max_train_texts]
        vectors = normalize(self._encode(texts[sample], hashes[sample]))
        topics = KMeans(min(self.n_clusters, len(sample)), n_init=1, random_state=self.random_state)
        with warnings.catch_warnings():
            # k-means warns if there are fewer distinct vectors than topics.
            warnings.simplefilter("ignore", ConvergenceWarning)
            centroids = normalize(topics.fit(vectors).cluster_centers_)
        # Equal centroids would count one topic twice.
        first = np.sort(np.unique(centroids.round(5), axis=0, return_index=True)[1])
        self.centroids_ = np.asarray(centroids[first], dtype=np.float32)
        return self

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the entropy of each text.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        ndarray of float64, shape (n_texts,)
            Entropies in nats, from 0 to ln K.

        Raises
        ------
        NotFittedError
            If :meth:`fit` has not been called.
        """
        check_is_fitted(self)
        self._validate_params()
        vectors = self._encode(check_texts(texts))
        entropies = np.empty(len(vectors))
        for start in range(0, len(vectors), _CHUNK):
            cosines = normalize(vectors[start : start + _CHUNK]) @ self.centroids_.T
            shares = softmax(cosines.astype(np.float64) / self.temperature, axis=1)
            entropies[start : start + _CHUNK] = entr(shares).sum(axis=1)
        return entropies

    @property
    def fingerprint(self) -> str:
        """What identifies the scores: the encoder, the centroids and the temperature."""
        check_is_fitted(self)
        centroids = hashlib.blake2b(self.centroids_.tobytes(), digest_size=16).digest()
        content = (str(_SCORE_VERSION), self._encode.fingerprint, centroids, repr(float(self.temperature)))
        return f"semantic-{digest_of(*content)}"
