"""KenLM models: loaded or trained once per process, and passed between processes.

Kept by hand around the ``kenlm`` package, whose pickles hold only a path: pickles here hold the content of a
trained model. Only what goes to a worker of joblib holds a path instead, because the worker can open the
file of the process that sends it.
"""

from __future__ import annotations

import gzip
import multiprocessing
import os
import re
import shutil
import warnings
import weakref
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

from joblib.externals.loky.backend.reduction import register

from skprune._locks import Lock
from skprune._optional import require
from skprune.exceptions import ModelLoadError
from skprune.hub.fingerprints import GZIP_MAGIC, stamp
from skprune.language_models.ngram.file_checks import MODEL_KIND, check_file
from skprune.language_models.ngram.kenlm_binary import write_binary
from skprune.language_models.ngram.kneser_ney import CONTROL_TOKENS, UNKNOWN, KneserNeyModel, estimate
from skprune.language_models.ngram.temporary import is_temporary, make_folder, remove

# For a model without <unk>, KenLM returns log10 probability -100.
_MIN_LOG_PROB_UNKNOWN = -99.0
# The tokenizer plainly does not fit the texts if more than this share of the training tokens occur only once.
# Natural text stays far below from 2,000 tokens on. Split into words, at 2,000 and at 100,000 tokens: .21 and
# .06 in 20 Newsgroups, .21 and .04 in Reuters, .35 and .06 in film reviews, .22 and .04 in Debian's
# descriptions, .31 and .08 in their German titles. Split at spaces: .46 and .11 in film reviews, .44 and .19
# in the German titles, 1.0 in Chinese sentences.
_MAX_SHARE_UNIQUE = 0.7
_MIN_CHECKED_TOKENS = 2000
# KenLM's messages begin with a place in its source code and the failed condition; this finds the rest.
_KENLM_REASON = re.compile(r"(?:threw \w+(?: because `.*?')?\. |\()([^()]*)(?: Byte: \d+)?\)?$")


class NGramModel:
    """A loaded KenLM model.

    Parameters
    ----------
    path : path-like
        A plain ARPA file or a KenLM binary.
    source : path-like, optional
        The file that the user named, if ``path`` is an unpacked copy of it. Default: ``path``.
    key : hashable, optional
        Identifies the training data and settings of a trained model. A pickle of a model with a key holds the
        model's content; without a key, it holds the path ``source``.
    folder : path-like, optional
        Temporary folder to delete when the object is no longer used.
    is_own : bool, default=False
        Whether skprune wrote the file and it cannot have changed since. Other files are checked first.

    Raises
    ------
    ModelLoadError
        If KenLM cannot read the file, or the model has no ``<unk>``.

    Attributes
    ----------
    kenlm : kenlm.Model
        The model.
    path, source : pathlib.Path
        The two files.
    key : hashable
        The key, None for a model that was not trained here.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        source: str | os.PathLike[str] | None = None,
        key: Hashable = None,
        folder: str | os.PathLike[str] | None = None,
        is_own: bool = False,
    ):
        self.path = Path(path)
        self.source = Path(source) if source is not None else self.path
        self.key = key
        if folder is not None:
            weakref.finalize(self, remove, os.fspath(folder), os.getpid())
        if not is_own:
            check_file(self.path, self.source)
        if key is not None:
            # The content stays readable, for pickles, even if another process deletes the file.
            self._descriptor = os.open(self.path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._descriptor)
        self.kenlm = _load(self.path, self.source)

    def __getstate__(self) -> dict[str, Any]:
        if self.key is None:
            return {"source": os.fspath(self.source)}
        content = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        return {"key": self.key, "content": zlib.compress(content, level=1)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # __setstate__ instead of __reduce__, so that skops can restore the object too.
        model = open_model(state["source"]) if "source" in state else _restored(**state)
        self.__dict__.update(model.__dict__)
        self._shared_with = model  # keeps the temporary file, which is deleted together with ``model``


def _reduce_for_worker(model: NGramModel) -> tuple[Any, ...]:
    """Pickle a model for another process of joblib: by its path, if the file is there until it is opened.

    A process that sends a task keeps the arguments until the task is done. A worker does not keep its
    results, so a model that a worker trained travels with its content.
    """
    sent_by_worker = multiprocessing.parent_process() is not None
    if model.key is None or (sent_by_worker and is_temporary(model.path)) or not model.path.exists():
        reduced = model.__reduce_ex__(2)
        assert isinstance(reduced, tuple)
        return reduced
    return _open_trained, (model.key, os.fspath(model.path))


def _open_trained(key: Hashable, path: str) -> NGramModel:
    return _MODELS.get(key, lambda: NGramModel(path, key=key, is_own=True))


# Only the pickles that joblib's processes exchange use this table. Compressing the model takes .4 s and 20 MB
# per task of a search.
register(NGramModel, _reduce_for_worker)


class _Models:
    """A cache of the models that this process used last; the least recently used one is dropped."""

    def __init__(self, size: int):
        self.size = size
        self._models: OrderedDict[Hashable, NGramModel] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], NGramModel]) -> NGramModel:
        # The lock is held while a model is made, so that two threads asking for the same model make it once.
        with self._lock.rlock:
            if key not in self._models:
                self._models[key] = make()
            self._models.move_to_end(key)
            while len(self._models) > self.size:
                self._models.popitem(last=False)
            return self._models[key]


# Five folds of a cross-validation and the final fit.
_MODELS = _Models(size=6)


def open_model(path: str | os.PathLike[str], *, is_checked: bool = False) -> NGramModel:
    """Load a model file, once per process and version of the file.

    Parameters
    ----------
    path : path-like
        ARPA, ARPA in gzip, or a KenLM binary of any kind.
    is_checked : bool, default=False
        Whether another process has checked or written the file.

    Returns
    -------
    NGramModel
        The model.

    Raises
    ------
    ModelLoadError
        If the file is missing, truncated or not an n-gram model, or the model has no ``<unk>``.
    """
    return _MODELS.get(stamp(path, MODEL_KIND), lambda: _open(Path(path), is_checked))


def train_model(key: Hashable, sentences: Callable[[], Iterable[list[str]]], order: int) -> NGramModel:
    """Train a model, once per process and ``key``.

    Parameters
    ----------
    key : hashable
        Identifies the sentences and the order.
    sentences : callable
        Returns the tokens of each sentence. Called only if the process has no model for ``key``.
    order : int
        Length of the longest n-grams.

    Returns
    -------
    NGramModel
        The model, in a temporary KenLM binary that exists as long as the object.
    """

    def train(path: Path) -> None:
        estimated = estimate(sentences(), order)
        _warn_if_unique(estimated)
        write_binary(estimated, path)

    return _MODELS.get(key, lambda: _in_temporary_file("model.binary", train, key=key, is_own=True))


def _warn_if_unique(model: KneserNeyModel) -> None:
    counts = model.counts[len(CONTROL_TOKENS) :]
    n_tokens, n_unique = int(counts.sum()), int((counts == 1).sum())
    if n_tokens >= _MIN_CHECKED_TOKENS and n_unique > _MAX_SHARE_UNIQUE * n_tokens:
        warnings.warn(
            f"{n_unique} of the {n_tokens} tokens to train on occur only once, so the model can say little "
            "about the texts. The tokenizer does not fit them: use tokenizer='words' for texts in scripts "
            "without spaces, or the path of a SentencePiece model",
            stacklevel=2,
        )


def _restored(key: Hashable, content: bytes) -> NGramModel:
    """Return the trained model whose compressed file a pickle held."""

    def unpack(path: Path) -> None:
        path.write_bytes(zlib.decompress(content))

    return _MODELS.get(key, lambda: _in_temporary_file("model.binary", unpack, key=key))


def _open(path: Path, is_checked: bool) -> NGramModel:
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    if not packed:
        return NGramModel(path, is_own=is_checked)

    def unpack(target: Path) -> None:
        try:
            with gzip.open(path) as source, open(target, "wb") as plain:
                shutil.copyfileobj(source, plain)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ModelLoadError(f"{path} is not a {MODEL_KIND}: truncated or damaged gzip") from error

    return _in_temporary_file("model.arpa", unpack, source=path, is_own=is_checked)


def _in_temporary_file(name: str, write: Callable[[Path], object], **described_by: Any) -> NGramModel:
    """Write a model to a temporary file and load it; the file is deleted together with the model."""
    folder = make_folder()
    path = Path(folder, name)
    try:
        write(path)
        return NGramModel(path, folder=folder, **described_by)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _load(path: Path, source: Path) -> Any:
    kenlm = require("kenlm", extra="ngram", purpose="NGramScorer")
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        model = kenlm.Model(os.fspath(path), config)
    except OSError as error:
        reason = _KENLM_REASON.search(str(error))
        raise ModelLoadError(
            f"{source} is a truncated or damaged n-gram model: {reason[1].strip() if reason else error}"
        ) from error
    except UnicodeDecodeError as error:  # KenLM's message quotes bytes of the file
        raise ModelLoadError(f"{source} is a truncated or damaged n-gram model: {error.reason}") from error
    log_prob_unknown, *_ = next(model.full_scores(UNKNOWN, bos=False, eos=False))
    if log_prob_unknown <= _MIN_LOG_PROB_UNKNOWN:
        raise ModelLoadError(
            f"{source} has no {UNKNOWN}, so KenLM would give every unknown word log10 probability -100. "
            "Estimate the model with an open vocabulary, as lmplz always does"
        )
    return model
