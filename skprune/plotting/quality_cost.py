"""What a filter achieves, against what it costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from skprune.plotting.display import COLORS, MARKERS, Display, plain
from skprune.plotting.runs import Runs, check_metric, check_runs
from skprune.significance import mean_margin

_COSTS = {
    "select_seconds": "seconds of selection, all rounds",
    "train_seconds": "seconds of training, all rounds",
    "predict_seconds": "seconds of measuring, all rounds",
    "llm_calls": "texts that the LLM scored",
    "labels": "labels",
}


class QualityCostDisplay(Display):
    """One point per method: its final score against the cost of its run, with intervals over seeds.

    Make it with :meth:`from_simulators`.

    Parameters
    ----------
    costs, qualities : dict of ndarray of float64, shape (n_runs,)
        Per method.
    cost_label, quality_label : str
        Labels of the axes.
    confidence_level : float

    Attributes
    ----------
    points_ : dict of ErrorbarContainer
        Per method. The bars are the confidence intervals of both means; a single run has none.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skprune.plotting import QualityCostDisplay
    >>> costs = {"none": np.array([10.0, 12.0]), "anchors": np.array([1.0, 1.5])}
    >>> qualities = {"none": np.array([0.80, 0.82]), "anchors": np.array([0.79, 0.80])}
    >>> display = QualityCostDisplay(costs, qualities, "seconds", "F1", 0.95).plot()
    >>> display.ax_.get_xlabel()
    'seconds'
    """

    def __init__(
        self,
        costs: dict[str, np.ndarray],
        qualities: dict[str, np.ndarray],
        cost_label: str,
        quality_label: str,
        confidence_level: float,
    ) -> None:
        self.costs = costs
        self.qualities = qualities
        self.cost_label = cost_label
        self.quality_label = quality_label
        self.confidence_level = confidence_level

    @classmethod
    def from_simulators(
        cls,
        simulators: Runs,
        *,
        metric: str | None = None,
        cost: str = "select_seconds",
        confidence_level: float = 0.95,
        ax: Any = None,
    ) -> QualityCostDisplay:
        """Draw one point per method.

        Parameters
        ----------
        simulators : dict of str to list of ActiveLearningSimulator
            The runs of each method, one per seed.
        metric : str, default=None
            Column of ``learning_curve_``; its last value counts. By default the first metric of the
            simulators.
        cost : {"select_seconds", "train_seconds", "predict_seconds", "llm_calls", "labels"}, \
default="select_seconds"
            Seconds are summed over the rounds; the others count once, at the end.
        confidence_level : float, default=0.95
        ax : matplotlib Axes, default=None
            New ones by default.

        Returns
        -------
        QualityCostDisplay
        """
        if cost not in _COSTS:
            raise ValueError(f"cost must be one of {', '.join(_COSTS)}, got {cost!r}")
        runs = check_runs(simulators)
        metric = check_metric(runs, metric)
        curves = {name: [simulator.learning_curve_ for simulator in sims] for name, sims in runs.items()}
        total = np.sum if cost.endswith("_seconds") else np.max
        return cls(
            {
                name: np.array([total(curve[cost]) for curve in frames], float)
                for name, frames in curves.items()
            },
            {name: np.array([curve[metric].iloc[-1] for curve in frames]) for name, frames in curves.items()},
            _COSTS[cost],
            f"{metric.replace('_', ' ')} at the end",
            confidence_level,
        ).plot(ax)

    def plot(self, ax: Any = None) -> QualityCostDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None

        Returns
        -------
        self
        """
        axes = self._prepare(ax)
        self.points_ = {}
        for i, (name, costs) in enumerate(self.costs.items()):
            x_error, y_error = (
                mean_margin(values, confidence_level=self.confidence_level) if len(values) > 1 else None
                for values in (costs, self.qualities[name])
            )
            self.points_[name] = axes.errorbar(
                costs.mean(),
                self.qualities[name].mean(),
                yerr=y_error,
                xerr=x_error,
                fmt=MARKERS[i % len(MARKERS)],
                color=COLORS[i % len(COLORS)],
                capsize=3,
                label=f"{plain(name)} (n = {len(costs)})",
            )
        axes.set(xlabel=plain(self.cost_label), ylabel=plain(self.quality_label))
        several = any(len(costs) > 1 for costs in self.costs.values())
        axes.legend(title=f"mean, {self.confidence_level:.0%} interval over seeds" if several else None)
        return self
