"""Encoders, which turn texts into vectors: TF-IDF, sentence-transformers, scikit-learn transformers."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
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

from skprune._locks import Lock
from skprune._optional import require
from skprune._progress import Progress
from skprune.hub.devices import choose_device, has_native_bfloat16
from skprune.hub.fingerprints import content_of
from skprune.hub.loaded import Loaded
from skprune.hub.names import HubModel
from skprune.hub.sources import load_error, loader_arguments, local_path, quiet_transformers, resolve
from skprune.language_models.ngram.scripts import marks_pattern, separate_all
from skprune.pools import check_texts
from skprune.row_table import table_of_texts
from skprune.vectors import dense

# Part of the fingerprint of encoders that are fitted here. Another version of scikit-learn may find other
# components, and vectors from two fits must not mix. A pretrained model does not depend on this version.
_TERMS = "tfidf 2"  # raise the number whenever a text's terms or vectors change
_LEARNED_BY = f"scikit-learn {sklearn.__version__}"

_CHUNK = 1_024  # texts that are sorted by length and encoded together
_ORGANIZATION = "sentence-transformers"  # that of hub names without a slash, as in that library
# What people write for TF-IDF, without punctuation and in lower case.
_TFIDF_NAMES = {"tfidf", "tfidfencoder", "tfidfvectorizer", "lsa", "lsi", "svd", "none", "default"}


# OpenBLAS splits a sum among its threads, so their number changes the last bits of a sum, and with them the
# choice among directions that explain equally much. The limit of one thread holds for the whole process, so
# only one fit at a time may set and restore it.
_ONE_BLAS_THREAD = Lock()


class TfidfEncoder(BaseEstimator):
    """Latent semantic vectors: TF-IDF, truncated SVD, unit length. Needs no download.

    Parameters
    ----------
    n_components : int, default=256
        Length of the vectors. It is smaller if the corpus has fewer terms or rows.
    max_train_texts : int, default=50_000
        Maximum number of distinct texts to fit on: those with the lowest content hashes, a random sample
        that no order of the pool changes.
    random_state : int, default=0
        Seed of the randomized SVD. Part of the fingerprint.

    Attributes
    ----------
    pipeline_ : Pipeline
        The fitted steps. Their input has spaces around the letters of scripts without spaces between words.
    fingerprint : str
        Parameters, training corpus, and the versions of the terms and of scikit-learn.

    Notes
    -----
    The terms are runs of letters, digits and underscores. Each letter of a script without spaces between
    words (Chinese, Japanese, Thai...) is a term of its own, as for :class:`~skprune.NGramScorer`.

    The SVD is fitted with one BLAS thread, so that the vectors do not depend on the number of threads. Each
    text counts once, and the texts are ordered by their content hashes, so that the vectors depend neither
    on the order of the pool nor on copies.

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
        """Learn the vocabulary and the components from texts.

        Parameters
        ----------
        X : sequence of str
            The pool.
        y : ignored
            Present for compatibility with scikit-learn.

        Returns
        -------
        TfidfEncoder
            The encoder itself.

        Raises
        ------
        ValueError
            If no text contains a word.
        """
        sample, corpus = _by_content(check_texts(X), self.max_train_texts)
        pattern = rf"\w[\w{marks_pattern()}]*"
        tfidf = TfidfVectorizer(sublinear_tf=True, dtype=np.float32, token_pattern=pattern)
        try:
            terms = tfidf.fit_transform(separate_all(sample))
        except ValueError as error:
            raise ValueError("no text of the pool contains a word; use another encoder") from error
        # set_output makes each step return arrays, whatever scikit-learn is configured to return.
        self.pipeline_ = make_pipeline(tfidf, Normalizer(copy=False).set_output(transform="default"))
        if terms.shape[1] > 1:  # a single term cannot be decomposed
            n_components = max(1, min(self.n_components, terms.shape[1] - 1, len(sample) - 1))
            svd = TruncatedSVD(n_components, n_iter=2, random_state=self.random_state)
            svd.set_output(transform="default")
            with (
                _ONE_BLAS_THREAD.rlock,
                threadpool_limits(limits=1, user_api="blas"),
                np.errstate(divide="ignore", invalid="ignore"),  # equal rows have no variance to explain
            ):
                self.pipeline_.steps.insert(1, ("svd", svd.fit(terms)))
        self.fingerprint = f"{_TERMS} {self.get_params()} {corpus} {_LEARNED_BY}"
        return self

    def __call__(self, texts: Any) -> np.ndarray:
        """Return float32 vectors of shape (n, n_components), of unit length or zero."""
        check_is_fitted(self)
        vectors = self.pipeline_.transform(separate_all(check_texts(texts)))
        return dense(vectors).astype(np.float32, copy=False)


class SentenceEncoder(BaseEstimator):
    """A SentenceTransformer, by name or path.

    Parameters
    ----------
    model : str or path-like
        A hub name such as ``"sentence-transformers/all-mpnet-base-v2"`` (AnchorAL's; a download of 0.4 GB),
        or a folder. A name without a slash is one of the organization sentence-transformers. If the hub does
        not answer, or ``HF_HUB_OFFLINE=1`` is set, a name is taken from the hub's local cache.
    batch_size : int, default=64
        Texts per forward pass.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        "auto" is bfloat16 on CUDA devices and CPUs that multiply it natively, else float32. Vectors are
        returned as float32 in any case.
    device : str, default="auto"
        A torch device. "auto" is CUDA or MPS if available, else the CPU.
    verbose : int, default=0
        0 shows a progress bar after two seconds, on a terminal only; 1 shows it at once, everywhere.

    Attributes
    ----------
    fingerprint : str
        Content of the model (for a hub name: the name and its commit) and precision.

    Notes
    -----
    The two models used last stay loaded in the process; :func:`skprune.hub.clear_models` frees them.
    """

    # The parameter in which the user named the model: "encoder" if make_encoder makes the object.
    _parameter = "model"

    def __init__(
        self,
        model: str | os.PathLike[str],
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
        return f"sentence-transformer {content_of(self._source(), subfolders=True)} {self._dtype()}"

    def __call__(self, texts: Any) -> np.ndarray:
        """Return float32 vectors of shape (n, n_dimensions)."""
        texts = check_texts(texts)
        with Progress("encoding", len(texts), verbose=self.verbose) as progress:
            vectors = self._encode(self._load(), texts)
            progress.update(len(texts))
        return vectors

    def iter_scores(self, texts: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (positions, vectors) of 1,024 texts at a time, so that an interrupt loses at most these."""
        if not len(texts):
            return
        model = self._load()
        with Progress("encoding", len(texts), verbose=self.verbose) as progress:
            for start in range(0, len(texts), _CHUNK):
                rows = np.arange(start, min(start + _CHUNK, len(texts)))
                yield rows, self._encode(model, texts[rows])
                progress.update(len(rows))

    def _encode(self, model: Any, texts: np.ndarray) -> np.ndarray:
        vectors = model.encode(
            texts.tolist(), batch_size=self.batch_size, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(vectors, dtype=np.float32)

    def _load(self) -> Any:
        require("sentence_transformers", extra="encoders", purpose=f"{self._parameter}={str(self.model)!r}")
        source = self._source()
        try:
            return _load_sentence_transformer(
                source, str(self._device()), self._dtype(), verbose=self.verbose
            )
        except ImportError:
            raise
        except Exception as error:  # sentence-transformers, transformers and json raise errors of many types
            raise load_error(source, "a SentenceTransformer", error, parameter=self._parameter) from error

    def _source(self) -> Path | HubModel:
        """Return the folder or the model on the hub that ``model`` means."""
        name: Any = self.model
        if local_path(name) is None and "/" not in name:
            name = f"{_ORGANIZATION}/{name}"
        return resolve(name, parameter=self._parameter, needs=("modules.json", "config.json"))

    def _dtype(self) -> str:
        if self.precision != "auto":
            return self.precision
        return "bfloat16" if has_native_bfloat16(self._device()) else "float32"

    def _device(self) -> Any:
        return choose_device(self.device, extra="encoders", purpose="SentenceEncoder")


class TransformerEncoder(BaseEstimator):
    """A scikit-learn transformer of texts.

    Parameters
    ----------
    transformer : estimator with ``fit`` and ``transform``
        For instance ``make_pipeline(HashingVectorizer(), TruncatedSVD(100))``. Sparse output is made dense,
        so end with a step that returns few columns. As everywhere in scikit-learn, a clone is fitted; a
        transformer in a :class:`~sklearn.frozen.FrozenEstimator` is used as it is. Give each random step an
        int ``random_state``. Otherwise every fit differs, and no other run can reuse its vectors.

    Attributes
    ----------
    transformer_ : estimator
        The fitted transformer.
    fingerprint : str
        The transformer, its training corpus and the version of scikit-learn.
    """

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def fit(self, X: Any, y: Any = None) -> TransformerEncoder:
        """Fit a clone of the transformer, unless it is frozen, on the distinct texts ordered by content."""
        texts, corpus = _by_content(check_texts(X))
        frozen = isinstance(self.transformer, FrozenEstimator)
        self.transformer_ = self.transformer if frozen else clone(self.transformer).fit(texts.tolist())
        if frozen:
            corpus = ""  # its vectors suit every pool
        if not frozen and _is_random(self.transformer):
            corpus += f" {uuid4().hex}"  # the next fit will give other vectors
        self.fingerprint = f"sklearn {joblib.hash(self.transformer)} {corpus} {_LEARNED_BY}"
        return self

    def __call__(self, texts: Any) -> np.ndarray:
        """Return float32 vectors."""
        check_is_fitted(self)
        return dense(self.transformer_.transform(check_texts(texts).tolist())).astype(np.float32, copy=False)


def _is_random(transformer: Any) -> bool:
    """Return whether two fits on the same texts may differ: some ``random_state`` in it is not an int."""
    params = transformer.get_params(deep=True).items()
    states = [value for name, value in params if name.rpartition("__")[2] == "random_state"]
    return not all(isinstance(state, Integral) for state in states)


def make_encoder(encoder: Any, *, verbose: int = 0) -> Any:
    """Return the callable ``texts -> vectors`` that an ``encoder`` parameter means.

    Parameters
    ----------
    encoder : None, str, path-like, estimator or callable
        - None: :class:`TfidfEncoder`.
        - str or path-like: :class:`SentenceEncoder`, for a hub name or a folder.
        - scikit-learn transformer: :class:`TransformerEncoder`.
        - object with ``encode``, such as a loaded SentenceTransformer: its ``encode`` method. For a search,
          pass the name instead: clones copy the object, and the copies share no vectors.
        - callable ``texts -> vectors``, such as the encoders of this module: itself.

        An encoder or transformer in a :class:`~sklearn.frozen.FrozenEstimator` keeps its fit.
    verbose : int, default=0
        Passed on to :class:`SentenceEncoder`.

    Returns
    -------
    callable
        Not fitted yet if it has a ``fit`` method, unless ``encoder`` was.

    Raises
    ------
    TypeError
        If ``encoder`` is none of these.
    ValueError
        If ``encoder`` is a word for TF-IDF, such as "tfidf", and not a folder.

    Examples
    --------
    >>> make_encoder("sentence-transformers/all-mpnet-base-v2")
    SentenceEncoder(model='sentence-transformers/all-mpnet-base-v2')
    """
    if encoder is None:
        return TfidfEncoder()
    if isinstance(encoder, (str, os.PathLike)):
        if re.sub(r"\W|_", "", str(encoder)).lower() in _TFIDF_NAMES and not Path(encoder).exists():
            raise ValueError(f"encoder={str(encoder)!r} is not the name of a model: encoder=None is TF-IDF")
        named = SentenceEncoder(encoder, verbose=verbose)
        named._parameter = "encoder"
        return named
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


@Loaded
def _load_sentence_transformer(source: Path | HubModel, device: str, dtype: str) -> Any:
    library = require("sentence_transformers", extra="encoders", purpose="SentenceEncoder")
    torch = require("torch", extra="encoders", purpose="SentenceEncoder")
    name, options = loader_arguments(source)
    # Without this None, config.json could name a kernel on the hub that transformers would fetch and run.
    safe: dict[str, Any] = {"attn_implementation": None, "use_safetensors": True}
    with quiet_transformers():
        return library.SentenceTransformer(
            name,
            device=device,
            model_kwargs={"dtype": getattr(torch, dtype), **safe},
            trust_remote_code=False,
            **options,
        )


def _by_content(texts: np.ndarray, n_max: int | None = None) -> tuple[np.ndarray, str]:
    """Return the distinct texts in the order of their content hashes, at most ``n_max``, and their digest."""
    table = table_of_texts(texts)
    chosen = table.by_content()[:n_max]
    return table.keys[chosen], hashlib.blake2b(table.digests[chosen].tobytes(), digest_size=16).hexdigest()
