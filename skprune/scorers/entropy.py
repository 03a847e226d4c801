"""Entropy of a text's own tokens, and of what a language model expects at each of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skprune.fitting import fitted_on, is_fitted, unwrapped
from skprune.hub.fingerprints import digest_of
from skprune.language_models.ngram.preparation import CHUNK, Preparation, count_tokens, parts_for_workers
from skprune.language_models.ngram.tokens import TokenizerCallable
from skprune.pools import check_texts
from skprune.scorers.causal_lm import CausalLMScorer
from skprune.scorers.language_model import Scores, gathered
from skprune.scorers.ngram import NGramScorer

_FORMAT = 1  # part of the fingerprint: raised whenever a score changes
_NGRAM_BATCH = 32_768  # texts an n-gram model scores between two yields


class InformationEntropy(BaseEstimator):
    """Score texts by the Shannon entropy of their own tokens, in bits.

    Parameters
    ----------
    tokenizer : {"words", "whitespace"}, path-like or callable, default="words"
        As for :class:`~skprune.NGramScorer`.
    normalizer : {"cc_net"} or None, default="cc_net"
        As for :class:`~skprune.NGramScorer`; None tells upper case from lower case, and digits apart.
    normalize_length : bool, default=False
        Divide by log2 n, the entropy of a text of as many tokens that are all different. Without it, a long
        text scores high whatever it says.
    n_jobs : int or None, default=None
        Processes that score. None is 1, unless ``joblib.parallel_config`` says otherwise.

    See Also
    --------
    EntropyIntervalFilter : Keeps what has neither too much nor too little.

    Notes
    -----
    ``H_I = −Σ_w (c_w/n) log2 (c_w/n)``, where the text has n tokens and c_w of them are w. A text of one
    token or none scores 0, normalized or not.

    "Information entropy" of EUDS [1]_; the formula is not published in what we have, and is ours.

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

        Returns
        -------
        ndarray of float64, shape (n_texts,)
            Bits a token, or with ``normalize_length`` a share in [0, 1].
        """
        self._validate_params()
        rows: list[str] = check_texts(texts).tolist()
        prepare = Preparation(self.normalizer, self.tokenizer)
        parts = parts_for_workers(rows, self.n_jobs)
        if len(parts) <= 1:
            return _token_entropies(prepare, rows, self.normalize_length)
        entropies = joblib.Parallel(n_jobs=self.n_jobs)(
            joblib.delayed(_token_entropies)(prepare, part, self.normalize_length) for part in parts
        )
        return np.concatenate(entropies)

    @property
    def fingerprint(self) -> str:
        """What identifies the scores: tokenizer, normalizer and the division by the length."""
        prepare = Preparation(self.normalizer, self.tokenizer)
        content = (str(_FORMAT), prepare.fingerprint, str(bool(self.normalize_length)))
        return f"information-{digest_of(*content)}"

    def __sklearn_is_fitted__(self) -> bool:
        return True


class GenerativeEntropy(BaseEstimator):
    """Score texts by the mean uncertainty of a language model that generates them, in nats a token.

    Parameters
    ----------
    model : None, NGramScorer, FrozenEstimator, str, path or CausalLMScorer, default=None
        None trains an n-gram model on the pool, by :meth:`fit`; an unfitted :class:`~skprune.NGramScorer`
        says how. A string or path names a causal language model; a :class:`~skprune.CausalLMScorer` says how
        to run it.
    measure : {"auto", "entropy", "nll"}, default="auto"
        ``"entropy"``: of the distributions that the tokens were drawn from; it needs a causal language model.
        ``"nll"``: −ln p of the tokens. ``"auto"`` is ``"entropy"`` where the model can, else ``"nll"``.
    n_jobs : int or None, default=None
        Processes of the n-gram scorer that ``model=None`` means.
    verbose : int, default=0
        Of the scorer that ``model`` means, where it is none itself.

    Attributes
    ----------
    scorer_ : NGramScorer or CausalLMScorer
        What runs the model. Only after :meth:`fit`, which a ready model does not need.

    See Also
    --------
    CausalLMScorer : log10 perplexity, which is ``"nll"`` on another scale.

    Notes
    -----
    ``H_G = mean over t of −Σ_v p(v|x_<t) ln p(v|x_<t)``. The cheap form, the mean of ``−ln p(x_t|x_<t)``,
    estimates it from the one token that was drawn. "Generative entropy" of EUDS [1]_; the formula is not
    published in what we have, and both are ours.

    A text without a token scores ``+inf``.

    References
    ----------
    .. [1] Huang, Li and Liu, "Entropy-Based Data Selection for Language Models", 2026, arXiv:2602.17465.

    Examples
    --------
    >>> from skprune.scorers import GenerativeEntropy
    >>> pool = ["the cat sat on the mat", "the cat ran"] * 5
    >>> GenerativeEntropy().fit(pool)(["the cat sat", "green ideas", ""]).round(1)
    array([1.5, 3.1, inf])
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
        """Train the n-gram model where there is none yet.

        Parameters
        ----------
        X : sequence of str
            The pool. Not used where the model is ready.
        y : ignored
            For scikit-learn's sake.

        Raises
        ------
        ValueError
            If ``measure`` is "entropy" and the model is an n-gram model, or no text has a token.
        """
        self._validate_params()
        scorer = self._given()
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

        Returns
        -------
        ndarray of float64, shape (n_texts,)
            Nats a token; ``+inf`` where there is none.

        Raises
        ------
        NotFittedError
            If an n-gram model has yet to be trained.
        ModelLoadError
            If the model is missing, damaged or of another kind.
        """
        rows = check_texts(texts)
        return gathered(self.iter_scores(rows), len(rows))

    def iter_scores(self, texts: Any) -> Scores:
        """Yield (positions, scores) batch by batch, so that an interrupt costs no more than one batch."""
        self._validate_params()
        scorer = self._scorer()
        measure = self._measure_of(scorer)
        rows = check_texts(texts)
        if isinstance(scorer, CausalLMScorer):
            yield from scorer.iter_means(rows, measure)
            return
        for start in range(0, len(rows), _NGRAM_BATCH):
            part = rows[start : start + _NGRAM_BATCH]
            yield np.arange(start, start + len(part)), scorer(part) * np.log(10)

    @property
    def fingerprint(self) -> str:
        """What identifies the scores: the model, and what is measured."""
        scorer = self._scorer()
        return f"generative-{digest_of(str(_FORMAT), scorer.fingerprint, self._measure_of(scorer))}"

    def _given(self) -> Any:
        if self.model is None:
            return NGramScorer(n_jobs=self.n_jobs, verbose=self.verbose)
        if isinstance(self.model, (str, os.PathLike)):
            return CausalLMScorer(self.model, verbose=self.verbose)
        return unwrapped(self.model)

    def _scorer(self) -> Any:
        check_is_fitted(self)
        return self.scorer_ if hasattr(self, "scorer_") else self._given()

    def _measure_of(self, scorer: Any) -> str:
        if isinstance(scorer, CausalLMScorer):
            return "entropy" if self.measure == "auto" else self.measure
        if self.measure == "entropy":
            raise ValueError(
                "measure='entropy' needs a causal language model: of an n-gram model, 'nll' is the cheap form"
            )
        return "nll"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "scorer_") or is_fitted(self._given())


def _token_entropies(prepare: Preparation, texts: list[str], normalize_length: bool) -> NDArray[np.float64]:
    entropies = np.empty(len(texts))
    for start in range(0, len(texts), CHUNK):
        lines = prepare.lines(texts[start : start + CHUNK])
        entropies[start : start + CHUNK] = _line_entropies(lines, normalize_length)
    return entropies


def _line_entropies(lines: list[bytes], normalize_length: bool) -> NDArray[np.float64]:
    """Return log2 n − (Σ c log2 c) / n for each line of n tokens, all lines at once."""
    n_tokens = count_tokens(lines)
    number: dict[bytes, int] = {}
    tokens = [number.setdefault(token, len(number)) for token in b"\n".join(lines).split()]
    # One number a pair of line and token; sorted, equal pairs stand together.
    pairs = np.repeat(np.arange(len(lines)), n_tokens) * max(len(number), 1) + np.array(
        tokens, dtype=np.int64
    )
    distinct, counts = np.unique(pairs, return_counts=True)
    line_of = distinct // max(len(number), 1)
    # Summed in order of the counts, so that texts of the same counts get the same bits: they shall tie.
    order = np.lexsort((counts, line_of))
    terms = (counts * np.log2(counts))[order]
    n = np.maximum(n_tokens, 1)
    entropy = np.log2(n) - np.bincount(line_of, weights=terms, minlength=len(lines)) / n
    # A text of one word, many times, is a rounding error away from 0.
    entropy = np.maximum(entropy, 0.0)
    return entropy / np.log2(np.maximum(n, 2)) if normalize_length else entropy
