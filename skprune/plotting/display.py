"""What the displays share: axes, colors, and the artists of a mean with its interval."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from skprune._optional import require

# Okabe and Ito's palette, which people with any color vision tell apart; yellow is too pale for lines.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STATUS_COLORS = {"removed": "#E69F00", "kept": "#0072B2", "labeled": "#009E73"}
STATUS_MARKERS = {"removed": "x", "kept": "o", "labeled": "^"}


class Display:
    """Base of the displays.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    ax_: Any
    figure_: Any

    def _prepare(self, ax: Any) -> Any:
        """Set ``ax_`` and ``figure_``, and return the axes: those given, or new ones."""
        pyplot = require_pyplot(type(self).__name__)
        self.ax_ = pyplot.subplots(layout="constrained")[1] if ax is None else ax
        self.figure_ = self.ax_.figure
        self.ax_.spines[["top", "right"]].set_visible(False)
        return self.ax_


def scatter_by_status(
    axes: Any, positions: np.ndarray, status: np.ndarray, drawn: np.ndarray, **style: Any
) -> dict[str, Any]:
    """Draw the rows at ``drawn`` as points, colored and marked by their status; return the points of each.

    Parameters
    ----------
    axes : matplotlib Axes
    positions : ndarray of float64, shape (n_rows, 2)
    status : ndarray of object, shape (n_rows,)
        ``"kept"``, ``"removed"`` or ``"labeled"``.
    drawn : ndarray of bool, shape (n_rows,)
    **style : dict
        Further options of ``axes.scatter``.
    """
    points = {}
    for name, color in STATUS_COLORS.items():
        rows = drawn & (status == name)
        if rows.any():
            points[name] = axes.scatter(
                *positions[rows].T,
                c=color,
                marker=STATUS_MARKERS[name],
                linewidths=0.9,
                alpha=0.7,
                label=f"{name} ({rows.sum():,})",
                **style,
            )
    return points


def require_pyplot(purpose: str) -> ModuleType:
    """Import pyplot, or say how to install it."""
    return require("matplotlib.pyplot", extra="plot", purpose=purpose)


def plain(text: Any) -> str:
    """Return a text that matplotlib draws as it is: a dollar sign would begin a formula.

    Examples
    --------
    >>> print(plain("$5"))
    \\$5
    """
    return str(text).replace("$", r"\$")
