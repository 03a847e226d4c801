"""The report of a fitted filter: a page of HTML that needs nothing else, and its figures as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from skprune import __version__
from skprune._optional import require
from skprune.plotting.explanations import fitted_filter
from skprune.pools import read_pool
from skprune.reporting.groups import divisions
from skprune.reporting.sections import Facts, sections_of
from skprune.streams import draw_seed, generator

# Four kinds of examples, three near-copies (two texts each) and a group of copies: at most 100 texts.
_MAX_EXAMPLES = 14


@dataclass
class Report:
    """What :func:`~skprune.report` returns. In a notebook, it displays itself.

    Attributes
    ----------
    html : str
        The page.
    figures : dict
        All figures of the page, as plain JSON.
    """

    html: str
    figures: dict[str, Any]

    def save(self, path: Any) -> None:
        """Write the page to ``path``, and the figures beside it, with the ending ``.json``.

        Each file is written whole or not at all.
        """
        page = Path(path).expanduser()
        if page.suffix == ".json":
            raise ValueError(f"path={str(path)!r} is where the figures go; use the ending .html")
        figures = json.dumps(self.figures, ensure_ascii=False, indent=1, allow_nan=False)
        for file, content in ((page, self.html), (page.with_suffix(".json"), figures)):
            unfinished = file.with_name(f".{file.name}.{os.getpid()}")
            try:
                unfinished.write_text(content, encoding="utf-8")
                unfinished.replace(file)
            finally:
                unfinished.unlink(missing_ok=True)

    def _repr_html_(self) -> str:
        from html import escape

        return f'<iframe srcdoc="{escape(self.html)}" width="100%" height="600" title="Report"></iframe>'


def report(
    filter: Any,
    X: Any = None,
    *,
    groups: Any = None,
    path: Any = None,
    sensitive: bool = False,
    n_examples: int = 5,
    random_state: Any = 0,
) -> Report:
    """Report what a fitted filter kept, and why.

    Parameters
    ----------
    filter : filter, or a wrapper, query or simulator with one
        Fitted.
    X : container of n_rows rows, default=None
        By default the rows given to ``fit``.
    groups : dict of str to array-like of shape (n_rows,), or DataFrame, default=None
        Properties of the rows by which to compare how often they are kept, for instance their language or
        source.
    path : path, default=None
        Where to write the page. The figures go beside it, with the ending ``.json``.
    sensitive : bool, default=False
        Leave out all texts and the parameters of the filter. The names of groups remain.
    n_examples : int, default=5
        Rows of each kind of example, at most 14.
    random_state : int, RandomState or None, default=0
        Seed of the sample in which near-copies are looked for.

    Returns
    -------
    Report

    Raises
    ------
    ImportError
        If jinja2 or matplotlib is missing.
    PoolExhaustedError
        If every row is labeled.
    ValueError
        If an array of ``groups`` has another length.

    Notes
    -----
    The page contains counts by stage and reason, the distribution of each score, examples, costs, copies, and
    keep rates by group (:func:`skprune.reporting.groups.keep_rates`). It loads nothing and runs no script.
    Sections in which something was found come first. It shows at most 100 rows, cut after 300 characters.

    Examples
    --------
    >>> from skprune import PerplexityFilter, report
    >>> by_length = lambda texts: [len(t) for t in texts]
    >>> texts = ["a", "bb", "ccc", "dddd", "ccc"]
    >>> pruner = PerplexityFilter(keep=2, perplexity=by_length).fit(texts)
    >>> page = report(pruner, groups={"long": [len(t) > 2 for t in texts]})
    >>> page.figures["summary"]["kept"], page.figures["copies"]["n_copies"]
    (2, 1)
    """
    check_scalar(n_examples, "n_examples", int, min_val=1, max_val=_MAX_EXAMPLES)
    fitted = fitted_filter(filter)
    jinja2 = require("jinja2", extra="report", purpose="report")
    require("matplotlib", extra="report", purpose="report")
    pool = fitted.pool_ if X is None else read_pool(X)
    if groups is not None:
        groups = divisions(groups, len(pool))
    explained = fitted.explain(None if X is None else pool.data)
    rng = generator(draw_seed(random_state))
    facts = Facts(fitted, pool, explained, sensitive, n_examples, rng, groups)
    sections = sections_of(facts)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skprune.reporting", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html").render(
        name=type(fitted).__name__,
        parameters=[] if sensitive else facts.parameters,
        summary=facts.summary,
        sections=sections,
        sensitive=sensitive,
        version=__version__,
    )
    figures = {section.key: section.figures for section in sections}
    figures = {"filter": type(fitted).__name__, "version": __version__, "summary": facts.summary, **figures}
    made = Report(html, _plain(figures))
    if path is not None:
        made.save(path)
    return made


def _plain(value: Any) -> Any:
    """Return a value as plain JSON, which has neither NaN nor infinity."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
