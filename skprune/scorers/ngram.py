"""Perplexity under an n-gram model, with the normalizer and the tokenizer that belong to it."""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import Interval, StrOptions

from skprune._atomic import replacing
from skprune.exceptions import ModelLoadError
from skprune.hub.fingerprints import content_digest, digest_of
from skprune.language_models.ngram.file_checks import MAX_ORDER, MODEL_KIND
from skprune.language_models.ngram.model import NGramModel, open_model, train_model
from skprune.language_models.ngram.saving import store_file
from skprune.language_models.ngram.token_pipeline import TokenPipeline, count_tokens, score_texts
from skprune.language_models.ngram.tokens import TokenizerCallable
from skprune.pools import check_texts

_CHECKED_TOKENS = 1000
_SETTINGS_FILE, _MODEL_STEM, _PIECES_STEM = "ngram.json", "model", "tokenizer"
_FOLDER_VERSION = 2
_SCORE_VERSION = 2  # part of the fingerprint: increase it whenever a score changes
_TRAINING_VERSION = (
    "train-2"  # part of the training digest: change it whenever the same texts give another model
)


class NGramScorer(BaseEstimator):
    """Score texts by their log10 perplexity per token under an n-gram model.

    The scorer keeps a model together with the normalizer and the tokenizer it was trained with, because the
    model is meaningless without them.

    Parameters
    ----------
    model : path-like or None, default=None
        A KenLM model file: ARPA (plain or in gzip) or a KenLM binary of any kind. None: :meth:`fit` trains a
        model.
    order : int, default=5
        Length of the longest n-grams of the model that :meth:`fit` trains, 2 to 6.
    normalizer : {"cc_net"} or None, default="cc_net"
        ``"cc_net"``: :func:`~skprune.language_models.ngram.normalize.normalize`. None: only collapses each
        run of white space to one space, strips the ends and removes NULs.
    tokenizer : {"words", "whitespace"}, path-like or callable, default="words"
        Splits the normalized texts. ``"words"``: into runs of letters, digits, combining marks and
        underscores; every other character is a token of its own. So is each letter, with its combining marks,
        of a script without spaces between words (Chinese, Japanese, Thai...). ``"whitespace"``: at spaces. A
        path: into the pieces of that SentencePiece model, as in the paper. A callable takes a list of texts
        and returns a list of tokens for each text.
    max_train_texts : int or None, default=100_000
        Maximum number of distinct texts to train on. If the pool has more, those with the lowest content
        hashes are taken: a random sample that does not depend on the order of the pool. None: train on all
        texts.
    n_jobs : int or None, default=None
        Number of processes that score. None means 1, unless ``joblib.parallel_config`` sets another number.
    verbose : int, default=0
        A positive number reports the training.

    Attributes
    ----------
    model_ : NGramModel
        The loaded or trained model.
    n_train_texts_ : int
        Number of distinct texts that the model was trained on; 0 if ``model`` was given.
    training_digest_ : str or None
        Digest of those texts, the order, the normalizer and the tokenizer; None if ``model`` was given.

    See Also
    --------
    skprune.language_models.ngram.kneser_ney.estimate : Train an n-gram model.

    Notes
    -----
    KenLM [2]_ scores each text as one sentence: log10 PPL = -sum(log10 p) / T, where T counts its
    tokens and ``</s>`` (ActivePrune, section 3.2; the normalization and the models are those of CCNet [1]_).
    A text that has no tokens after normalization scores ``+inf``.

    Copies count once in training, and so do texts that are equal after normalization, such as one template
    with different numbers: otherwise, junk that is repeated would be the most fluent text of its pool. Texts
    that share most of their words, but not all, still lower each other's perplexity. Counts that leave out
    the text being scored would remove that too; KenLM cannot use such counts, so they are not implemented.

    :meth:`fit` trains an interpolated modified Kneser-Ney model without pruning. The model agrees with
    KenLM's ``lmplz`` on every n-gram. Training needs about 300 bytes of memory per training token. For
    corpora that do not fit, run ``lmplz`` and ``build_binary``, and pass the resulting file as ``model``.

    A trained model is kept in a temporary file, which workers map into memory. The file is deleted together
    with the last scorer that uses it. Scorers that fit the same texts with the same settings in one process,
    as in a grid search, share one training. Pickles contain the model's content, never code.

    A filter trains a clone of an unfitted scorer on its own pool. To score with a model of another corpus,
    in searches and pipelines too, wrap the fitted scorer: ``FrozenEstimator(NGramScorer().fit(corpus))``.

    ``<s>``, ``</s>`` and ``<unk>`` in a text are treated as ordinary characters: ``"words"`` splits them, and
    tokens of other tokenizers become ``[s]``, ``[/s]`` and ``[unk]``.

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
    array([0.68, 1.17,  inf])
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
        """Train a model on texts, or load and check ``model``.

        Parameters
        ----------
        X : sequence of str
            Texts. Ignored if ``model`` names a file.
        y : ignored
            Not used; present for API consistency.

        Returns
        -------
        NGramScorer
            The scorer itself.

        Raises
        ------
        ValueError
            If ``model`` is None and no text has a token.
        ModelLoadError
            If ``model`` or a SentencePiece tokenizer cannot be read.

        Warns
        -----
        UserWarning
            If there are 2,000 tokens or more and 70 % of them occur only once: the tokenizer does not fit.
        """
        self._validate_params()
        if self.model is not None:
            self.model_ = open_model(self.model)
            self.n_train_texts_, self.training_digest_ = 0, None
            return self
        start = time.perf_counter()
        pipeline = TokenPipeline(self.normalizer, self.tokenizer)
        texts, corpus_digest = _sample_by_hash(check_texts(X, name="X").tolist(), self.max_train_texts)
        digest = digest_of(_TRAINING_VERSION, corpus_digest, f"order={self.order}", pipeline.fingerprint)
        self.model_ = train_model(digest, lambda: _sentences(pipeline, texts), self.order)
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
            log10 perplexity; ``+inf`` if a text has no tokens after normalization.

        Raises
        ------
        NotFittedError
            If ``model`` is None and the scorer is not fitted.

        Warns
        -----
        UserWarning
            If more than half of the first 1,000 tokens are unknown to the ``model`` that was given.
        """
        return self._score_checked(check_texts(texts).tolist())

    def _score_checked(self, texts: list[str]) -> NDArray[np.float64]:
        """Score texts that went through ``check_texts`` already."""
        self._validate_params()
        model = self._model()
        pipeline = TokenPipeline(self.normalizer, self.tokenizer)
        if self.model is not None:  # a model trained here has the tokenizer it was trained with
            _warn_if_unknown(model, islice(pipeline.iter_lines(texts), _CHECKED_TOKENS))
        return score_texts(_LogPerplexity(model), pipeline, texts, self.n_jobs)

    def perplexity(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the perplexity of each text, ``10 ** self(texts)``.

        Parameters
        ----------
        texts : sequence of str
            Texts to score.

        Returns
        -------
        ndarray of float64, shape (n_texts,)
            Perplexities per token, at least 1; ``+inf`` if a text has no tokens after normalization.
        """
        with np.errstate(over="ignore"):
            return np.power(10.0, self(texts))

    @property
    def fingerprint(self) -> str:
        """Digest of everything that the scores depend on: model or training data, normalizer, tokenizer."""
        if self.model is None:
            self._model()
            return f"ngram-{digest_of(str(_SCORE_VERSION), str(self.training_digest_))}"
        pipeline = TokenPipeline(self.normalizer, self.tokenizer)
        content = (str(_SCORE_VERSION), content_digest(self.model, MODEL_KIND), pipeline.fingerprint)
        return f"ngram-{digest_of(*content)}"

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model and its settings to a folder.

        Parameters
        ----------
        folder : path-like
            Created if it does not exist. It receives the model (a KenLM binary if :meth:`fit` trained it),
            the settings ``ngram.json`` and the SentencePiece model, if the tokenizer is one. A scorer that
            the folder already holds is replaced at the end, in one step: if anything fails, it stays whole.

        Raises
        ------
        OSError
            If the files cannot be written.
        ValueError
            If the tokenizer is a callable; only a pickle can hold one.
        """
        if callable(self.tokenizer):
            raise ValueError(
                "A scorer whose tokenizer is a callable cannot be saved to a folder; pickle it instead"
            )
        model = self._model()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # The names of the files hold their digests, so the old settings go on naming the old files, and
        # replacing the settings is the one step that puts the new scorer in the place of the old one.
        settings_file = folder / _SETTINGS_FILE
        before = _files_named_in(settings_file)
        written = set()
        try:
            name, digest = store_file(model.source, folder, _MODEL_STEM)
            written.add(name)
            settings = {"format": _FOLDER_VERSION, "model": name, "model_digest": digest, "order": self.order}
            settings |= {"normalizer": self.normalizer, "tokenizer": self.tokenizer}
            if self.tokenizer not in ("words", "whitespace"):
                name, _ = store_file(Path(self.tokenizer), folder, _PIECES_STEM)
                written.add(name)
                settings["tokenizer"] = {"sentencepiece": name}
            if self.model is None:
                settings |= {"digest": self.training_digest_, "n_train_texts": self.n_train_texts_}
            with replacing(settings_file) as file:
                file.write(json.dumps(settings, indent=2).encode() + b"\n")
        finally:
            for name in (before | written) - _files_named_in(settings_file):
                (folder / name).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> NGramScorer:
        """Read a scorer from a folder that :meth:`save` wrote.

        Parameters
        ----------
        folder : path-like
            The folder.

        Returns
        -------
        NGramScorer
            A scorer with the same scores and the same fingerprint as the saved one.

        Raises
        ------
        ModelLoadError
            If the folder does not contain a saved scorer, or its files are not those that were saved.
        """
        folder = Path(folder)
        try:
            settings = json.loads((folder / _SETTINGS_FILE).read_text())
            if settings["format"] != _FOLDER_VERSION:
                raise ValueError(f"format {settings['format']}, not {_FOLDER_VERSION}; fit and save it again")
            tokenizer = settings["tokenizer"]
            if isinstance(tokenizer, dict):
                tokenizer = str(folder / Path(tokenizer["sentencepiece"]).name)
            elif tokenizer not in ("words", "whitespace"):
                raise ValueError(f"tokenizer {tokenizer!r}")
            path = folder / Path(settings["model"]).name
            if content_digest(path, MODEL_KIND) != settings["model_digest"]:
                raise ValueError(f"{path.name} is not the model that was saved")
            trained = "digest" in settings
            scorer = cls(
                None if trained else str(path),
                order=settings["order"],
                normalizer=settings["normalizer"],
                tokenizer=tokenizer,
            )
        except (OSError, ValueError, KeyError, TypeError, ModelLoadError) as error:
            raise ModelLoadError(f"{folder} does not contain a saved NGramScorer: {error}") from error
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
            raise NotFittedError("This NGramScorer has no model: pass a model file as `model` or call `fit`")
        return self.model_

    def __sklearn_is_fitted__(self) -> bool:
        return self.model is not None or hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


class _LogPerplexity:
    """Score lines of tokens under a model. Its pickle holds only the model's path, which workers open."""

    def __init__(self, model: NGramModel):
        self.model = model

    def __call__(self, lines: list[bytes]) -> NDArray[np.float64]:
        log_probs = np.fromiter(map(self.model.kenlm.score, lines), dtype=np.float64, count=len(lines))
        n_tokens = count_tokens(lines)
        return np.where(n_tokens > 0, -log_probs / (n_tokens + 1), np.inf)

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.model.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.model = open_model(state["path"], is_checked=True)


def _warn_if_unknown(model: NGramModel, lines: Iterator[bytes]) -> None:
    tokens = list(islice((token for line in lines for token in line.split()), _CHECKED_TOKENS))
    n_unknown = sum(token not in model.kenlm for token in tokens)
    if 2 * n_unknown > len(tokens):
        warnings.warn(
            f"{model.source} does not know {n_unknown} of the first {len(tokens)} tokens. Check that "
            "`tokenizer` and `normalizer` are those it was trained with; models of the cc_net family need "
            "their SentencePiece model as `tokenizer`",
            stacklevel=4,
        )


def _sentences(pipeline: TokenPipeline, texts: list[str]) -> Iterator[list[str]]:
    """Yield the tokens of each text that has any; once if several texts have the same tokens."""
    seen: set[bytes] = set()
    for line in pipeline.iter_lines(texts):
        if tokens := line.split():
            joined = b" ".join(tokens)
            digest = _digest(joined)
            if digest not in seen:
                seen.add(digest)
                yield joined.decode().split(" ")
    if not seen:
        raise ValueError("X has nothing to train on: no text has a token after normalization")


def _sample_by_hash(texts: list[str], size: int | None) -> tuple[list[str], str]:
    """Return the ``size`` distinct texts with the lowest hashes, sorted by hash, and a digest of them."""
    by_digest = {_digest(text.encode()): text for text in texts}
    digests = sorted(by_digest)[:size]
    return [by_digest[digest] for digest in digests], digest_of(*digests)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _files_named_in(settings: Path) -> set[str]:
    """Return the names of the files that a saved scorer consists of, without its settings."""
    try:
        saved = json.loads(settings.read_text())
        names = {saved["model"]}
        if isinstance(saved["tokenizer"], dict):
            names.add(saved["tokenizer"]["sentencepiece"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # nothing saved, or something else
    return {name for name in names if isinstance(name, str) and Path(name).name == name}
