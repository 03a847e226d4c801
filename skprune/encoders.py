"""Texts to vectors: whatever encodes them, behind ``fit`` and ``__call__``."""

from __future__ import annotations

import hashlib
import os
import threading
from functools import lru_cache
from numbers import Integral
from pathlib import Path
from typing import Any
from uuid import uuid4

import joblib
import numpy as np
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from skprune._optional import require
from skprune.exceptions import ModelLoadError
from skprune.hub.devices import choose_device, has_native_bfloat16
from skprune.hub.sources import commit_of, first_line, looks_local, quiet_transformers, state_of
from skprune.language_models.ngram.scripts import marks_pattern, separate_all
from skprune.pools import check_texts, digests

# Part of the fingerprint of what is fitted here: another version may find another basis, and vectors of two
# bases must not mix. A model that comes as a file means the same vectors whatever reads it.
_TERMS = "tfidf 2"  # raise the number whenever a text's terms or vectors change
_LEARNED_BY = f"scikit-learn {sklearn.__version__}"


# OpenBLAS splits a sum among its threads, so their number changes the last bits, and the order of directions
# that explain equally much. The limit holds for the whole process: two fits at once must not restore it in
# each other's midst.
_ONE_BLAS_THREAD = threading.Lock()


def _renew_lock() -> None:
    global _ONE_BLAS_THREAD
    _ONE_BLAS_THREAD = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)  # another thread may hold it during the fork


class TfidfEncoder(BaseEstimator):
    """Latent semantic vectors: TF-IDF, truncated SVD, unit length. Needs no download.

    Parameters
    ----------
    n_components : int, default=256
        Length of the vectors; fewer where the corpus has fewer terms or rows.
    max_train_texts : int, default=50_000
        Fit the SVD on at most so many texts, evenly spaced in the corpus.
    random_state : int, default=0
        Seed of the randomized SVD.

    Attributes
    ----------
    pipeline_ : Pipeline
        Applied to texts in which spaces separate the letters of scripts without spaces between words.
    fingerprint : str
        Parameters, training corpus, and the versions of the terms and of scikit-learn.

    Notes
    -----
    The terms are runs of letters, digits and underscores. Each letter of a script without spaces between
    words (Chinese, Japanese, Thai...) is a term of its own, as for :class:`~skprune.NGramScorer`.

    The SVD is fitted with one BLAS thread, so that the vectors do not depend on the number of threads.

    Examples
    --------
    >>> encoder = TfidfEncoder(n_components=2).fit(["a red fox", "a red dog", "blue sky", "blue sea"])
    >>> encoder(["red", "blue"]).shape
    (2, 2)
    """

    def __init__(
        self, n_components: int = 256, *, max_train_texts: int = 50_000, random_state: int = 0
    ) -> None:
        self.n_components = n_components
        self.max_train_texts = max_train_texts
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> TfidfEncoder:
        """Learn the vocabulary and the components from the pool.

        Raises
        ------
        ValueError
            If no text holds a word.
        """
        texts = check_texts(X)
        step = -(-len(texts) // self.max_train_texts) or 1
        sample = texts[::step]
        pattern = rf"\w[\w{marks_pattern()}]*"
        tfidf = TfidfVectorizer(sublinear_tf=True, dtype=np.float32, token_pattern=pattern)
        try:
            terms = tfidf.fit_transform(separate_all(sample))
        except ValueError as error:
            raise ValueError("no text of the pool holds a word: name another encoder") from error
        # Arrays, whatever a user has scikit-learn's transformers return.
        self.pipeline_ = make_pipeline(tfidf, Normalizer(copy=False).set_output(transform="default"))
        if terms.shape[1] > 1:  # else there is nothing to decompose
            n_components = max(1, min(self.n_components, terms.shape[1] - 1, len(sample) - 1))
            svd = TruncatedSVD(n_components, n_iter=2, random_state=self.random_state)
            svd.set_output(transform="default")
            with (
                _ONE_BLAS_THREAD,
                threadpool_limits(limits=1, user_api="blas"),
                np.errstate(invalid="ignore"),  # equal rows have no variance to explain
            ):
                self.pipeline_.steps.insert(1, ("svd", svd.fit(terms)))
        self.fingerprint = f"{_TERMS} {self.get_params()} {_corpus_digest(sample)} {_LEARNED_BY}"
        return self

    def __call__(self, texts: Any) -> np.ndarray:
        """Return float32 vectors of shape (n, n_components), of unit length or zero."""
        check_is_fitted(self)
        vectors = self.pipeline_.transform(separate_all(check_texts(texts)))
        return np.asarray(vectors.toarray() if hasattr(vectors, "toarray") else vectors, np.float32)


class SentenceEncoder(BaseEstimator):
    """A SentenceTransformer by name or path.

    Parameters
    ----------
    model : str or path
        A hub name such as ``"sentence-transformers/all-mpnet-base-v2"`` (AnchorAL's), or a folder.
    batch_size : int, default=64
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        "auto" is bfloat16 on a CPU that multiplies it natively and on CUDA, float32 elsewhere. Vectors come
        back as float32 in any case.
    device : str, default="auto"
        A torch device; "auto" is CUDA, MPS or the CPU, whichever there is.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    fingerprint : str
        Content of the model (a hub name: name and revision) and precision, hashed.
    """

    def __init__(
        self,
        model: str,
        *,
        batch_size: int = 64,
        precision: str = "auto",
        device: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.batch_size = batch_size
        self.precision = precision
        self.device = device
        self.verbose = verbose

    @property
    def fingerprint(self) -> str:
        """What identifies the vectors."""
        model = str(self.model)
        return f"sentence-transformer {_model_digest(model, state_of(Path(model)))} {self._dtype()}"

    def __call__(self, texts: Any) -> np.ndarray:
        """Return float32 vectors of shape (n, n_dimensions)."""
        model = str(self.model)
        encoder = _load_sentence_transformer(model, state_of(Path(model)), str(self._device()), self._dtype())
        return np.asarray(
            encoder.encode(
                check_texts(texts).tolist(),
                batch_size=self.batch_size,
                show_progress_bar=bool(self.verbose),
                convert_to_numpy=True,
            ),
            dtype=np.float32,
        )

    def _dtype(self) -> str:
        if self.precision != "auto":
            return self.precision
        return "bfloat16" if has_native_bfloat16(self._device()) else "float32"

    def _device(self) -> Any:
        return choose_device(self.device, extra="encoders", purpose="SentenceEncoder")


class TransformerEncoder(BaseEstimator):
    """Any scikit-learn transformer of texts, fitted on the pool.

    Parameters
    ----------
    transformer : estimator with ``fit`` and ``transform``
        For instance ``make_pipeline(HashingVectorizer(), TruncatedSVD(100))``. Sparse output is made
        dense, so end with a step of few columns. As in all of scikit-learn, a clone of it is fitted; one in
        a :class:`~sklearn.frozen.FrozenEstimator` stays as it is. Give each step that draws a number as its
        ``random_state``: without, each fit is another one, whose vectors no other run can take up.
    """

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def fit(self, X: Any, y: Any = None) -> TransformerEncoder:
        """Fit a clone of the transformer."""
        texts = check_texts(X)
        frozen = isinstance(self.transformer, FrozenEstimator)
        self.transformer_ = self.transformer if frozen else clone(self.transformer).fit(texts.tolist())
        corpus = "" if frozen else _corpus_digest(texts)  # all pools share the vectors of what is frozen
        if not frozen and _draws_at_random(self.transformer):
            corpus += f" {uuid4().hex}"  # another fit is another basis
        self.fingerprint = f"sklearn {joblib.hash(self.transformer)} {corpus} {_LEARNED_BY}"
        return self

    def __call__(self, texts: Any) -> np.ndarray:
        """Return float32 vectors."""
        check_is_fitted(self)
        vectors = self.transformer_.transform(check_texts(texts).tolist())
        return np.asarray(vectors.toarray() if hasattr(vectors, "toarray") else vectors, np.float32)


def _draws_at_random(transformer: Any) -> bool:
    """Return whether two fits on the same texts may differ: some ``random_state`` in it is no number."""
    params = transformer.get_params(deep=True).items()
    states = [value for name, value in params if name.rpartition("__")[2] == "random_state"]
    return not all(isinstance(state, Integral) for state in states)


def make_encoder(encoder: Any, *, verbose: int = 0) -> Any:
    """Return the callable ``texts -> vectors`` that an ``encoder`` parameter means.

    Parameters
    ----------
    encoder : None, str, path, estimator or callable
        None is :class:`TfidfEncoder`; a string or path a SentenceTransformer. One that is loaded, as any
        object with ``encode``, serves too; a search does better with its name, for clones of an object are
        copies, which share no vectors.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if encoder is None:
        return TfidfEncoder()
    if isinstance(encoder, (str, Path)):
        return SentenceEncoder(str(encoder), verbose=verbose)
    if isinstance(encoder, FrozenEstimator) and callable(encoder.estimator):
        return encoder
    if isinstance(encoder, type):
        raise TypeError(f"encoder must be an instance, got the class {encoder.__name__}")
    if hasattr(encoder, "encode"):
        return encoder.encode
    if callable(encoder):
        return encoder
    if hasattr(encoder, "transform"):
        return TransformerEncoder(encoder)
    raise TypeError(
        "encoder must be None, the name or path of a SentenceTransformer, a scikit-learn transformer or a "
        f"callable texts -> vectors, got {encoder!r}"
    )


@lru_cache(maxsize=2)
def _load_sentence_transformer(model: str, state: tuple[Any, ...], device: str, dtype: str) -> Any:
    library = require("sentence_transformers", extra="encoders", purpose=f"encoder={model!r}")
    torch = require("torch", extra="encoders", purpose=f"encoder={model!r}")
    try:
        with quiet_transformers():
            return library.SentenceTransformer(
                model,
                device=device,
                model_kwargs={"dtype": getattr(torch, dtype), "use_safetensors": True},
                trust_remote_code=False,
            )
    except Exception as error:
        raise _not_loaded(model, error) from error


@lru_cache(maxsize=8)
def _model_digest(model: str, state: tuple[Any, ...]) -> str:
    folder = Path(model)
    if not folder.is_dir():
        if looks_local(model):
            raise _not_loaded(model, FileNotFoundError("there is no such folder"))
        try:
            return f"{model}@{commit_of(model, None)}"
        except ModelLoadError as error:
            raise _not_loaded(model, error.__cause__ or error) from error
    content = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.rglob("*")):
        if file.suffix in {".safetensors", ".json", ".txt", ".model"}:
            content.update(file.relative_to(folder).as_posix().encode())
            content.update(file.read_bytes())
    return content.hexdigest()


def _not_loaded(model: str, error: BaseException) -> ModelLoadError:
    return ModelLoadError(
        f"encoder={model!r} could not be loaded as a SentenceTransformer: {first_line(error)}. "
        "Pass a folder that holds one, a name the hub can serve from here, or None for TF-IDF"
    )


def _corpus_digest(texts: np.ndarray) -> str:
    return hashlib.blake2b(digests(texts).tobytes(), digest_size=16).hexdigest()
