"""The base of scorers that run a causal language model: loading, distinct texts, batches by length."""

from __future__ import annotations

import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from skprune._progress import Progress
from skprune.language_models.causal.loader import causal_lm_fingerprint, load_causal_lm
from skprune.language_models.causal.model import CausalLM
from skprune.pools import check_texts
from skprune.row_table import RowTable

ScoreBatches = Iterator[tuple[np.ndarray, np.ndarray]]  # (positions, scores) of each batch

_CHUNK = 8_192  # texts that are tokenized and sorted by length together
# Padded tokens per forward pass. On a CPU, larger passes overflow the caches, and every layer allocates its
# buffers anew: 12 prompts of 45 tokens run at 15.0 prompts/s per core, 64 of them at 12.6.
_TOKENS_PER_PASS = {"cpu": 512}
_TOKENS_PER_PASS_GPU = 16_384


class LanguageModelScorer(BaseEstimator, ABC):
    """A scorer that loads a causal language model on first use; its pickle contains no weights.

    Subclasses have the parameters declared below and implement :meth:`iter_scores`.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "model": [str, os.PathLike],
        "precision": [StrOptions({"auto", "nf4", "int8", "bfloat16", "float32"})],
        "max_length": [Interval(Integral, 1, None, closed="left")],
        "revision": [str, None],
        "device": [str],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }

    # The parameter in which the user named the model. A filter that makes the scorer sets its own.
    _parameter = "model"

    model: Any
    precision: str
    max_length: int
    revision: str | None
    device: str
    batch_size: int | None
    verbose: int

    def __call__(self, texts: Any) -> np.ndarray:
        """Return the score of each text; copies of a text are scored once.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        ndarray of float64, shape (n,)

        Raises
        ------
        ValueError
            If a text is missing or a parameter is out of range.
        ModelLoadError
            If the model is missing, damaged or not a causal language model.
        """
        return score_distinct(self.iter_scores, texts)

    @abstractmethod
    def iter_scores(self, texts: Any) -> ScoreBatches:
        """Yield the scores batch by batch, so that an interrupt loses at most one batch.

        Parameters
        ----------
        texts : sequence of str
            Checked, distinct texts: they are not checked again, and copies would be scored again.

        Yields
        ------
        rows : ndarray of int
            Positions in ``texts``; each position occurs once.
        scores : ndarray of float64
            Their scores, as :meth:`__call__` returns them.

        Raises
        ------
        ValueError, ModelLoadError
            As :meth:`__call__`, before the first batch.
        """

    @property
    def n_calls_(self) -> int:
        """Number of sequences that this object has run through the model."""
        return getattr(self, "_n_calls", 0)

    @property
    def n_tokens_(self) -> int:
        """Number of tokens of these sequences, without padding."""
        return getattr(self, "_n_tokens", 0)

    def _load(self) -> CausalLM:
        return load_causal_lm(self.model, **self._loading, verbose=self.verbose)

    def _model_fingerprint(self) -> str:
        return causal_lm_fingerprint(self.model, **self._loading)

    @property
    def _loading(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "precision": self.precision,
            "device": self.device,
            "parameter": self._parameter,
        }

    def _in_chunks(
        self, texts: Any, score: Callable[[list[str]], ScoreBatches], description: str
    ) -> ScoreBatches:
        """Score a few thousand texts at a time, in alphabetical order, and show the progress.

        Because of that order, the batches do not depend on the order of the pool.

        Parameters
        ----------
        texts : sequence of str
        score : callable
            Takes a list of texts, and yields (positions in the list, scores).
        description : str
            Label of the progress bar.
        """
        texts = np.asarray(texts, dtype=object)
        order = np.argsort(texts, kind="stable")
        with Progress(description, len(texts), verbose=self.verbose) as progress:
            for start in range(0, len(texts), _CHUNK):
                chunk = order[start : start + _CHUNK]
                for rows, scores in score(texts[chunk].tolist()):
                    yield chunk[rows], scores
                    progress.update(len(rows))

    def _by_length(
        self, lm: CausalLM, sequences: list[list[int]], run: Callable[[list[list[int]]], np.ndarray]
    ) -> ScoreBatches:
        """Score token sequences in batches of similar length, the longest first.

        The batches become smaller when memory runs out.

        Parameters
        ----------
        lm : CausalLM
        sequences : list of lists of int
            Token ids.
        run : callable
            Takes the sequences of one batch, and returns their scores from one forward pass.
        """
        lengths = np.array([len(ids) for ids in sequences])
        rows = np.argsort(-lengths, kind="stable")
        max_rows, max_tokens = self.batch_size, sys.maxsize
        if max_rows is None:
            max_rows, max_tokens = len(rows), _TOKENS_PER_PASS.get(lm.device.type, _TOKENS_PER_PASS_GPU)
        while len(rows):
            longest = int(lengths[rows[0]])
            batch = rows[: max(1, min(max_rows, max_tokens // longest))]
            scores = _run_if_memory_lasts(lm, run, [sequences[i] for i in batch])
            if scores is None:
                max_tokens = len(batch) // 2 * longest
                continue
            if np.isnan(scores).any():
                raise FloatingPointError(
                    f"{self._parameter}={os.fspath(self.model)!r} returned NaN: its weights are damaged"
                )
            self._n_calls = self.n_calls_ + len(batch)
            self._n_tokens = self.n_tokens_ + int(lengths[batch].sum())
            yield batch, scores
            rows = rows[len(batch) :]


def score_distinct(iter_scores: Callable[[Any], ScoreBatches], texts: Any) -> np.ndarray:
    """Check the texts, score each distinct text once, and return the score of every row.

    Parameters
    ----------
    iter_scores : callable
        Takes checked, distinct texts, and yields (positions, scores) batch by batch.
    texts : sequence of str

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    ValueError
        If a text is missing.

    Examples
    --------
    >>> def lengths(texts):
    ...     for row, text in enumerate(texts):
    ...         yield np.array([row]), np.array([len(text)])
    >>> score_distinct(lengths, ["a", "bcd", "a"])
    array([1., 3., 1.])
    """
    table = RowTable(check_texts(texts))
    scores = np.empty(len(table))
    for rows, values in iter_scores(table.keys):
        scores[rows] = values
    return scores[table.row_of]


def _run_if_memory_lasts(
    lm: CausalLM, run: Callable[[list[list[int]]], np.ndarray], batch: list[list[int]]
) -> np.ndarray | None:
    """Return the scores of a batch, or None if memory ran out and a smaller batch may fit."""
    import torch

    try:
        return run(batch)
    except RuntimeError as error:
        if len(batch) == 1 or not re.search("out of memory|can't allocate memory", str(error)):
            raise
    # Outside the except block, because the traceback keeps the tensors alive.
    if lm.device.type == "cuda":
        torch.cuda.empty_cache()
    return None
