"""Which classes the strategy saw in each round."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skprune.plotting.display import COLORS, Display, plain

_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++", "oo")


class SubpoolCompositionDisplay(Display):
    """Stacked bars: the share of each class among the rows that reached the strategy, per round.

    Make it with :meth:`from_simulator`.

    Parameters
    ----------
    counts : ndarray of shape (n_rounds, n_classes)
        Rows of each class in the subpool of each round.
    classes : ndarray of shape (n_classes,)
    rounds : ndarray of int, shape (n_rounds,)

    Attributes
    ----------
    shares_ : ndarray of float64, shape (n_rounds, n_shown)
        The heights of the bars.
    bars_ : dict of BarContainer
        Per class, the rarest class at the bottom. Beyond seven classes, the most frequent ones are shown
        together as "other classes".
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skprune.plotting import SubpoolCompositionDisplay
    >>> display = SubpoolCompositionDisplay(
    ...     np.array([[90, 10], [60, 40]]), np.array(["common", "rare"]), np.array([1, 2])
    ... ).plot()
    >>> list(display.bars_), display.shares_[:, 0].tolist()
    (['rare', 'common'], [0.1, 0.4])
    """

    def __init__(self, counts: np.ndarray, classes: np.ndarray, rounds: np.ndarray) -> None:
        self.counts = counts
        self.classes = classes
        self.rounds = rounds

    @classmethod
    def from_simulator(cls, simulator: Any, *, ax: Any = None) -> SubpoolCompositionDisplay:
        """Draw the subpools of a fitted simulator.

        Parameters
        ----------
        simulator : ActiveLearningSimulator
            Of a classifier.
        ax : matplotlib Axes, default=None
            New ones by default.

        Returns
        -------
        SubpoolCompositionDisplay

        Raises
        ------
        ValueError
            If the simulator's estimator is not a classifier, or no round has a subpool.
        """
        check_is_fitted(simulator)
        counts = np.asarray(simulator.subpool_counts_, dtype=np.float64)
        rounds = np.flatnonzero(counts.sum(axis=1) > 0)  # NaN, of a round without a record, is not
        if not len(rounds):
            raise ValueError("the simulator has no round whose subpool was counted by class")
        return cls(counts[rounds], simulator.subpool_classes_, rounds).plot(ax)

    def plot(self, ax: Any = None) -> SubpoolCompositionDisplay:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None

        Returns
        -------
        self
        """
        axes = self._prepare(ax)
        order = np.argsort(self.counts.sum(axis=0), kind="stable")
        shares = self.counts[:, order] / self.counts.sum(axis=1, keepdims=True)
        names = [str(self.classes[i]) for i in order]
        n_shown = len(COLORS)
        if len(names) > n_shown:
            shares = np.column_stack([shares[:, : n_shown - 1], shares[:, n_shown - 1 :].sum(axis=1)])
            names = [*names[: n_shown - 1], "other classes"]
        self.shares_, self.bars_ = shares, {}
        bottom = np.zeros(len(self.rounds))
        for i, name in enumerate(names):
            self.bars_[name] = axes.bar(
                self.rounds,
                shares[:, i],
                0.8,
                bottom,
                color=COLORS[i],
                hatch=_HATCHES[i],
                edgecolor="white",
                linewidth=0.3,
                label=plain(name),
            )
            bottom += shares[:, i]
        axes.set(xlabel="round", ylabel="share of the subpool", ylim=(0, 1))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(title="class", loc="upper left", bbox_to_anchor=(1.01, 1), reverse=True)
        return self
