"""Training dynamics: the predictions for each row after every epoch, and scores computed from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# Rows whose windows are computed together.
_BLOCK = 8_192


class TrainingDynamics:
    """Log of a training run: four numbers per row and epoch, whatever the number of classes.

    Probabilities are reduced when they are recorded, so that 60,000 rows over 30 epochs take 23 MB with ten
    classes or a thousand.

    Parameters
    ----------
    codes : array-like of int, shape (n_rows,)
        For each row, the column of its label in the probabilities.
    n_epochs : int
        Number of epochs that will be logged.

    Attributes
    ----------
    p_label : ndarray of float32, shape (n_epochs, n_rows)
        Probability of the row's label; NaN where nothing is recorded yet.
    margin : ndarray of float32, shape (n_epochs, n_rows)
        Probability of the label minus the largest probability of another class, in [−1, 1].
    error : ndarray of float32, shape (n_epochs, n_rows)
        Euclidean distance from the probabilities to the one-hot label, in [0, √2].
    correct : ndarray of bool, shape (n_epochs, n_rows)
        Whether the label was more probable than every other class.

    Examples
    --------
    >>> log = TrainingDynamics([0, 1], n_epochs=2)
    >>> log.record(0, [[0.5, 0.25, 0.25], [0.75, 0.125, 0.125]])
    >>> log.record(1, [[1.0, 0.0, 0.0], [0.25, 0.5, 0.25]])
    >>> aum(log)
    array([ 1.25 , -0.375])
    """

    def __init__(self, codes: Any, n_epochs: int) -> None:
        self.codes = np.asarray(codes, dtype=np.intp)
        shape = (n_epochs, len(self.codes))
        self.p_label = np.full(shape, np.nan, dtype=np.float32)
        self.margin = np.full(shape, np.nan, dtype=np.float32)
        self.error = np.full(shape, np.nan, dtype=np.float32)
        self.correct = np.zeros(shape, dtype=bool)

    @property
    def n_epochs(self) -> int:
        """Number of epochs in the log."""
        return len(self.p_label)

    def record(self, epoch: int, proba: Any, rows: Any = slice(None)) -> None:
        """Log the probabilities of rows after one epoch.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        proba : array-like of shape (n, n_classes)
            Predicted probabilities.
        rows : slice or ndarray of int, shape (n,), default=all
            The rows that they belong to.

        Raises
        ------
        ValueError
            If a probability is not finite, because the training diverged.
        """
        proba = np.asarray(proba)
        proba = proba if proba.dtype.kind == "f" else proba.astype(np.float64)
        if not np.isfinite(proba).all():
            raise ValueError(
                f"epoch {epoch}: a probability is not finite; try a lower learning rate for the proxy"
            )
        each = np.arange(len(proba))
        p_label = proba[each, self.codes[rows]]
        others = proba.copy()
        others[each, self.codes[rows]] = -np.inf
        # With a single class, the margin is the distance from 0.
        rival = others.max(axis=1) if proba.shape[1] > 1 else np.zeros(len(proba))
        squares = np.einsum("ij,ij->i", proba, proba, dtype=np.float64)
        self.p_label[epoch, rows] = p_label
        self.margin[epoch, rows] = p_label - rival
        self.error[epoch, rows] = np.sqrt(np.maximum(squares - 2.0 * p_label + 1.0, 0.0))
        self.correct[epoch, rows] = p_label > rival


def aum(dynamics: TrainingDynamics) -> np.ndarray:
    """Return the area under the margin, Σ_t (p_y − max_{c≠y} p_c), which is low for doubtful labels.

    Parameters
    ----------
    dynamics : TrainingDynamics

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        In [−n_epochs, n_epochs].

    Notes
    -----
    Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin Ranking", NeurIPS 2020, take
    the mean over epochs of the margin of logits. The sum over epochs of the margin of probabilities follows
    the coreset literature.
    """
    return dynamics.margin.sum(axis=0, dtype=np.float64)


def el2n(dynamics: TrainingDynamics, n_epochs: int = 20) -> np.ndarray:
    """Return Σ ‖p − onehot(y)‖₂ over the first epochs, which is high for rows that are learned late.

    Parameters
    ----------
    dynamics : TrainingDynamics
    n_epochs : int, default=20
        Number of epochs to sum over; all if fewer were logged.

    Returns
    -------
    ndarray of float64, shape (n_rows,)

    Notes
    -----
    Paul, Ganguli and Dziugaite, "Deep Learning on a Data Diet", NeurIPS 2021.
    """
    return dynamics.error[:n_epochs].sum(axis=0, dtype=np.float64)


def forgetting(dynamics: TrainingDynamics) -> np.ndarray:
    """Return how often a row was classified correctly after one epoch and wrongly after the next.

    Parameters
    ----------
    dynamics : TrainingDynamics

    Returns
    -------
    ndarray of float64, shape (n_rows,)

    Notes
    -----
    Toneva et al., "An Empirical Study of Example Forgetting during Deep Neural Network Learning", ICLR 2019.
    There, a row that is never classified correctly counts as forgotten infinitely often; here, it gets 0.

    Examples
    --------
    >>> log = TrainingDynamics([0], n_epochs=4)
    >>> for epoch, p in enumerate([0.9, 0.2, 0.8, 0.4]):
    ...     log.record(epoch, [[p, 1 - p]])
    >>> forgetting(log)
    array([2.])
    """
    return (dynamics.correct[:-1] & ~dynamics.correct[1:]).sum(axis=0, dtype=np.float64)


def dyn_unc(dynamics: TrainingDynamics, window: int = 10) -> np.ndarray:
    """Return the dynamic uncertainty: the mean of std(p_y) over sliding windows of epochs.

    Parameters
    ----------
    dynamics : TrainingDynamics
    window : int, default=10
        Epochs per window (J); all if fewer were logged.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        In [0, 0.5].

    Notes
    -----
    He et al., "Large-scale Dataset Pruning with Dynamic Uncertainty", CVPR 2024 Workshops. The deviation is
    divided by J; division by J − 1 would multiply all scores by the same factor and give the same picks.
    """
    return _over_windows(dynamics.p_label, window, weighted=False)


def dual(dynamics: TrainingDynamics, window: int = 10, n_epochs: int | None = None) -> np.ndarray:
    """Return the DUAL score, the mean of std(p_y) · (1 − mean p_y) over sliding windows of epochs.

    It is high for rows that are uncertain and hard.

    Parameters
    ----------
    dynamics : TrainingDynamics
    window : int, default=10
        Epochs per window (J); all if fewer were logged.
    n_epochs : int or None, default=None
        Use the first ``n_epochs`` epochs only (T); None uses all that were logged.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        In [0, 0.5].

    Notes
    -----
    Cho, Shin and Yun, "Lightweight Dataset Pruning without Full Training via Example Difficulty and
    Prediction Uncertainty", ICML 2025. As in :func:`dyn_unc`, the deviation is divided by J.
    """
    return _over_windows(dynamics.p_label[:n_epochs], window, weighted=True)


def _over_windows(p_label: np.ndarray, window: int, *, weighted: bool) -> np.ndarray:
    """Return the mean deviation over sliding windows in double precision, without an array of all windows."""
    n_epochs, n_rows = p_label.shape
    window = min(window, n_epochs)
    out = np.zeros(n_rows)
    for start in range(0, n_rows, _BLOCK):
        block = p_label[:, start : start + _BLOCK].astype(np.float64)
        for p in np.moveaxis(sliding_window_view(block, window, axis=0), -1, 1):
            mean = p.mean(axis=0)
            deviation = np.sqrt(np.mean((p - mean) ** 2, axis=0))
            out[start : start + _BLOCK] += deviation * (1.0 - mean) if weighted else deviation
    return out / (n_epochs - window + 1)
