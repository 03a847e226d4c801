"""Entropy of a text's own tokens, and of the distributions that a language model predicts for them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skprune.fitting import fitted_on, is_fitted, unwrapped
from skprune.hub.fingerprints import digest_of
from skprune.language_models.ngram.token_pipeline import TokenPipeline, count_tokens, score_texts
from skprune.language_models.ngram.tokens import TokenizerCallable
from skprune.pools import check_texts
from skprune.scorers.causal_lm import CausalLMScorer
from skprune.scorers.language_model import ScoreBatches, score_distinct
from skprune.scorers.ngram import NGramScorer

_SCORE_VERSION = 1  # part of the fingerprint: increase it whenever a score changes
_NGRAM_BATCH = 32_768  # number of texts that an n-gram model scores between two yields


class InformationEntropy(BaseEstimator):
    """Score texts by the Shannon entropy of their own tokens, in bits.

    Parameters
    ----------
    tokenizer : {"words", "whitespace"}, path-like or callable, default="words"
        As for :class:`~skprune.NGramScorer`.
    normalizer : {"cc_net"} or None, default="cc_net"
        As for :class:`~skprune.NGramScorer`. With None, upper and lower case and different digits are
        different tokens.
    normalize_length : bool, default=False
        Divide by log2 n, the entropy of n tokens that are all different. Without it, long texts score high
        whatever their content.
    n_jobs : int or None, default=None
        Number of processes that score. None means 1, unless ``joblib.parallel_config`` sets another number.

    See Also
    --------
    EntropyIntervalFilter : Keep texts whose entropy is neither too high nor too low.

    Notes
    -----
    ``H_I = −Σ_w (c_w/n) log2 (c_w/n)``, where the text has n tokens and c_w of them are the token w. A text
    with at most one token scores 0, with or without ``normalize_length``.

    This is the "information entropy" of EUDS [1]_. The sources available to us do not give its formula, so
    the formula is our own.

    References
    ----------
    .. [1] Huang, Li and Liu, "Entropy-Based Data Selection for Language Models", 2026, arXiv:2602.17465.

    Examples
    --------
    >>> from skprune.scorers import InformationEntropy
    >>> InformationEntropy()(["one two three four", "a a b b", "a a a a", ""])
    array([2., 1., 0., 0.])
    >>> InformationEntropy(normalize_length=True)(["one two three four", "a a b b"])
    array([1. , 0.5])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "tokenizer": [str, os.PathLike, callable],
        "normalizer": [StrOptions({"cc_net"}), None],
        "normalize_length": ["boolean"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        tokenizer: str | os.PathLike[str] | TokenizerCallable = "words",
        *,
        normalizer: str | None = "cc_net",
        normalize_length: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.normalizer = normalizer
        self.normalize_length = normalize_length
        self.n_jobs = n_jobs

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the entropy of each text.

        Parameters
        ----------
        texts : sequence of str
            Texts to score.

        Returns
        -------
        ndarray of float64, shape (n_texts,)
            Bits per token; with ``normalize_length``, a share in [0, 1].
        """
        self._validate_params()
        score_lines = partial(_line_entropies, normalize_length=self.normalize_length)
        pipeline = TokenPipeline(self.normalizer, self.tokenizer)
        return score_texts(score_lines, pipeline, check_texts(texts).tolist(), self.n_jobs)

    @property
    def fingerprint(self) -> str:
        """Digest of everything that the scores depend on: tokenizer, normalizer and ``normalize_length``."""
        pipeline = TokenPipeline(self.normalizer, self.tokenizer)
        content = (str(_SCORE_VERSION), pipeline.fingerprint, str(bool(self.normalize_length)))
        return f"information-{digest_of(*content)}"

    def __sklearn_is_fitted__(self) -> bool:
        return True


class GenerativeEntropy(BaseEstimator):
    """Score texts by the mean uncertainty of a language model that generates them, in nats per token.

    Parameters
    ----------
    model : None, NGramScorer, FrozenEstimator, str, path-like or CausalLMScorer, default=None
        None: :meth:`fit` trains an n-gram model on the pool; pass an unfitted :class:`~skprune.NGramScorer`
        to change its settings. A string or path names a causal language model; pass a
        :class:`~skprune.CausalLMScorer` to change how it runs. A FrozenEstimator holds a fitted scorer.
    measure : {"auto", "entropy", "nll"}, default="auto"
        ``"entropy"``: mean entropy of the distributions that the model predicts; needs a causal language
        model. ``"nll"``: mean −ln p of the tokens. ``"auto"``: ``"entropy"`` for a causal language model,
        ``"nll"`` for an n-gram model.
    n_jobs : int or None, default=None
        Passed to the NGramScorer that ``model=None`` creates; otherwise ignored.
    verbose : int, default=0
        Passed to the scorer that is created if ``model`` is None, a string or a path; otherwise ignored.

    Attributes
    ----------
    scorer_ : NGramScorer or CausalLMScorer
        The scorer that runs the model. Set by :meth:`fit`, which is only needed if a model has to be trained.

    See Also
    --------
    CausalLMScorer : Score texts by log10 perplexity, which is ``"nll"`` on another scale.

    Notes
    -----
    ``H_G = mean over t of −Σ_v p(v|x_<t) ln p(v|x_<t)``. The cheap form, the mean of ``−ln p(x_t|x_<t)``,
    estimates it from the tokens of the text alone.

    This is the "generative entropy" of EUDS [1]_. The sources available to us do not give its formula, so
    both forms are our own.

    A text without a token scores ``+inf``.

    References
    ----------
    .. [1] Huang, Li and Liu, "Entropy-Based Data Selection for Language Models", 2026, arXiv:2602.17465.

    Examples
    --------
    >>> from skprune.scorers import GenerativeEntropy
    >>> pool = ["the cat sat on the mat", "the cat ran"] * 5
    >>> GenerativeEntropy().fit(pool)(["the cat sat", "green ideas", ""]).round(1)
    array([1.6, 2.7, inf])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "model": [None, str, os.PathLike, NGramScorer, CausalLMScorer, FrozenEstimator],
        "measure": [StrOptions({"auto", "entropy", "nll"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: Any = None,
        *,
        measure: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.measure = measure
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Sequence[str], y: object = None) -> GenerativeEntropy:
        """Train the n-gram model, unless the model can be used as it is.

        Parameters
        ----------
        X : sequence of str
            The pool. Ignored if the model can be used as it is.
        y : ignored
            Not used; present for API consistency.

        Returns
        -------
        GenerativeEntropy
            The scorer itself.

        Raises
        ------
        ValueError
            If ``measure`` is "entropy" and the model is an n-gram model, if no text has a token, or if
            ``model`` is fitted and not wrapped in a FrozenEstimator.
        """
        self._validate_params()
        scorer = self._scorer_for_model()
        self._measure_of(scorer)
        self.scorer_ = fitted_on(
            self.model if isinstance(self.model, FrozenEstimator) else scorer, X, name="model"
        )
        return self

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the entropy of each text.

        Parameters
        ----------
        texts : sequence of str
            Texts to score.

        Returns
        -------
        ndarray of float64, shape (n_texts,)
            Nats per token; ``+inf`` for a text without a token.

        Raises
        ------
        NotFittedError
            If the n-gram model has not been trained.
        ModelLoadError
            If the model is missing, damaged or of another kind.
        """
        return score_distinct(self.iter_scores, texts)

    def iter_scores(self, texts: Sequence[str]) -> ScoreBatches:
        """Yield the scores batch by batch, so that an interrupt loses at most one batch.

        Parameters
        ----------
        texts : sequence of str
            Checked, distinct texts: copies would be scored again.

        Yields
        ------
        rows : ndarray of int
            Positions in ``texts``; each position is yielded once.
        scores : ndarray of float64
            Scores of these texts, as :meth:`__call__` returns them.

        Raises
        ------
        NotFittedError, ModelLoadError
            As for :meth:`__call__`, before the first batch.
        """
        self._validate_params()
        scorer = self._scorer()
        measure = self._measure_of(scorer)
        if isinstance(scorer, CausalLMScorer):
            yield from scorer.iter_means(texts, measure)
            return
        for start in range(0, len(texts), _NGRAM_BATCH):
            batch = list(texts[start : start + _NGRAM_BATCH])
            yield np.arange(start, start + len(batch)), scorer._score_checked(batch) * np.log(10)

    @property
    def fingerprint(self) -> str:
        """Digest of everything that the scores depend on: the model and the measure."""
        scorer = self._scorer()
        return f"generative-{digest_of(str(_SCORE_VERSION), scorer.fingerprint, self._measure_of(scorer))}"

    def _scorer_for_model(self) -> Any:
        if self.model is None:
            return NGramScorer(n_jobs=self.n_jobs, verbose=self.verbose)
        if isinstance(self.model, (str, os.PathLike)):
            return CausalLMScorer(self.model, verbose=self.verbose)
        return unwrapped(self.model)

    def _scorer(self) -> Any:
        check_is_fitted(self)
        return self.scorer_ if hasattr(self, "scorer_") else self._scorer_for_model()

    def _measure_of(self, scorer: Any) -> str:
        if isinstance(scorer, CausalLMScorer):
            return "entropy" if self.measure == "auto" else self.measure
        if self.measure == "entropy":
            raise ValueError(
                "measure='entropy' needs a causal language model; use measure='nll' with an n-gram model"
            )
        return "nll"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "scorer_") or is_fitted(self._scorer_for_model())


def _line_entropies(lines: list[bytes], normalize_length: bool) -> NDArray[np.float64]:
    """Return log2 n − (Σ c log2 c) / n for each line of n tokens, where c counts each distinct token."""
    n_tokens = count_tokens(lines)
    ids: dict[bytes, int] = {}
    token_ids = [ids.setdefault(token, len(ids)) for token in b"\n".join(lines).split()]
    n_ids = max(len(ids), 1)
    # One integer per pair of line and token.
    pairs = np.repeat(np.arange(len(lines)), n_tokens) * n_ids + np.array(token_ids, dtype=np.int64)
    distinct, counts = np.unique(pairs, return_counts=True)
    line_of = distinct // n_ids
    # Terms are summed in order of the counts, so that texts with the same counts tie to the last bit.
    order = np.lexsort((counts, line_of))
    terms = (counts * np.log2(counts))[order]
    n = np.maximum(n_tokens, 1)
    entropy = np.log2(n) - np.bincount(line_of, weights=terms, minlength=len(lines)) / n
    # Rounding can take a text that repeats one word just below 0.
    entropy = np.maximum(entropy, 0.0)
    return entropy / np.log2(np.maximum(n, 2)) if normalize_length else entropy
