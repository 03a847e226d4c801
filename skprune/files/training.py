"""An n-gram model of texts in files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from sklearn.base import clone

from skprune._atomic import replacing
from skprune.decisions import check_options
from skprune.files.checks import open_files
from skprune.files.paths import find_files
from skprune.files.plan import read_pool
from skprune.scorers.ngram import NGramScorer


def train_ngram(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    scorer: NGramScorer | None = None,
    *,
    out: str | os.PathLike[str],
    text: str | None = None,
    n_train: int = 100_000,
    verbose: int = 0,
) -> NGramScorer:
    """Train an n-gram model on texts in files, and save it as a KenLM binary.

    Parameters
    ----------
    paths, text, verbose
        As for :func:`prune`. Rows without a text are skipped.
    scorer : NGramScorer, default=None
        Cloned, and trained on ``n_train`` texts whatever its ``max_train_texts``. None: one with the default
        parameters.
    out : path-like
        The file for the model. ``NGramScorer(model=out, ...)`` needs the same normalizer and tokenizer.
    n_train : int, default=100_000
        Maximum number of distinct texts to train on, those with the lowest content hashes. They must fit
        into memory.

    Returns
    -------
    NGramScorer
        Fitted.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        As in :func:`prune`.
    OSError
        If ``out`` cannot be written. An earlier file stays whole.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skprune import NGramScorer
    >>> from skprune.files import train_ngram
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "clean.txt").write_text("the cat sat\\nthe dog sat\\n")
    ...     fitted = train_ngram(folder, NGramScorer(order=2), out=f"{folder}/model.bin")
    ...     loaded = NGramScorer(f"{folder}/model.bin")
    ...     bool((loaded(["the dog"]) == fitted(["the dog"])).all())
    True
    """
    check_options("drop", n_train)
    files = open_files(find_files(paths), text)
    pool, _, _ = read_pool(files, "drop", None, n_train, verbose)
    texts = np.asarray(pool.training_texts).tolist()
    fitted = clone(NGramScorer() if scorer is None else scorer)
    fitted.set_params(max_train_texts=n_train).fit(texts)
    with replacing(Path(out)) as file, open(fitted.model_.source, "rb") as model:
        shutil.copyfileobj(model, file)
    return fitted
