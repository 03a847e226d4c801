"""Perplexity under an n-gram model: normalizer, tokenizer and model as one unit."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import Interval, StrOptions

from skprune.exceptions import ModelLoadError
from skprune.hub.fingerprints import content_digest, digest_of
from skprune.language_models.ngram.model import MAX_ORDER, MODEL_FILE, NGramModel, open_model, train_model
from skprune.language_models.ngram.preparation import CHUNK, Preparation, count_tokens, parts_for_workers
from skprune.language_models.ngram.tokens import TokenizerCallable
from skprune.pools import check_texts

_CHECKED_TOKENS = 1000
_SETTINGS_FILE, _MODEL_STEM, _PIECES_FILE = "ngram.json", "model", "tokenizer.model"
_FORMAT = 1
_SCORING = 1  # part of the fingerprint: raised whenever a score changes


class NGramScorer(BaseEstimator):
    """Score texts by their log10 perplexity per token under an n-gram model.

    A model means something only together with the normalizer and the tokenizer it was trained
    with; the scorer keeps the three as one.

    Parameters
    ----------
    model : path-like or None, default=None
        A KenLM model file: ARPA (plain or in gzip) or a KenLM binary of any kind. None trains a
        model by :meth:`fit`.
    order : int, default=5
        Length of the longest n-grams of the model that :meth:`fit` trains, 2 to 6.
    normalizer : {"cc_net"} or None, default="cc_net"
        ``"cc_net"``: :func:`~skprune.language_models.ngram.normalize.normalize`. None: white space becomes a
        space, NULs go, and the text stays as it is otherwise.
    tokenizer : {"words", "whitespace"}, path-like or callable, default="words"
        Applied to the normalized texts. ``"words"``: runs of letters, digits, combining marks and
        underscores; every other character by itself. ``"whitespace"``: what stands between
        spaces. A path: the pieces of that SentencePiece model, as in the paper. A callable
        takes a list of texts and returns a list of tokens for each.
    max_train_texts : int or None, default=100_000
        Train on at most so many texts: those whose content hashes lowest, which is a random
        sample that does not depend on the order of the pool. None: on all.
    n_jobs : int or None, default=None
        Processes that score. None is 1, unless ``joblib.parallel_config`` says otherwise.
    verbose : int, default=0
        1 reports the training.

    Attributes
    ----------
    model_ : NGramModel
        The model that was loaded or trained.
    n_train_texts_ : int
        Texts that the model was trained on; 0 where ``model`` was given.
    training_digest_ : str or None
        Digest of those texts, the order, the normalizer and the tokenizer.

    See Also
    --------
    skprune.language_models.ngram.kneser_ney.estimate : The training.

    Notes
    -----
    A text is one sentence: log10 PPL = -sum(log10 p) / T, where T counts its tokens and ``</s>``
    (ActivePrune, section 3.2; the normalization and the models are those of CCNet [1]_). A text
    without a token after normalization scores ``+inf``.

    Training is interpolated modified Kneser-Ney without pruning; it agrees with KenLM's ``lmplz``
    on every n-gram. It holds about 300 bytes a training token at its peak. For
    larger corpora, run ``lmplz`` and ``build_binary`` and name their file as ``model``.

    A trained model lies in a temporary file, which workers map into memory and which goes with the
    last scorer that uses it; scorers that fit the same texts with the same settings in one process,
    as in a grid search, share one training. Pickles carry the model's content, never code.

    A filter that is given an unfitted scorer trains a clone of it on its own pool. To score with a model of
    another corpus, also in searches and pipelines, wrap the fitted scorer:
    ``FrozenEstimator(NGramScorer().fit(corpus))``.

    ``<s>``, ``</s>`` and ``<unk>`` in a text are ordinary characters: ``"words"`` takes them
    apart, other tokenizers' tokens become ``[s]``, ``[/s]`` and ``[unk]``.

    References
    ----------
    .. [1] Wenzek et al., "CCNet: Extracting High Quality Monolingual Datasets from Web Crawl
       Data", LREC 2020.
    .. [2] Heafield, "KenLM: Faster and Smaller Language Model Queries", WMT 2011.

    Examples
    --------
    >>> from skprune.scorers import NGramScorer
    >>> scorer = NGramScorer(order=3).fit(["the cat sat on the mat", "the cat ran"] * 5)
    >>> scorer(["The cat sat.", "colorless green ideas", ""]).round(2)
    array([0.65, 1.3 ,  inf])
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 (sklearn's name and form)
        "model": [str, os.PathLike, None],
        "order": [Interval(Integral, 2, MAX_ORDER, closed="both")],
        "normalizer": [StrOptions({"cc_net"}), None],
        "tokenizer": [str, os.PathLike, callable],
        "max_train_texts": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        order: int = 5,
        normalizer: str | None = "cc_net",
        tokenizer: str | os.PathLike[str] | TokenizerCallable = "words",
        max_train_texts: int | None = 100_000,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.model = model
        self.order = order
        self.normalizer = normalizer
        self.tokenizer = tokenizer
        self.max_train_texts = max_train_texts
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Sequence[str], y: object = None) -> NGramScorer:
        """Train a model on texts, or load and check the one that is given.

        Parameters
        ----------
        X : sequence of str
            Texts. Not used where ``model`` names a file.
        y : ignored
            For scikit-learn's sake.

        Returns
        -------
        NGramScorer
            The scorer itself.

        Raises
        ------
        ValueError
            If a model is to be trained and no text has a token.
        ModelLoadError
            If ``model`` or a SentencePiece tokenizer cannot be read.
        """
        self._validate_params()
        prepare = Preparation(self.normalizer, self.tokenizer)
        if self.model is not None:
            self.model_ = open_model(self.model)
            self.n_train_texts_, self.training_digest_ = 0, None
            return self
        start = time.perf_counter()
        texts, corpus = _sample(check_texts(X, name="X").tolist(), self.max_train_texts)
        digest = digest_of("train", corpus, f"order={self.order}", prepare.fingerprint)
        self.model_ = train_model(digest, lambda: _sentences(prepare, texts), self.order)
        self.n_train_texts_, self.training_digest_ = len(texts), digest
        if self.verbose:
            seconds = time.perf_counter() - start
            print(f"[NGramScorer] order {self.order}, {len(texts)} texts, {seconds:.1f} s")
        return self

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the log10 perplexity per token of each text.

        Parameters
        ----------
        texts : sequence of str
            Texts to score.

        Returns
        -------
        ndarray of float64, shape (n_texts,)
            log10 perplexity; ``+inf`` where no token is left after normalization.

        Raises
        ------
        NotFittedError
            If no model is given and none was trained.

        Warns
        -----
        UserWarning
            If a given model does not know more than half of the first 1,000 tokens.
        """
        self._validate_params()
        model = self._model()
        rows: list[str] = check_texts(texts, name="texts").tolist()
        prepare = Preparation(self.normalizer, self.tokenizer)
        if self.model is not None:
            _warn_if_unknown(model, islice(prepare.lines_of(rows), _CHECKED_TOKENS))
        parts = parts_for_workers(rows, self.n_jobs)
        if len(parts) <= 1:
            return _score(model, prepare, rows)
        scores = joblib.Parallel(n_jobs=self.n_jobs)(
            joblib.delayed(_score_in_worker)(model.path, prepare, part) for part in parts
        )
        return np.concatenate(scores)

    def perplexity(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the perplexity of each text, ``10 ** self(texts)``.

        Parameters
        ----------
        texts : sequence of str
            Texts to score.

        Returns
        -------
        ndarray of float64, shape (n_texts,)
            Perplexities per token, at least 1; ``+inf`` where no token is left.
        """
        with np.errstate(over="ignore"):
            return np.power(10.0, self(texts))

    @property
    def fingerprint(self) -> str:
        """What identifies the scores: model content (or training), normalizer and tokenizer."""
        if self.model is None:
            self._model()
            return f"ngram-{digest_of(str(_SCORING), str(self.training_digest_))}"
        prepare = Preparation(self.normalizer, self.tokenizer)
        content = (str(_SCORING), content_digest(self.model, MODEL_FILE), prepare.fingerprint)
        return f"ngram-{digest_of(*content)}"

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model and the settings that belong to it.

        Parameters
        ----------
        folder : path-like
            Made if it does not exist. Gets the model (a KenLM binary where it was trained here),
            ``ngram.json`` and, where there is one, the SentencePiece model.

        Raises
        ------
        ValueError
            If the tokenizer is a callable, which only a pickle could hold.
        """
        if callable(self.tokenizer):
            raise ValueError("A scorer whose tokenizer is a callable cannot be saved: pickle it")
        model = self._model()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        name = _MODEL_STEM + model.source.suffix
        settings = {"format": _FORMAT, "model": name, "order": self.order}
        settings |= {"normalizer": self.normalizer, "tokenizer": self.tokenizer}
        if self.tokenizer not in ("words", "whitespace"):
            _copy(Path(self.tokenizer), folder / _PIECES_FILE)
            settings["tokenizer"] = {"sentencepiece": _PIECES_FILE}
        if self.model is None:
            settings |= {"digest": self.training_digest_, "n_train_texts": self.n_train_texts_}
        _copy(model.source, folder / name)
        (folder / _SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> NGramScorer:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        folder : path-like
            The folder.

        Returns
        -------
        NGramScorer
            A scorer with the same scores and the same fingerprint.

        Raises
        ------
        ModelLoadError
            If the folder does not hold a saved scorer.
        """
        folder = Path(folder)
        try:
            settings = json.loads((folder / _SETTINGS_FILE).read_text())
            if settings["format"] != _FORMAT:
                raise ValueError(f"format {settings['format']}")
            tokenizer = settings["tokenizer"]
            if isinstance(tokenizer, dict):
                tokenizer = str(folder / Path(tokenizer["sentencepiece"]).name)
            elif tokenizer not in ("words", "whitespace"):
                raise ValueError(f"tokenizer {tokenizer!r}")
            path = folder / Path(settings["model"]).name
            trained = "digest" in settings
            scorer = cls(
                None if trained else str(path),
                order=settings["order"],
                normalizer=settings["normalizer"],
                tokenizer=tokenizer,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelLoadError(f"{folder} holds no saved NGramScorer: {error}") from error
        if trained:
            scorer.model_ = NGramModel(path, key=settings["digest"])
            scorer.n_train_texts_ = settings["n_train_texts"]
            scorer.training_digest_ = settings["digest"]
            return scorer
        return scorer.fit([])

    def _model(self) -> NGramModel:
        if self.model is not None:
            return open_model(self.model)
        if not hasattr(self, "model_"):
            raise NotFittedError("This NGramScorer has no model: name one as `model` or call `fit`")
        return self.model_

    def __sklearn_is_fitted__(self) -> bool:
        return self.model is not None or hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _score(model: NGramModel, prepare: Preparation, texts: list[str]) -> NDArray[np.float64]:
    score = model.kenlm.score
    scores = np.empty(len(texts))
    for start in range(0, len(texts), CHUNK):
        lines = prepare.lines(texts[start : start + CHUNK])
        log_probs = np.fromiter(map(score, lines), dtype=np.float64, count=len(lines))
        n_tokens = count_tokens(lines)
        log_perplexity = -log_probs / (n_tokens + 1)
        scores[start : start + CHUNK] = np.where(n_tokens > 0, log_perplexity, np.inf)
    return scores


def _score_in_worker(path: Path, prepare: Preparation, texts: list[str]) -> NDArray[np.float64]:
    return _score(open_model(path), prepare, texts)


def _warn_if_unknown(model: NGramModel, lines: Iterator[bytes]) -> None:
    tokens = list(islice((token for line in lines for token in line.split()), _CHECKED_TOKENS))
    n_unknown = sum(token not in model.kenlm for token in tokens)
    if 2 * n_unknown > len(tokens):
        warnings.warn(
            f"{model.source} does not know {n_unknown} of the first {len(tokens)} tokens; was it "
            "trained with another tokenizer or normalizer? Models of the cc_net family need "
            "their SentencePiece model as `tokenizer`",
            stacklevel=3,
        )


def _sentences(prepare: Preparation, texts: list[str]) -> Iterator[list[str]]:
    found = False
    for line in prepare.lines_of(texts):
        if tokens := line.split():
            found = True
            yield b" ".join(tokens).decode().split(" ")
    if not found:
        raise ValueError("X has no text with a token after normalization: nothing to train on")


def _sample(texts: list[str], size: int | None) -> tuple[list[str], str]:
    """Return the texts that hash lowest, in that order, and a digest of them all."""
    digests = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
    rows = sorted(range(len(texts)), key=digests.__getitem__)[:size]
    return [texts[row] for row in rows], digest_of(*(digests[row] for row in rows))


def _copy(source: Path, target: Path) -> None:
    if not (target.exists() and target.samefile(source)):
        shutil.copyfile(source, target)
