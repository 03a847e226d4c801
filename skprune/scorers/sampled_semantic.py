"""Entropy over meanings: in how many ways a language model continues a text."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.special import entr
from sklearn.preprocessing import normalize
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skprune.encoders import make_encoder
from skprune.fitting import fitted_on
from skprune.hub.fingerprints import digest_of
from skprune.language_models.ngram.tokens import callable_fingerprint
from skprune.pools import check_texts
from skprune.row_table import digests
from skprune.scorers.language_model import LanguageModelScorer, ScoreBatches
from skprune.store import Remembered

_SCORE_VERSION = 1  # part of the fingerprint: increase it whenever a score changes


class SampledSemanticEntropy(LanguageModelScorer):
    """Score texts by the entropy over the meanings of a language model's continuations, in nats.

    Each text is continued ``n_samples`` times, and continuations of the same meaning are counted together.
    This is thousands of times slower than :class:`SemanticEntropy`.

    Parameters
    ----------
    model : str or path
        A causal language model, as for :class:`~skprune.QualityScorer`.
    n_samples : int, default=10
        Number of continuations per text.
    max_new_tokens : int, default=32
        Maximum number of tokens in a continuation.
    temperature : float, default=1.0
        Divides the model's logits.
    entails : callable or None, default=None
        ``entails(a, b) -> bool`` returns whether b follows from a. Two continuations have the same meaning if
        each follows from the other. None: if the cosine of their vectors is at least ``threshold``.
    encoder : None, str, path, estimator or callable, default=None
        Turns texts into vectors; used if ``entails`` is None. :meth:`fit` fits an unfitted one.
    threshold : float, default=0.8
        Smallest cosine at which two continuations have the same meaning.
    random_state : int, default=0
        Seed of the continuations. Those of a text depend on the seed and the text alone. It must be a number,
        because it is part of the fingerprint under which scores are stored.
    precision, max_length, revision, device
        The same as those of :class:`~skprune.QualityScorer`.
    verbose : int, default=0
        0 shows a progress bar, of loading and of scoring, after two seconds and on a terminal only. 1 shows
        it at once, everywhere. Also the verbosity of the encoder, if ``encoder`` is a name or path.

    Attributes
    ----------
    n_calls_ : int
        Number of texts that this object has continued.
    encode_ : callable
        The fitted encoder. Present only after :meth:`fit`, and only if ``entails`` is None.

    See Also
    --------
    SemanticEntropy : The entropy over the topics of the pool.

    Notes
    -----
    This is the semantic entropy of Kuhn et al. [1]_ in the discrete form of Farquhar et al. [2]_: the
    probability of a meaning is its share of the n continuations, ``−Σ_c (n_c/n) ln (n_c/n)``. As in both
    papers, a continuation is compared with the first one of each meaning. The papers judge entailment with a
    model of natural language inference. The cosine of embeddings and its threshold are ours; pass ``entails``
    to use such a model.

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
        **{k: v for k, v in LanguageModelScorer._parameter_constraints.items() if k != "batch_size"},
        "n_samples": [Interval(Integral, 2, None, closed="left")],
        "max_new_tokens": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "entails": [None, callable],
        "encoder": "no_validation",  # make_encoder validates it
        "threshold": [Interval(Real, -1, 1, closed="both")],
        "random_state": [Interval(Integral, 0, None, closed="left")],
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
        random_state: int = 0,
        precision: str = "auto",
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
        self.random_state = random_state
        self.precision = precision
        self.max_length = max_length
        self.revision = revision
        self.device = device
        self.verbose = verbose

    def fit(self, X: Sequence[str], y: object = None) -> SampledSemanticEntropy:
        """Fit the encoder on the pool; not needed if ``entails`` is given.

        Parameters
        ----------
        X : sequence of str
            The pool.
        y : ignored
            Present for the scikit-learn API.

        Returns
        -------
        SampledSemanticEntropy
            The fitted scorer.
        """
        self._validate_params()
        texts = check_texts(X, name="X")
        if self.entails is None:
            encoder = fitted_on(make_encoder(self.encoder, verbose=self.verbose), texts, name="encoder")
            self.encode_ = Remembered(encoder, None, name="encoder")
        return self

    def iter_scores(self, texts: Any) -> ScoreBatches:
        """Yield (positions, scores), one text at a time; ``texts`` are checked and distinct."""
        check_is_fitted(self)
        self._validate_params()
        if not len(texts):
            return
        lm = self._load()

        def chunk_entropies(chunk: list[str]) -> ScoreBatches:
            prompts = lm.encode(chunk, self.max_length)
            seeds = digests(np.array(chunk, dtype=object))[:, 0] ^ np.uint64(self.random_state % 2**64)
            for row, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
                continuations = lm.sample(
                    prompt,
                    self.n_samples,
                    max_new_tokens=self.max_new_tokens,
                    temperature=self.temperature,
                    seed=int(seed) % 2**63,  # the largest seed that torch takes is 2**63 - 1
                )
                self._n_calls = self.n_calls_ + 1
                shares = np.bincount(self._meanings(continuations)) / len(continuations)
                yield np.array([row]), np.array([entr(shares).sum()])

        yield from self._in_chunks(texts, chunk_entropies, "continuing")

    @property
    def fingerprint(self) -> str:
        """What identifies the scores: the model, its sampling, and the comparison of meanings."""
        check_is_fitted(self)
        if self.entails is not None:
            comparison = callable_fingerprint(self.entails, "entails")
        else:
            comparison = f"{self.encode_.fingerprint} {float(self.threshold)}"
        numbers = (self.n_samples, self.max_new_tokens, float(self.temperature))
        content = repr((*numbers, self.random_state, self.max_length))
        return f"sampled-{digest_of(str(_SCORE_VERSION), self._model_fingerprint(), content, comparison)}"

    def _meanings(self, continuations: list[str]) -> list[int]:
        """Return the number of each continuation's meaning, counted from 0."""
        is_same = self._comparison(continuations)
        firsts: list[int] = []  # the first continuation of each meaning
        meanings = []
        for row in range(len(continuations)):
            meaning = next((m for m, first in enumerate(firsts) if is_same(first, row)), len(firsts))
            if meaning == len(firsts):
                firsts.append(row)
            meanings.append(meaning)
        return meanings

    def _comparison(self, continuations: list[str]) -> Callable[[int, int], bool]:
        """Return the function that tells whether two continuations, given by position, mean the same."""
        texts = continuations
        if self.entails is not None:
            follows = self.entails
            return lambda i, j: (
                texts[i] == texts[j] or (follows(texts[i], texts[j]) and follows(texts[j], texts[i]))
            )
        vectors = normalize(self.encode_.compute(texts))  # past the store: these texts hardly ever recur
        cosines = vectors @ vectors.T
        return lambda i, j: texts[i] == texts[j] or cosines[i, j] >= self.threshold

    def __sklearn_is_fitted__(self) -> bool:
        return self.entails is not None or hasattr(self, "encode_")
