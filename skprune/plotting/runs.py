"""Simulators over several seeds, and what is read from their learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skprune.simulate.scoring import metric_names

Runs = Mapping[str, Sequence[Any]]


def check_runs(simulators: Runs) -> dict[str, list[Any]]:
    """Return the simulators per name, each fitted, at least one per name.

    Raises
    ------
    ValueError
        If there are none.
    NotFittedError
        If one is not fitted. The message names it.
    """
    runs = {
        name: list(value) if isinstance(value, Sequence) else [value] for name, value in simulators.items()
    }
    if not runs or not all(runs.values()):
        raise ValueError("simulators must map each name to at least one fitted simulator")
    for name, sims in runs.items():
        for i, simulator in enumerate(sims):
            check_is_fitted(simulator, "learning_curve_", msg=f"simulators[{name!r}][{i}] is not fitted")
    return runs


def check_metric(runs: dict[str, list[Any]], metric: str | None) -> str:
    """Return the metric to show: ``metric``, or the first one of the simulators.

    Raises
    ------
    ValueError
        If a learning curve has no such column.
    """
    first = next(iter(runs.values()))[0]
    if metric is None:
        names = [] if callable(first.scoring) else metric_names(first.scoring)
        metric = next((name for name in names if name in first.learning_curve_), None)
        if metric is None:
            raise ValueError(
                "name the metric to show; the learning curves have the columns "
                f"{', '.join(first.learning_curve_.columns)}. Metrics need X_val and y_val"
            )
    for name, simulators in runs.items():
        for i, simulator in enumerate(simulators):
            if metric not in simulator.learning_curve_:
                raise ValueError(f"the learning curve of simulators[{name!r}][{i}] has no column {metric!r}")
    return metric


def common_curves(simulators: Sequence[Any], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of labels that all runs reached, and the metric of each run there.

    Returns
    -------
    labels : ndarray of int, shape (n_rounds,)
    scores : ndarray of float64, shape (n_runs, n_rounds)

    Raises
    ------
    ValueError
        If no number of labels is common to all runs.
    """
    curves = [simulator.learning_curve_.set_index("labels")[metric] for simulator in simulators]
    labels = curves[0].index
    for curve in curves[1:]:
        labels = labels.intersection(curve.index)
    if not len(labels):
        raise ValueError("the runs of a method must have numbers of labels in common")
    labels = labels.sort_values()
    return labels.to_numpy(), np.array([curve.loc[labels].to_numpy(dtype=float) for curve in curves])


def by_seed(simulators: Sequence[Any]) -> dict[int, Any]:
    """Return the simulators under their seeds."""
    return {simulator.seed_: simulator for simulator in simulators}
