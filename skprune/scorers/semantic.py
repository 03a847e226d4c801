"""Entropy over meanings: where a text lies among the topics of its pool, or in how many ways it can go on."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, softmax
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import normalize
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from skprune.encoders import make_encoder
from skprune.fitting import fitted_on
from skprune.hub.fingerprints import digest_of
from skprune.language_models.ngram.tokens import callable_fingerprint
from skprune.pools import RowTable, check_texts, digests
from skprune.scorers.causal_lm import encode_texts
from skprune.scorers.language_model import LanguageModelScorer, Scores
from skprune.store import Remembered

_FORMAT = 1  # part of the fingerprint: raised whenever a score changes
_CHUNK = 16_384  # rows compared with the centroids at a time


class SemanticEntropy(BaseEstimator):
    """Score texts by how evenly they lie between the topics of their pool, in nats.

    Parameters
    ----------
    encoder : None, str, path, estimator or callable, default=None
        Texts to vectors: None is TF-IDF with SVD, a string names a SentenceTransformer.
    n_clusters : int, default=32
        Topics: centroids of k-means over the pool's vectors (K).
    temperature : float, default=0.1
        τ, in cosines. Towards 0, only the nearest topic counts and all entropies are 0; for large τ all are
        ln K.
    max_train_texts : int, default=20_000
        k-means sees at most so many texts: those whose content hashes lowest, which is a random sample that
        does not depend on the order of the pool.
    memory : None or path, default=None
        Where vectors are kept: in this process, or in a folder.
    random_state : int, default=0
        Seed of k-means.

    Attributes
    ----------
    centroids_ : ndarray of float32, shape (n_topics, n_features)
        Of unit length; fewer than ``n_clusters`` where the pool has fewer different texts.

    Notes
    -----
    ``H_S = −Σ_k q_k ln q_k`` with ``q = softmax(cos(e, μ_k)/τ)``, where e is the text's vector and μ_k are
    the centroids. "Semantic entropy" of EUDS [1]_; the formula is not published in what we have, and is ours.
    A text whose vector is zero is as near to one topic as to another, and scores ln K.

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
        "encoder": "no_validation",  # make_encoder says what it takes
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "max_train_texts": [Interval(Integral, 1, None, closed="left")],
        "memory": [None, str, HasMethods(["__fspath__"])],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
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
    ) -> None:
        self.encoder = encoder
        self.n_clusters = n_clusters
        self.temperature = temperature
        self.max_train_texts = max_train_texts
        self.memory = memory
        self.random_state = random_state

    def fit(self, X: Sequence[str], y: object = None) -> SemanticEntropy:
        """Find the pool's topics.

        Parameters
        ----------
        X : sequence of str
            The pool.
        y : ignored
            For scikit-learn's sake.

        Raises
        ------
        ValueError
            If there is no text, or the encoder can do nothing with them.
        """
        self._validate_params()
        texts = RowTable(check_texts(X, name="X")).keys
        if not len(texts):
            raise ValueError("X has no texts to find topics in")
        self._encode = _fitted_encoder(self.encoder, self.memory, texts)
        hashes = digests(texts)
        sample = np.lexsort(hashes.T)[: self.max_train_texts]
        vectors = normalize(self._encode(texts[sample], hashes[sample]))
        topics = KMeans(min(self.n_clusters, len(sample)), n_init=1, random_state=self.random_state)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different vectors than topics
            centroids = normalize(topics.fit(vectors).cluster_centers_)
        # Two centroids in one place would be two topics of equal share.
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
            Nats, from 0 to ln K.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
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
        content = (str(_FORMAT), self._encode.fingerprint, centroids, repr(float(self.temperature)))
        return f"semantic-{digest_of(*content)}"


class SampledSemanticEntropy(LanguageModelScorer):
    """Score texts by in how many different ways a language model goes on after them, in nats.

    Each text is continued ``n_samples`` times; continuations that mean the same are one meaning. This is
    thousands of times dearer than :class:`SemanticEntropy`.

    Parameters
    ----------
    model : str or path
        A causal language model, as for :class:`~skprune.QualityScorer`.
    n_samples : int, default=10
        Continuations a text.
    max_new_tokens : int, default=32
        Length of a continuation at most.
    temperature : float, default=1.0
        The model's logits are divided by it.
    entails : callable or None, default=None
        ``entails(a, b) -> bool``, whether b follows from a; two continuations mean the same if each follows
        from the other. None: if the cosine of their vectors is at least ``threshold``.
    encoder : None, str, path, estimator or callable, default=None
        Texts to vectors, where ``entails`` is None. One that learns is fitted by :meth:`fit`.
    threshold : float, default=0.8
        Cosine from which on two continuations mean the same.
    seed : int, default=0
        Of the continuations. Those of a text depend on the seed and the text alone.
    quantization, max_length, revision, device, verbose
        As for :class:`~skprune.QualityScorer`.

    Attributes
    ----------
    n_calls_ : int
        Texts continued over the object's life.

    Notes
    -----
    Semantic entropy of Kuhn et al. [1]_, with the shares of the n continuations as the probabilities of the
    meanings, ``−Σ_c (n_c/n) ln (n_c/n)`` (the discrete form of Farquhar et al. [2]_). They judge entailment
    with a model of natural language inference; the cosine of embeddings in its place is ours, and so is its
    threshold. As with them, a continuation is compared with the first one of each meaning.

    References
    ----------
    .. [1] Kuhn, Gal and Farquhar, "Semantic Uncertainty: Linguistic Invariances for Uncertainty Estimation in
       Natural Language Generation", ICLR 2023.
    .. [2] Farquhar et al., "Detecting hallucinations in large language models using semantic entropy", Nature
       630, 2024.

    Examples
    --------
    >>> from skprune.datasets import fetch_model
    >>> from skprune.scorers import SampledSemanticEntropy
    >>> scorer = SampledSemanticEntropy(
    ...     fetch_model("smollm2-135m"), max_new_tokens=4, entails=lambda a, b: a[:4] == b[:4]
    ... )  # doctest: +SKIP
    >>> scorer(["The capital of France is", "My favorite thing is"])  # doctest: +SKIP
    array([0.6..., 2.1...])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **{k: v for k, v in LanguageModelScorer._parameter_constraints.items() if k != "tokens_per_batch"},
        "n_samples": [Interval(Integral, 2, None, closed="left")],
        "max_new_tokens": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "entails": [None, callable],
        "encoder": "no_validation",
        "threshold": [Interval(Real, -1, 1, closed="both")],
        "seed": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        n_samples: int = 10,
        max_new_tokens: int = 32,
        temperature: float = 1.0,
        entails: Callable[[str, str], bool] | None = None,
        encoder: Any = None,
        threshold: float = 0.8,
        seed: int = 0,
        quantization: str | None = "auto",
        max_length: int = 512,
        revision: str | None = None,
        device: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.n_samples = n_samples
        self.max_new_tokens = max_new_tokens
        self.temperature = temperature
        self.entails = entails
        self.encoder = encoder
        self.threshold = threshold
        self.seed = seed
        self.quantization = quantization
        self.max_length = max_length
        self.revision = revision
        self.device = device
        self.verbose = verbose

    def fit(self, X: Sequence[str], y: object = None) -> SampledSemanticEntropy:
        """Fit the encoder on the pool, where it compares the continuations.

        Parameters
        ----------
        X : sequence of str
            The pool.
        y : ignored
            For scikit-learn's sake.
        """
        self._validate_params()
        texts = check_texts(X, name="X")
        if self.entails is None:
            self.encode_ = _fitted_encoder(self.encoder, None, texts)
        return self

    def iter_scores(self, texts: Any) -> Scores:
        """Yield (positions, scores) text by text, so that an interrupt costs no more than one text."""
        check_is_fitted(self)
        self._validate_params()
        texts = check_texts(texts)
        if not len(texts):
            return
        lm = self._load()

        def score(distinct: list[str]) -> Scores:
            prompts = encode_texts(lm, distinct, self.max_length)
            seeds = digests(np.array(distinct, dtype=object))[:, 0] ^ np.uint64(self.seed % 2**64)
            for row, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
                continuations = lm.sample(
                    prompt,
                    self.n_samples,
                    max_new_tokens=self.max_new_tokens,
                    temperature=self.temperature,
                    seed=int(seed) % 2**63,  # torch takes no more
                )
                self._n_calls = self.n_calls_ + 1
                yield np.array([row]), np.array([self._entropy_of(continuations)])

        yield from self._each_once(texts, score, "continuing")

    @property
    def fingerprint(self) -> str:
        """What identifies the scores: the model, how it is sampled, and what tells meanings apart."""
        check_is_fitted(self)
        if self.entails is not None:
            judge = callable_fingerprint(self.entails, "entails")
        else:
            judge = f"{self.encode_.fingerprint} {float(self.threshold)}"
        numbers = (self.n_samples, self.max_new_tokens, float(self.temperature), self.seed, self.max_length)
        return f"sampled-{digest_of(str(_FORMAT), self._model_fingerprint(), repr(numbers), judge)}"

    def _entropy_of(self, continuations: list[str]) -> float:
        shares = np.bincount(self._meanings(continuations)) / len(continuations)
        return float(entr(shares).sum())

    def _meanings(self, continuations: list[str]) -> list[int]:
        """Return which meaning each continuation has."""
        same = self._same_meaning(continuations)
        firsts: list[int] = []
        meanings = []
        for row in range(len(continuations)):
            known = next((m for m, first in enumerate(firsts) if same(first, row)), len(firsts))
            if known == len(firsts):
                firsts.append(row)
            meanings.append(known)
        return meanings

    def _same_meaning(self, continuations: list[str]) -> Callable[[int, int], bool]:
        if self.entails is not None:
            follows = self.entails
            a = continuations
            return lambda i, j: a[i] == a[j] or (follows(a[i], a[j]) and follows(a[j], a[i]))
        vectors = normalize(self.encode_.compute(continuations))  # not worth keeping
        cosines = vectors @ vectors.T
        return lambda i, j: continuations[i] == continuations[j] or cosines[i, j] >= self.threshold

    def __sklearn_is_fitted__(self) -> bool:
        return self.entails is not None or hasattr(self, "encode_")


def _fitted_encoder(encoder: Any, memory: Any, texts: np.ndarray) -> Remembered:
    """Return what turns texts into vectors, fitted on ``texts`` where it learns; each text is run once."""
    return Remembered(fitted_on(make_encoder(encoder), texts, name="encoder"), memory, name="encoder")
