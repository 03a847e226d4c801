"""Learning curves of simulations: mean and interval over seeds, compared with a baseline."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skprune.metrics import learning_curve_auc
from skprune.plotting.display import COLORS, MARKERS, Display, plain
from skprune.plotting.runs import Runs, by_seed, check_metric, check_runs, common_curves
from skprune.significance import PairedDifference, holm, mean_margin, paired_difference

_LEVEL = 0.05


class Curve(NamedTuple):
    """The runs of one method.

    Attributes
    ----------
    labels : ndarray of int, shape (n_rounds,)
        The numbers of labels that all runs of the method have in common.
    scores : ndarray of float64, shape (n_runs, n_rounds)
    """

    labels: np.ndarray
    scores: np.ndarray


class SimulationCurveDisplay(Display):
    """Learning curves of :class:`~skprune.ActiveLearningSimulator`: one line per method, over several seeds.

    Make it with :meth:`from_simulators`. A line is the mean over seeds, and the band its confidence interval.
    With a baseline, the legend states the difference of each other method's mean curve height from it.

    Parameters
    ----------
    curves : dict of Curve
        Per method.
    metric : str
        Label of the vertical axis.
    baseline : str or None
    differences : dict of PairedDifference
        Per method except the baseline: the mean height of its curve minus that of the baseline. The p-values
        are adjusted by Holm's procedure.
    confidence_level : float

    Attributes
    ----------
    lines_ : dict of Line2D
    bands_ : dict of PolyCollection
        Only of methods with at least two runs.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skprune import ActiveLearningSimulator, RandomFilter
    >>> from skprune.plotting import SimulationCurveDisplay
    >>> from skprune.strategies import Margin
    >>> X, y = load_digits(return_X_y=True)
    >>> def run(filter, seed):
    ...     model = LogisticRegression(max_iter=500)
    ...     simulator = ActiveLearningSimulator(model, Margin(), filter, n_rounds=2, random_state=seed)
    ...     return simulator.fit(X[:300], y[:300], X_val=X[300:500], y_val=y[300:500])
    >>> runs = {
    ...     "none": [run(None, seed) for seed in range(2)],
    ...     "random": [run(RandomFilter(), seed) for seed in range(2)],
    ... }
    >>> display = SimulationCurveDisplay.from_simulators(runs, baseline="none")
    >>> list(display.differences)
    ['random']
    """

    def __init__(
        self,
        curves: dict[str, Curve],
        metric: str,
        baseline: str | None,
        differences: dict[str, PairedDifference],
        confidence_level: float,
    ) -> None:
        self.curves = curves
        self.metric = metric
        self.baseline = baseline
        self.differences = differences
        self.confidence_level = confidence_level

    @classmethod
    def from_simulators(
        cls,
        simulators: Runs,
        *,
        metric: str | None = None,
        baseline: str | None = None,
        confidence_level: float = 0.95,
        ax: Any = None,
    ) -> SimulationCurveDisplay:
        """Draw the curves of fitted simulators.

        Parameters
        ----------
        simulators : dict of str to list of ActiveLearningSimulator
            The runs of each method, one per seed.
        metric : str, default=None
            Column of ``learning_curve_``. By default the first metric of the simulators.
        baseline : str, default=None
            The method that the others are compared with, by a paired t-test over the seeds.
        confidence_level : float, default=0.95
            Confidence level of the bands.
        ax : matplotlib Axes, default=None
            New ones by default.

        Returns
        -------
        SimulationCurveDisplay

        Raises
        ------
        ValueError
            If ``baseline`` is not one of the methods, or two methods that are compared have different seeds
            or fewer than two; if a learning curve does not have the metric.

        Notes
        -----
        Curves are shown at the numbers of labels that all runs of a method reached. Two methods are compared
        by the mean height of their curves (:func:`skprune.metrics.learning_curve_auc`) over the numbers of
        labels that all runs of both reached.
        """
        runs = check_runs(simulators)
        metric = check_metric(runs, metric)
        curves = {name: Curve(*common_curves(sims, metric)) for name, sims in runs.items()}
        differences = {}
        if baseline is not None:
            if baseline not in runs:
                raise ValueError(f"baseline={baseline!r} is not one of the methods: {', '.join(runs)}")
            others = [name for name in runs if name != baseline]
            found = [_compared(runs, name, baseline, metric, confidence_level) for name in others]
            adjusted = holm([difference.p for difference in found])
            differences = {
                name: difference._replace(p=float(p))
                for name, difference, p in zip(others, found, adjusted, strict=True)
            }
        return cls(curves, metric, baseline, differences, confidence_level).plot(ax)

    def plot(self, ax: Any = None) -> SimulationCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None

        Returns
        -------
        self
        """
        axes = self._prepare(ax)
        self.lines_, self.bands_ = {}, {}
        for i, (name, (labels, scores)) in enumerate(self.curves.items()):
            color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
            mean = scores.mean(axis=0)
            style = {"color": color, "marker": marker, "markersize": 4}
            (self.lines_[name],) = axes.plot(labels, mean, label=self._label(name), **style)
            if len(scores) > 1:
                margin = mean_margin(scores, confidence_level=self.confidence_level)
                self.bands_[name] = axes.fill_between(
                    labels, mean - margin, mean + margin, color=color, alpha=0.15, linewidth=0
                )
        axes.set(xlabel="labels", ylabel=plain(self.metric.replace("_", " ")))
        title = f"mean, {self.confidence_level:.0%} interval over seeds" if self.bands_ else None
        axes.legend(title=title, loc="lower left", bbox_to_anchor=(0, 1.01), borderaxespad=0)
        return self

    def _label(self, name: str) -> str:
        label = f"{plain(name)} (n = {len(self.curves[name].scores)})"
        if name == self.baseline:
            return f"{label}: baseline"
        if name not in self.differences:
            return label
        mean, margin, p = self.differences[name]
        verdict = "established" if p < _LEVEL else "not established"
        return f"{label}: {mean:+.3f} ± {margin:.3f}, p = {p:.2g}, {verdict}"


def _compared(
    runs: dict[str, list[Any]], name: str, baseline: str, metric: str, confidence_level: float
) -> PairedDifference:
    """Return the difference of the mean heights of two methods' curves, paired by seed."""
    ours, theirs = by_seed(runs[name]), by_seed(runs[baseline])
    if set(ours) != set(theirs) or len(ours) < 2 or len(ours) < len(runs[name]):
        raise ValueError(
            f"a comparison of {name!r} with {baseline!r} needs the same seeds, one run per seed and at least "
            f"two; got {sorted(ours)} and {sorted(theirs)}. Pass baseline=None to compare nothing"
        )
    seeds = sorted(ours)
    labels, scores = common_curves([*(ours[s] for s in seeds), *(theirs[s] for s in seeds)], metric)
    heights = [learning_curve_auc(curve, labels, normalize=True) for curve in scores]
    return paired_difference(heights[: len(seeds)], heights[len(seeds) :], confidence_level=confidence_level)
