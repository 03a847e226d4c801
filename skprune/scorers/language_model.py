"""What scorers that run a causal language model share: loading, each text once, batches of one length."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from tqdm.auto import tqdm

from skprune.language_models.causal.loader import causal_lm_fingerprint, load_causal_lm
from skprune.language_models.causal.model import CausalLM
from skprune.pools import check_texts

Scores = Iterator[tuple[np.ndarray, np.ndarray]]

_CHUNK = 8_192  # distinct texts tokenized and sorted by length at a time
# Padded tokens a forward pass. On a CPU more than that leaves the caches, and every layer's buffers go back
# to the operating system and come again: 12 prompts of 45 tokens 15.0 prompts/s and core, 64 of them 12.6.
_TOKENS_PER_BATCH = {"cpu": 512}
_TOKENS_PER_BATCH_GPU = 16_384


class LanguageModelScorer(BaseEstimator, ABC):
    """A scorer that loads a causal language model when it is used; a pickle of it holds no weights.

    Subclasses have the parameters named below, and implement :meth:`iter_scores`.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "model": [str, os.PathLike],
        "quantization": [StrOptions({"auto", "nf4", "int8", "float32"}), None],
        "max_length": [Interval(Integral, 1, None, closed="left")],
        "revision": [str, None],
        "device": [str],
        "tokens_per_batch": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }

    model: Any
    quantization: str | None
    max_length: int
    revision: str | None
    device: str
    tokens_per_batch: int | None
    verbose: int

    def __call__(self, texts: Any) -> np.ndarray:
        """Return the score of each text.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        ndarray of float64, shape (n,)

        Raises
        ------
        ValueError
            If a text is missing or a parameter out of range.
        ModelLoadError
            If the model is missing, damaged or of another kind.
        """
        texts = check_texts(texts)
        return gathered(self.iter_scores(texts), len(texts))

    @abstractmethod
    def iter_scores(self, texts: Any) -> Scores:
        """Yield the scores batch by batch, so that an interrupt costs no more than one batch.

        Parameters
        ----------
        texts : sequence of str

        Yields
        ------
        rows : ndarray of int
            Positions in ``texts``; each comes once.
        scores : ndarray of float64
            Theirs, as :meth:`__call__` returns them.

        Raises
        ------
        ValueError, ModelLoadError
            As :meth:`__call__` does, before the first batch.
        """

    @property
    def n_calls_(self) -> int:
        """Sequences run through the model over the object's life."""
        return getattr(self, "_n_calls", 0)

    def _load(self) -> CausalLM:
        return load_causal_lm(self.model, **self._loading)

    def _model_fingerprint(self) -> str:
        return causal_lm_fingerprint(self.model, **self._loading)

    @property
    def _loading(self) -> dict[str, Any]:
        return {"revision": self.revision, "quantization": self.quantization, "device": self.device}

    def _each_once(self, texts: np.ndarray, score: Callable[[list[str]], Scores], doing: str) -> Scores:
        """Yield what ``score`` says of the distinct texts, for every row that holds one.

        Parameters
        ----------
        texts : ndarray of object, shape (n,)
        score : callable
            Takes some thousand distinct texts, yields (positions among them, scores).
        doing : str
            What the progress bar says.
        """
        distinct, inverse = np.unique(texts, return_inverse=True)
        rows_of = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
        with tqdm(total=len(distinct), desc=doing, unit="text", disable=not self.verbose) as bar:
            for start in range(0, len(distinct), _CHUNK):
                for picked, scores in score(distinct[start : start + _CHUNK].tolist()):
                    rows = [rows_of[start + i] for i in picked]
                    yield np.concatenate(rows), np.repeat(scores, [len(r) for r in rows])
                    bar.update(len(picked))

    def _longest_first(
        self, lm: CausalLM, sequences: list[list[int]], run: Callable[[list[list[int]]], np.ndarray]
    ) -> Scores:
        """Yield rows of ``sequences`` and what ``run`` says of them: batches of about one length.

        Where memory runs out, the batches become smaller.
        """
        lengths = np.array([len(ids) for ids in sequences])
        rows = np.argsort(-lengths, kind="stable")
        budget = self.tokens_per_batch or _TOKENS_PER_BATCH.get(lm.device.type, _TOKENS_PER_BATCH_GPU)
        while len(rows):
            batch = rows[: max(1, budget // lengths[rows[0]])]
            scores = _unless_memory_runs_out(lm, run, [sequences[i] for i in batch])
            if scores is None:
                budget = len(batch) // 2 * int(lengths[batch[0]])
                continue
            if np.isnan(scores).any():
                name = os.fspath(self.model)
                raise FloatingPointError(f"model={name!r} returned NaN: its weights are damaged")
            self._n_calls = self.n_calls_ + len(batch)
            yield batch, scores
            rows = rows[len(batch) :]


def gathered(batches: Scores, n_rows: int) -> np.ndarray:
    """Return the scores of all rows, from batches of them."""
    scores = np.empty(n_rows)
    for rows, values in batches:
        scores[rows] = values
    return scores


def _unless_memory_runs_out(
    lm: CausalLM, run: Callable[[list[list[int]]], np.ndarray], batch: list[list[int]]
) -> np.ndarray | None:
    """Return None where memory ran out and fewer sequences may fit."""
    import torch

    try:
        return run(batch)
    except RuntimeError as error:
        if len(batch) == 1 or not re.search("out of memory|can't allocate memory", str(error)):
            raise
    # Only now, for the traceback held on to the tensors.
    if lm.device.type == "cuda":
        torch.cuda.empty_cache()
    return None
