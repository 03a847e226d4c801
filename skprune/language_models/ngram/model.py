"""KenLM models: checked, loaded or trained once per process, and passed between processes.

Kept by hand around the ``kenlm`` package for two reasons: it trusts the header of a binary file, so the
header is checked here first; and its pickles hold only a path, so pickles here hold the content of a trained
model.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tempfile
import threading
import weakref
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

from skprune._optional import require
from skprune.exceptions import ModelLoadError
from skprune.hub.fingerprints import GZIP_MAGIC, stamp
from skprune.language_models.ngram.kenlm_binary import MAGIC, PARAMETERS, SANITY, write_binary
from skprune.language_models.ngram.kneser_ney import UNKNOWN, estimate

MAX_ORDER = 6  # as KenLM's Python package is compiled
# For a model without <unk>, KenLM returns log10 probability -100.
_MIN_LOG_PROB_UNKNOWN = -99.0
MODEL_KIND = "KenLM model file (ARPA, ARPA in gzip, or KenLM binary)"
_OTHER_KINDS = {
    GZIP_MAGIC: "a gzip file inside a gzip file (unpack it first)",
    b"BZh": "a bzip2 file (unpack it first)",
    b"\xfd7zXZ": "an xz file (unpack it first)",
    b"PK\x03\x04": "a zip archive",
    b"GGUF": "a GGUF model",
    b"mmap lm http://kheafield.com/code incomplete": "a KenLM binary that was not finished (build it again)",
    b"mmap lm http://kheafield.com/code": "a KenLM binary of another version or machine (build it again)",
}
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
    ):
        self.path = Path(path)
        self.source = Path(source) if source is not None else self.path
        self.key = key
        if folder is not None:
            weakref.finalize(self, _remove, os.fspath(folder), os.getpid())
        self.kenlm = _load(self.path, self.source)

    def __getstate__(self) -> dict[str, Any]:
        if self.key is None:
            return {"source": os.fspath(self.source)}
        return {"key": self.key, "content": zlib.compress(self.path.read_bytes(), level=1)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # __setstate__ instead of __reduce__, so that skops can restore the object too.
        model = open_model(state["source"]) if "source" in state else _restored(**state)
        self.__dict__.update(model.__dict__)
        self._shared_with = model  # keeps the temporary file, which is deleted together with ``model``


class _Models:
    """A cache of the models that this process used last; the least recently used one is dropped."""

    def __init__(self, size: int):
        self.size = size
        self._lock = threading.RLock()
        self._models: OrderedDict[Hashable, NGramModel] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], NGramModel]) -> NGramModel:
        # The lock is held while a model is made, so that two threads asking for the same model make it once.
        with self._lock:
            if key not in self._models:
                self._models[key] = make()
            self._models.move_to_end(key)
            while len(self._models) > self.size:
                self._models.popitem(last=False)
            return self._models[key]


# Five folds of a cross-validation and the final fit.
_MODELS = _Models(size=6)


def open_model(path: str | os.PathLike[str]) -> NGramModel:
    """Load a model file, once per process and version of the file.

    Parameters
    ----------
    path : path-like
        ARPA, ARPA in gzip, or a KenLM binary of any kind.

    Returns
    -------
    NGramModel
        The model.

    Raises
    ------
    ModelLoadError
        If the file is missing, truncated or not an n-gram model, or the model has no ``<unk>``.
    """
    return _MODELS.get(stamp(path, MODEL_KIND), lambda: _open(Path(path)))


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
        write_binary(estimate(sentences(), order), path)

    return _MODELS.get(key, lambda: _in_temporary_file("model.binary", train, key=key))


def _restored(key: Hashable, content: bytes) -> NGramModel:
    """Return the trained model whose compressed file a pickle held."""

    def unpack(path: Path) -> None:
        path.write_bytes(zlib.decompress(content))

    return _MODELS.get(key, lambda: _in_temporary_file("model.binary", unpack, key=key))


def _open(path: Path) -> NGramModel:
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    if not packed:
        return NGramModel(path)

    def unpack(target: Path) -> None:
        try:
            with gzip.open(path) as source, open(target, "wb") as plain:
                shutil.copyfileobj(source, plain)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ModelLoadError(f"{path} is not a {MODEL_KIND}: truncated or damaged gzip") from error

    return _in_temporary_file("model.arpa", unpack, source=path)


def _in_temporary_file(name: str, write: Callable[[Path], object], **described_by: Any) -> NGramModel:
    """Write a model to a temporary file and load it; the file is deleted together with the model."""
    folder = tempfile.mkdtemp(prefix="skprune-ngram-")
    path = Path(folder, name)
    try:
        write(path)
        return NGramModel(path, folder=folder, **described_by)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _remove(folder: str, owner: int) -> None:
    # A forked child also runs this when it exits, but the folder belongs to its parent.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _load(path: Path, source: Path) -> Any:
    kenlm = require("kenlm", extra="ngram", purpose="NGramScorer")
    _check_file(path, source)
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
    log_prob_unknown, *_ = next(model.full_scores(UNKNOWN, bos=False, eos=False))
    if log_prob_unknown <= _MIN_LOG_PROB_UNKNOWN:
        raise ModelLoadError(
            f"{source} has no {UNKNOWN}, so KenLM would give every unknown word log10 probability -100. "
            "Estimate the model with an open vocabulary, as lmplz always does"
        )
    return model


def _check_file(path: Path, source: Path) -> None:
    with open(path, "rb") as file:
        head = file.read(4096)
        if head.startswith(MAGIC[:-2]):
            _check_binary(head, path.stat().st_size, source)
            return
    if _first_line(head) == b"\\data\\":
        return
    found = next((kind for magic, kind in _OTHER_KINDS.items() if head.startswith(magic)), None)
    if found is None:
        found = "an empty file" if not head else "binary data" if b"\0" in head else "text"
    raise ModelLoadError(f"{source} is not a {MODEL_KIND}: found {found}")


def _first_line(head: bytes) -> bytes:
    """Return the first line that is neither empty nor a comment; KenLM skips the ones before it."""
    lines = (line.strip() for line in head.split(b"\n"))
    return next((line for line in lines if line and not line.startswith(b"#")), b"")


def _check_binary(head: bytes, size: int, source: Path) -> None:
    """Check the header's order and n-gram counts, which KenLM trusts."""
    start = len(SANITY) + PARAMETERS.size
    if len(head) < start:
        raise ModelLoadError(f"{source} is a truncated KenLM binary: {size} bytes")
    if not head.startswith(SANITY):
        raise ModelLoadError(
            f"{source} is a KenLM binary of another version or machine: build it again from its ARPA"
        )
    order = head[len(SANITY)]
    if not 2 <= order <= MAX_ORDER:
        raise ModelLoadError(f"{source} is a damaged KenLM binary: order {order}")
    counts = [int.from_bytes(head[at : at + 8], "little") for at in range(start, start + 8 * order, 8)]
    if not all(0 < n <= size for n in counts):
        raise ModelLoadError(f"{source} is a truncated or damaged KenLM binary: counts {counts}")
