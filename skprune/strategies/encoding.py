"""Base class of the strategies that compare rows by an encoder's vectors, not by the learner's features."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import HasMethods

from skprune.encoders import make_encoder
from skprune.fitting import check_clones_keep_fit, fitted_on, is_fitted, unwrapped
from skprune.pools import Pool
from skprune.store import Remembered
from skprune.strategies.base import Strategy


class EncodingStrategy(Strategy):
    """A strategy over an encoder's vectors. It works before any row is labeled, with ``learner=None`` too.

    Parameters
    ----------
    encoder : None, str, path, estimator or callable, default=None
        Turns texts into vectors. None is TF-IDF with SVD; a string or path is the name or folder of a
        SentenceTransformer. A numeric pool needs no encoder.
    memory : None or path, default=None
        Where vectors are kept: None keeps them in this process, a path keeps them in that folder. Vectors of
        an unfitted encoder are not kept: it is fitted again on the pool and the labeled rows at every query.
    random_state : int, RandomState or None, default=None
        See :class:`skprune.strategies.RandomSampling`.
    verbose : int, default=0
        If above 0, show a progress bar while encoding.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "encoder": "no_validation",  # type: ignore[dict-item]  # make_encoder checks it
        "memory": [None, str, HasMethods(["__fspath__"])],
        "verbose": ["verbose"],
        **Strategy._parameter_constraints,
    }

    def __init__(
        self, encoder: Any = None, *, memory: Any = None, random_state: Any = None, verbose: int = 0
    ) -> None:
        super().__init__(random_state)
        self.encoder = encoder
        self.memory = memory
        self.verbose = verbose

    def _vectors(self, pool: Pool, labeled: Pool | None) -> tuple[Any, Any]:
        """Return the vectors of the pool and of the labeled rows, as floats; the latter may be empty."""
        if not pool.holds_texts:
            vectors = _float(pool.vectors)
            return vectors, vectors[:0] if labeled is None else _float(labeled.vectors)
        labeled_texts = pool.texts[:0] if labeled is None else labeled.texts
        vectors = self._encode(np.concatenate([pool.texts, labeled_texts]))
        return vectors[: len(pool)], vectors[len(pool) :]

    def _encode(self, texts: np.ndarray) -> np.ndarray:
        encoder = make_encoder(self.encoder, verbose=self.verbose)
        check_clones_keep_fit(encoder, "encoder")
        if is_fitted(encoder):
            try:
                return Remembered(unwrapped(encoder), self.memory, name="encoder")(texts)
            except NotFittedError as error:  # __call__ would take it for an unfitted learner
                raise ValueError(f"encoder is not fitted: {error}") from error
        distinct, row_of = np.unique(texts, return_inverse=True)  # sorted, so the pool's order has no effect
        return fitted_on(encoder, distinct, name="encoder")(distinct)[row_of]


def _float(vectors: Any) -> Any:
    return vectors if vectors.dtype in (np.float32, np.float64) else vectors.astype(np.float64)
