"""What a notebook shows of a filter: scikit-learn's diagram, and what the filter keeps."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator


class NotebookDisplay(BaseEstimator):
    """A filter whose HTML also tells the numbers of rows and the threshold, once it is fitted."""

    def _repr_html_inner(self) -> str:
        return str(super()._repr_html_inner()) + self._summary_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += self._summary_html()
        return dict(bundle)

    def _summary_html(self) -> str:
        """Return a paragraph with the numbers of rows and the threshold; nothing before :meth:`fit`."""
        if not hasattr(self, "pool_"):
            return ""
        twin: Any = object.__new__(type(self))  # shares all state, and never asks a model
        twin.__dict__.update(self.__dict__, _stored_only=True)
        try:
            twin._validate_params()
            explained = twin._explained(self.pool_, min_rows=0)
        except ValueError:  # every row is labeled, or a parameter has been set to something invalid since
            return f"<p>Fitted on {len(self.pool_):,} rows.</p>"
        thresholds = explained["threshold"].dropna().unique() if "threshold" in explained else []
        threshold = f" Threshold: {thresholds[0]:.4g}." if len(thresholds) == 1 else ""
        n_labeled = f" {len(self.labeled_):,} rows have a label." if len(self.labeled_) else ""
        return f"<p>Keeps {explained['kept'].sum():,} of {len(explained):,} rows.{n_labeled}{threshold}</p>"
