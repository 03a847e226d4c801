"""Displays as SVG that can stand in a page, in the color of its text."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

from skprune._optional import require

# A color that no display uses; the page's own replaces it, so that a figure suits a light and a dark page.
_INK = "#010203"
_INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")


def inline_svg(draw: Callable[[Any], Any], name: str, *, width: float = 7.0, height: float = 3.2) -> str:
    """Return a figure as an SVG element.

    Parameters
    ----------
    draw : callable
        Draws on the Axes that it is given.
    name : str
        Begins the ids of the figure, which must be unique on the page.
    width, height : float
        In inches.
    """
    matplotlib = require("matplotlib", extra="report", purpose="report")
    figure_class = require("matplotlib.figure", extra="report", purpose="report").Figure
    style = {
        "svg.fonttype": "none",  # text stays text, in the font of the page
        "svg.hashsalt": name,
        "hatch.linewidth": 0.6,
        "legend.frameon": False,
        **dict.fromkeys(_INKED, _INK),
    }
    with matplotlib.rc_context(style):
        figure = figure_class(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        out = StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    box = re.search(r'viewBox="[^"]+"', svg)
    assert box is not None
    root = f'<svg {box[0]} xmlns:xlink="http://www.w3.org/1999/xlink" aria-hidden="true">'
    return root + svg[svg.index(">") + 1 :]
