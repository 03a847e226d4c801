"""Filters that keep the best rows by one score of the whole pool."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from skprune.base import BaseFilter
from skprune.cost import ModelUse
from skprune.fitting import learns_from_pool
from skprune.pools import Pool
from skprune.scorers.parameters import distilled_uses
from skprune.selections import Selection, lowest, mask_of, one_of
from skprune.store import Remembered


class ScoreFilter(BaseFilter):
    """Keep the texts with the best scores; a subclass names the scorer and which end of the scale is best.

    A blank text is not worth a label: it is never scored, and it comes last.
    """

    _takes_vectors = False
    _needs_memory = ""

    #: The parameter that holds the scorer, and the name of the score among the columns of :meth:`explain`.
    _parameter: ClassVar[str]
    _column: ClassVar[str]
    _lowest_first: ClassVar[bool]
    #: Why a row is kept, and why it is not.
    _reasons: ClassVar[tuple[str, str]]
    #: Number of texts that a plain callable is given at a time.
    _batch_size: ClassVar[int] = 1024

    keep: float | int
    memory: Any

    @abstractmethod
    def _make_scorer(self, texts: np.ndarray) -> Any:
        """Return the callable ``texts -> scores``."""

    def _fit(self, pool: Pool) -> None:
        self._scorer = self._remembered(pool.training_texts)
        table = self._table
        self._scores = self._score(table.keys, table.written, table.digests)

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        n_kept = self._kept_size(len(eligible), min_rows)
        scores = self._values_at(
            pool,
            eligible,
            self._scores,
            lambda rows: self._score(pool.texts[rows], pool.written_at(rows)),
        )
        order = lowest(scores if self._lowest_first else -scores, n_kept, self._uniforms(pool, eligible))
        return Selection(order, lambda: self._columns(scores, order))

    def _remembered(self, texts: np.ndarray) -> Remembered:
        scorer = self._make_scorer(texts)
        return Remembered(scorer, self.memory, name=self._parameter, batch_size=self._batch_size)

    def _model_uses(self, pool: Pool, n_eligible: int) -> list[ModelUse]:
        written, scorer = np.flatnonzero(pool.table.written), getattr(self, self._parameter)
        if learns_from_pool(scorer):
            return distilled_uses(scorer, written, memory=self.memory, name=self._parameter)
        return [ModelUse(self._remembered(pool.training_texts), written, len(written))]

    def _score(self, texts: np.ndarray, written: np.ndarray, digests: np.ndarray | None = None) -> np.ndarray:
        if written.all():
            return self._scorer(texts, digests)
        scores = np.full(len(texts), np.inf if self._lowest_first else -np.inf)
        if written.any():
            scores[written] = self._scorer(texts[written], None if digests is None else digests[written])
        return scores

    def _columns(self, scores: np.ndarray, order: np.ndarray) -> dict[str, Any]:
        kept = mask_of(order, len(scores))
        why, why_not = self._reasons
        empty = scores == (np.inf if self._lowest_first else -np.inf)
        reasons = [why_not, f"kept: {why}", "empty", "kept: empty, but nothing better is left"]
        return {
            "stage": one_of(kept, ["", self._parameter]),
            self._column: scores,
            "threshold": np.broadcast_to(scores[order[-1]], len(scores)),
            "reason": one_of(kept + 2 * empty, reasons),
        }
