"""KenLM models: checked, loaded or trained once in a process, and carried between processes."""

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
# A model without <unk> gives it log10 probability -100.
_NEVER = -99.0
MODEL_FILE = "KenLM model file (ARPA, ARPA in gzip, or KenLM binary)"
_KINDS = {
    b"\x1f\x8b": "a gzip file that holds no ARPA text",
    b"BZh": "a bzip2 file (unpack it first)",
    b"\xfd7zXZ": "an xz file (unpack it first)",
    b"PK\x03\x04": "a zip archive",
    b"GGUF": "a GGUF model",
    b"mmap lm http://kheafield.com/code incomplete": "a KenLM binary that was not finished",
    b"mmap lm http://kheafield.com/code": "a KenLM binary of another version or machine",
}
# KenLM's messages begin with the place in its source and the condition that failed.
_KENLM_REASON = re.compile(r"(?:threw \w+(?: because `.*?')?\. |\()([^()]*)(?: Byte: \d+)?\)?$")


class NGramModel:
    """One KenLM model that is loaded.

    Parameters
    ----------
    path : path-like
        A plain ARPA file or a KenLM binary.
    source : path-like, optional
        The file that a user named, where ``path`` is an unpacked copy of it.
    key : hashable, optional
        What a trained model was trained from; such a model is carried with its content.
    folder : path-like, optional
        Temporary folder to delete when nothing needs the model any more.

    Raises
    ------
    ModelLoadError
        If KenLM cannot read the file, or the model knows no ``<unk>``.

    Attributes
    ----------
    kenlm : kenlm.Model
        The model.
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
        # By attributes rather than by a function to call, so that skops can restore it too.
        model = open_model(state["source"]) if "source" in state else _unpacked(**state)
        self.__dict__.update(model.__dict__)
        self._lender = model  # the temporary file goes with it


class _Models:
    """The models used last in this process, by what they come from; the oldest is let go."""

    def __init__(self, size: int):
        self.size = size
        self._lock = threading.RLock()
        self._models: OrderedDict[Hashable, NGramModel] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], NGramModel]) -> NGramModel:
        # Held while a model is made: two threads that want the same one make it once.
        with self._lock:
            if key not in self._models:
                self._models[key] = make()
            self._models.move_to_end(key)
            while len(self._models) > self.size:
                self._models.popitem(last=False)
            return self._models[key]


# The folds of a usual cross-validation and the final fit.
_MODELS = _Models(size=6)


def open_model(path: str | os.PathLike[str]) -> NGramModel:
    """Load a model file, once in a process for each state of the file.

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
        If the file is missing, truncated, of another kind, or has no ``<unk>``.
    """
    state = stamp(path, MODEL_FILE)
    return _MODELS.get(state, lambda: _open(Path(path)))


def train_model(key: Hashable, sentences: Callable[[], Iterable[list[str]]], order: int) -> NGramModel:
    """Train a model, once in a process for each ``key``.

    Parameters
    ----------
    key : hashable
        Identifies the sentences and the order.
    sentences : callable
        Returns the tokens of each sentence; called only if the model has to be trained.
    order : int
        Length of the longest n-grams.

    Returns
    -------
    NGramModel
        The model, in a temporary KenLM binary that lasts as long as the object.
    """

    def train(path: Path) -> None:
        write_binary(estimate(sentences(), order), path)

    return _MODELS.get(key, lambda: _in_temporary_file(key, train))


def _unpacked(key: Hashable, content: bytes) -> NGramModel:
    def unpack(path: Path) -> None:
        path.write_bytes(zlib.decompress(content))

    return _MODELS.get(key, lambda: _in_temporary_file(key, unpack))


def _in_temporary_file(key: Hashable, write: Callable[[Path], object]) -> NGramModel:
    folder = tempfile.mkdtemp(prefix="skprune-ngram-")
    path = Path(folder, "model.binary")
    try:
        write(path)
        return NGramModel(path, key=key, folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _remove(folder: str, owner: int) -> None:
    # A forked child runs this too when it ends; the folder is its parent's.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _open(path: Path) -> NGramModel:
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    if not packed:
        return NGramModel(path)
    folder = tempfile.mkdtemp(prefix="skprune-ngram-")
    try:
        unpacked = Path(folder, "model.arpa")
        with gzip.open(path) as source, open(unpacked, "wb") as target:
            shutil.copyfileobj(source, target)
        return NGramModel(unpacked, source=path, folder=folder)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ModelLoadError(f"{path} is not a {MODEL_FILE}: truncated or damaged gzip") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


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
    if log_prob_unknown <= _NEVER:
        raise ModelLoadError(
            f"{source} has no {UNKNOWN}: KenLM would score every unknown word at log10 "
            "probability -100. Estimate it with an open vocabulary (lmplz always does)"
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
    found = next((kind for magic, kind in _KINDS.items() if head.startswith(magic)), None)
    if found is None:
        found = "an empty file" if not head else "binary data" if b"\0" in head else "text"
    raise ModelLoadError(f"{source} is not a {MODEL_FILE}: found {found}")


def _first_line(head: bytes) -> bytes:
    """Return the first line that is no comment, as KenLM skips them."""
    lines = (line.strip() for line in head.split(b"\n"))
    return next((line for line in lines if line and not line.startswith(b"#")), b"")


def _check_binary(head: bytes, size: int, source: Path) -> None:
    """Check what KenLM would trust: the header's order and counts."""
    start = len(SANITY) + PARAMETERS.size
    if len(head) < start:
        raise ModelLoadError(f"{source} is a truncated KenLM binary: {size} bytes")
    if not head.startswith(SANITY):
        raise ModelLoadError(f"{source} is a KenLM binary of another version or machine")
    order = head[len(SANITY)]
    if not 2 <= order <= MAX_ORDER:
        raise ModelLoadError(f"{source} is a damaged KenLM binary: order {order}")
    counts = [int.from_bytes(head[at : at + 8], "little") for at in range(start, start + 8 * order, 8)]
    if not all(0 < n <= size for n in counts):
        raise ModelLoadError(f"{source} is a truncated or damaged KenLM binary: counts {counts}")
