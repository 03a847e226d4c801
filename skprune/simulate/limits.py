"""How long a run may go on: its rounds, labels and seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """The limits of one run; see :class:`~skprune.ActiveLearningSimulator` for the parameters.

    Examples
    --------
    >>> limits = Limits(n_instances=20, n_rounds=10, label_budget=50, time_budget=None)
    >>> limits.batch_size(n_labeled=40, n_eligible=1000), limits.max_labels(n_initial=20, n_rows=1000)
    (10, 50)
    """

    n_instances: int
    n_rounds: int | None
    label_budget: int | None
    time_budget: float | None

    def batch_size(self, n_labeled: int, n_eligible: int) -> int:
        """Return how many rows the next round labels."""
        size = min(self.n_instances, n_eligible)
        return size if self.label_budget is None else min(size, self.label_budget - n_labeled)

    def max_labels(self, n_initial: int, n_rows: int) -> int:
        """Return the maximum number of labels that the run may ask for."""
        limits = [n_rows]
        if self.n_rounds is not None:
            limits.append(n_initial + self.n_rounds * self.n_instances)
        if self.label_budget is not None:
            limits.append(self.label_budget)
        return min(limits)

    def reached(self, curve: Any) -> str | None:
        """Return the name of the limit that the learning curve has reached, or None."""
        if self.n_rounds is not None and len(curve) > self.n_rounds:
            return "n_rounds"
        if self.label_budget is not None and curve["labels"].iloc[-1] >= self.label_budget:
            return "label_budget"
        if self.time_budget is not None:
            spent = curve[["select_seconds", "train_seconds", "predict_seconds"]].to_numpy().sum()
            if spent >= self.time_budget:
                return "time_budget"
        return None
