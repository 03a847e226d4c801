"""What a student sees of texts: their vectors, their length, and possibly another cheap score."""

from __future__ import annotations

import numpy as np

from skprune.store import Remembered
from skprune.vectors import squared_norms

# Standard deviations: a linear student must not extrapolate from an unusual length.
_LIMIT = 3.0


class TextColumns:
    """Turns texts into the columns of a regression, on the scale of a sample.

    Vectors are divided by their root mean square length. The logarithm of the text's length, and the
    covariate if there is one, are standardized and clipped at three standard deviations.

    Parameters
    ----------
    encode : Remembered
        Texts to vectors.
    covariate : Remembered or None
        Texts to one number each; an infinite one counts as the largest or smallest finite one.
    texts : ndarray of object, shape (n,)
        The sample.
    hashes : ndarray of uint64, shape (n, 2)
        Its content hashes.
    """

    def __init__(
        self, encode: Remembered, covariate: Remembered | None, texts: np.ndarray, hashes: np.ndarray
    ) -> None:
        self._encode = encode
        self._covariate = covariate
        mean_square = float(np.mean(squared_norms(encode(texts, hashes))))
        self._scale = mean_square**-0.5 if mean_square > 0 else 1.0
        values = np.zeros(0) if covariate is None else covariate(texts)
        finite = values[np.isfinite(values)]
        self._range = (float(finite.min(initial=0.0)), float(finite.max(initial=0.0)))
        scalars = self._scalars(texts)
        self._center, self._spread = scalars.mean(axis=0), scalars.std(axis=0)
        self._spread[self._spread == 0] = 1.0
        self.n_scalars = scalars.shape[1]

    def __call__(self, texts: np.ndarray, hashes: np.ndarray | None = None) -> np.ndarray:
        """Return float64 columns, shape (n_texts, n_features + n_scalars); the scalars come last."""
        vectors = self._encode(texts, hashes)
        n_features = vectors.shape[1]
        columns = np.empty((len(texts), n_features + self.n_scalars))
        np.multiply(vectors, self._scale, out=columns[:, :n_features])
        standard = (self._scalars(texts) - self._center) / self._spread
        np.clip(standard, -_LIMIT, _LIMIT, out=columns[:, n_features:])
        return columns

    @property
    def identity(self) -> str | None:
        """What the columns depend on; None if the encoder or the covariate has no fingerprint."""
        parts = [part.compute for part in (self._encode, self._covariate) if part is not None]
        names = [getattr(part, "fingerprint", None) for part in parts]
        if None in names:
            return None
        return repr([*names, self._scale, self._range, self._center.tolist(), self._spread.tolist()])

    def _scalars(self, texts: np.ndarray) -> np.ndarray:
        columns = [np.log1p(np.fromiter(map(len, texts), dtype=np.float64, count=len(texts)))]
        if self._covariate is not None:
            columns.append(np.clip(self._covariate(texts), *self._range))
        return np.stack(columns, axis=1)
