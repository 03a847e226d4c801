"""The sections of a report: each states what was found, with its figures, tables and plots."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from skprune.base import BaseFilter
from skprune.plotting.explanations import (
    label_of,
    main_column,
    score_columns,
    status_of,
    threshold_of,
    thresholded_column,
)
from skprune.plotting.histogram import ScoreHistogramDisplay
from skprune.plotting.scatter import ScoreScatterDisplay
from skprune.pools import Pool
from skprune.reporting.copies import SIMILAR, exact_copies, near_copies
from skprune.reporting.figures import inline_svg
from skprune.reporting.groups import FOUR_FIFTHS, LEVEL, keep_rates

_MAX_CHARACTERS = 300
_MAX_PAIRS = 3
# What a section reports, in the order of the page.
PROBLEM, NOTABLE, INFORMATION = 2, 1, 0


@dataclass
class Table:
    """A table: the first cell of a row names it. Cells are numbers that are formatted, or words."""

    caption: str
    header: list[str]
    rows: list[list[str]]
    kind = "table"


@dataclass
class Plot:
    """An SVG element, a text that says what it shows, and a caption."""

    svg: str
    alt: str
    caption: str
    kind = "plot"


@dataclass
class Example:
    """A row of the pool."""

    row: int
    status: str
    note: str
    text: str | None


@dataclass
class Examples:
    """Rows of one kind."""

    title: str
    rows: list[Example]
    kind = "examples"


@dataclass
class Section:
    """One section.

    Attributes
    ----------
    key, title : str
    finding : str
        What was found, in one or two sentences.
    weight : int
        PROBLEM, NOTABLE or INFORMATION; the heaviest section comes first.
    figures : dict
        For the JSON file.
    blocks : list of Table, Plot and Examples
    notes : list of str
        How the figures were obtained.
    """

    key: str
    title: str
    finding: str
    weight: int
    figures: Any
    blocks: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Facts:
    """What the sections are made from: a fitted filter, a pool, and the explanation of its rows."""

    filter: BaseFilter
    pool: Pool
    explained: Any
    sensitive: bool
    n_examples: int
    rng: np.random.Generator
    groups: Any

    @cached_property
    def kept(self) -> np.ndarray:
        """Mask of the rows that are kept."""
        return np.asarray(self.explained["kept"], dtype=bool)

    @cached_property
    def status(self) -> np.ndarray:
        """What happened to each row: "kept", "removed" or "labeled"."""
        return status_of(self.explained)

    @property
    def summary(self) -> dict[str, Any]:
        """Counts, and the threshold if there is one."""
        counts = {name: int((self.status == name).sum()) for name in ("kept", "removed", "labeled")}
        return {"rows": len(self.pool), **counts, "round": self.filter.round_}

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """Names and values of the filter's parameters."""
        return [(name, repr(value)[:200]) for name, value in self.filter.get_params(deep=False).items()]

    def example(self, row: int, note: str) -> Example:
        """Return a row as an example; without its text if the report is sensitive, or the row has none."""
        text = None
        if self.pool.holds_texts and not self.sensitive:
            text = shown(self.pool.texts[row])
        return Example(row, self.status[row], note, text)


def sections_of(facts: Facts) -> list[Section]:
    """Return the sections of a report, those with findings first."""
    sections = [_reasons(facts), _scores(facts), _copies(facts), _cost(facts)]
    if facts.groups is not None:
        sections.insert(0, _groups(facts))
    if not facts.sensitive:
        sections.insert(-1, _examples(facts))
    return sorted(sections, key=lambda section: -section.weight)


def shown(text: str) -> str:
    """Return a text as the page shows it: cut, and without the characters that HTML forbids."""
    cut = text[:_MAX_CHARACTERS] + ("…" if len(text) > _MAX_CHARACTERS else "")
    return "".join(c if c >= " " or c in "\n\t" else "\ufffd" for c in cut)


def _number(value: Any) -> str:
    """Return a number with four digits; words as they are."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    return "–" if value is None or np.isnan(value) else f"{value:.4g}"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _reasons(facts: Facts) -> Section:
    """What was kept and why: counts by stage and reason."""
    table = (
        facts.explained.groupby(["kept", "stage", "reason"], observed=True).size().reset_index(name="rows")
    )
    table = table.sort_values(["kept", "rows"], ascending=False, kind="stable")
    n = len(facts.pool)
    rows = [
        [reason, stage or "–", "yes" if kept else "no", f"{count:,}", _percent(count / n)]
        for kept, stage, reason, count in table.itertuples(index=False)
    ]
    n_decided = n - facts.summary["labeled"]
    finding = (
        f"{facts.summary['kept']:,} of {n_decided:,} rows without a label are kept "
        f"({_percent(facts.summary['kept'] / max(n_decided, 1))})."
    )
    figures = [
        {"reason": str(reason), "stage": str(stage), "kept": bool(kept), "rows": int(count)}
        for kept, stage, reason, count in table.itertuples(index=False)
    ]
    header = ["reason", "stage", "kept", "rows", "share"]
    return Section(
        "reasons", "Why rows are kept or removed", finding, NOTABLE, figures, [Table("Reasons", header, rows)]
    )


def _scores(facts: Facts) -> Section:
    """The distribution of each score, and the threshold."""
    explained = facts.explained
    columns, main = score_columns(explained), main_column(explained)
    if main is None:
        return Section("scores", "Scores", "This filter has no scores in this round.", INFORMATION, {})
    quantiles = (0, 0.25, 0.5, 0.75, 1)
    rows: list[list[str]] = []
    figures: dict[str, Any] = {}
    for column in columns:
        figures[column] = {}
        for status in ("kept", "removed"):
            values = explained[column].to_numpy(dtype=float)[facts.status == status]
            values = values[np.isfinite(values)]
            found = np.quantile(values, quantiles).tolist() if len(values) else [np.nan] * len(quantiles)
            figures[column][status] = {"rows": len(values), "quantiles": found}
            rows.append([label_of(column), status, f"{len(values):,}", *map(_number, found)])
    threshold = threshold_of(explained)
    named = thresholded_column(explained)
    finding = f"The score shown is {label_of(main)}."
    if threshold is not None and named is not None:
        finding = f"The threshold is {_number(threshold)} ({label_of(named)})."
    histogram = ScoreHistogramDisplay.from_explanation(explained)
    blocks: list[Any] = [
        Plot(
            inline_svg(lambda ax: histogram.plot(ax), "histogram"),
            f"Histogram of {label_of(main)} for kept, removed and labeled rows. {finding} "
            "The table of quantiles below has its figures.",
            "Kept, removed and labeled rows by score.",
        )
    ]
    others = [column for column in columns if column != main]
    if others and explained[[main, others[-1]]].notna().all(axis=1).any():
        scatter = ScoreScatterDisplay.from_explanation(_sampled(facts), x=main, y=others[-1])
        blocks.append(
            Plot(
                inline_svg(lambda ax: scatter.plot(ax), "scatter"),
                f"Scatter plot of {label_of(others[-1])} against {label_of(main)}.",
                f"{label_of(others[-1])} against {label_of(main)}, up to 2,000 rows.",
            )
        )
    header = ["score", "rows that are", "with a score", "lowest", "25 %", "median", "75 %", "highest"]
    blocks.append(Table("Quantiles of the scores", header, rows))
    figures = {"threshold": threshold, "threshold_of": named, "scores": figures}
    return Section("scores", "Scores and threshold", finding, INFORMATION, figures, blocks)


def _sampled(facts: Facts) -> Any:
    """Return at most 2,000 rows of the explanation; rows with all scores first, because they are few."""
    explained = facts.explained
    if len(explained) <= 2_000:
        return explained
    complete = explained[score_columns(explained)].notna().all(axis=1).to_numpy()
    draws = facts.rng.random(len(explained)) - complete
    return explained.iloc[np.sort(np.argsort(draws, kind="stable")[:2_000])]


def _examples(facts: Facts) -> Section:
    """Rows near the threshold, and rows far from it."""
    explained, n = facts.explained, facts.n_examples
    ranked = np.flatnonzero(facts.kept)[np.argsort(explained["rank"].to_numpy()[facts.kept], kind="stable")]
    column, removed = main_column(explained), np.flatnonzero(facts.status == "removed")
    if column is None:
        removed = facts.rng.permutation(removed)
    else:
        scores = explained[column].to_numpy(dtype=float)
        # Without a threshold: how far a row is from the nearest score of a kept row.
        border = np.sort(scores[facts.kept & np.isfinite(scores)])
        threshold = threshold_of(explained) if column == thresholded_column(explained) else None
        border = border if threshold is None else np.array([threshold])
        distance = np.full(len(removed), np.inf)
        if len(border):
            after = np.searchsorted(border, scores[removed]).clip(max=len(border) - 1)
            nearest = np.minimum(
                np.abs(scores[removed] - border[after]),
                np.abs(scores[removed] - border[(after - 1).clip(0)]),
            )
            distance = np.where(np.isnan(nearest), np.inf, nearest)
        removed = removed[np.argsort(distance, kind="stable")]
    kinds = {
        "Kept, best ranked": ranked[:n],
        "Kept, last ranked": ranked[n:][-n:],
        "Removed, nearest to the kept rows": removed[:n],
        "Removed, farthest from the kept rows": removed[n:][-n:],
    }
    blocks = [
        Examples(title, [facts.example(int(row), _note(facts, int(row), column)) for row in rows])
        for title, rows in kinds.items()
        if len(rows)
    ]
    figures = {title: [int(row) for row in rows] for title, rows in kinds.items()}
    finding = "Read these before you use the selection."
    return Section("examples", "Examples", finding, INFORMATION, figures, blocks)


def _note(facts: Facts, row: int, column: str | None) -> str:
    reason = str(facts.explained["reason"].iloc[row])
    if column is None:
        return reason
    return f"{reason}; {label_of(column)} {_number(float(facts.explained[column].iloc[row]))}"


def _copies(facts: Facts) -> Section:
    """Exact copies by the filter's own table of rows, near-copies in a sample."""
    pool = facts.pool
    exact = exact_copies(pool, facts.n_examples)
    figures = {key: value for key, value in exact.items() if key != "largest"}
    figures["largest"] = [size for _, size in exact["largest"]]
    share = exact["n_copies"] / len(pool)
    finding = (
        f"{exact['n_copies']:,} of {len(pool):,} rows ({_percent(share)}) repeat an earlier row exactly."
    )
    blocks: list[Any] = []
    if exact["largest"]:
        rows = [facts.example(row, f"{size:,} times in the pool") for row, size in exact["largest"]]
        blocks.append(Examples("Most frequent rows", rows))
    notes = ["A filter decides about each different row once, and copies share its fate."]
    weight = NOTABLE if exact["n_copies"] else INFORMATION
    if pool.holds_texts:
        near = near_copies(pool, facts.kept, _MAX_PAIRS, facts.rng)
        figures["near"] = {key: value for key, value in near.items() if key != "pairs"}
        finding += (
            f" Among {near['n_sampled']:,} different texts compared, {near['n_near']:,} have a near-copy. "
            f"Both are kept in {near['n_both_kept']:,} of {near['n_pairs']:,} pairs."
        )
        for number, (first, second, cosine) in enumerate(near["pairs"], start=1):
            note = f"similarity {cosine:.3f}"
            pair = [facts.example(first, note), facts.example(second, note)]
            blocks.append(Examples(f"Near-copies, pair {number}", pair))
        notes.append(
            f"Near-copies: cosine of TF-IDF vectors of 5-grams of characters of at least {SIMILAR}. At most "
            "2,000 different texts are compared, so a larger pool holds more pairs than are counted here."
        )
        weight = max(weight, NOTABLE if near["n_pairs"] else INFORMATION)
    if facts.sensitive:
        blocks = []
    return Section("copies", "Copies and near-copies", finding, weight, figures, blocks, notes)


def _cost(facts: Facts) -> Section:
    """What the filter has computed since it was fitted, as far as it counts."""
    counters = {"n_llm_calls_": "texts that an LLM scored", "n_encoded_": "texts that the encoder processed"}
    figures = {}
    for name in counters:
        if (count := getattr(facts.filter, name, None)) is not None:
            figures[name] = int(count)
    rows = [[counters[name], f"{count:,}"] for name, count in figures.items()]
    blocks = [Table("Computed since fit", ["what", "count"], rows)] if rows else []
    finding = (
        " ".join(f"{count:,} {counters[name]}." for name, count in figures.items())
        or "This filter asked no language model and encoded no text that it counts."
    )
    notes = ["Values found in the store are not counted. Filters do not record seconds."]
    return Section("cost", "Cost", finding, INFORMATION, figures, blocks, notes)


def _groups(facts: Facts) -> Section:
    """Who is pruned: keep rates by group."""
    decided = facts.status != "labeled"
    table = keep_rates(facts.kept, facts.groups, decided)
    title, columns = "Who is pruned", table.to_dict("records")
    if not columns:
        return Section("groups", title, "No groups were given.", INFORMATION, [])
    flagged = [row for row in columns if row["flagged"]]
    established = [row for row in flagged if row["p_holm"] < LEVEL]
    finding = f"No group is kept at less than {FOUR_FIFTHS:.0%} of the highest rate of its division."
    if flagged:
        finding = (
            f"{len(flagged)} of {len(columns)} groups are kept at less than {FOUR_FIFTHS:.0%} of the highest "
            f"rate of their division. For {len(established)} of them, a difference from the other rows is "
            "established."
        )
    rows = [
        [
            f"{row['by']}: {row['group']}",
            f"{row['rows']:,}",
            f"{row['kept']:,}",
            _percent(row["rate"]),
            f"{row['ratio']:.2f}" + (" – below 4/5" if row["flagged"] else ""),
            f"{row['p_holm']:.2g}",
            "established" if row["p_holm"] < LEVEL else "not established",
            _percent(row["detectable"]) if np.isfinite(row["detectable"]) else "–",
            f"{row['floor']:,} (+{row['missing']:,})" if row["missing"] else "met",
        ]
        for row in columns
    ]
    header = [
        "group", "rows", "kept", "rate", "ratio to highest", "p (Holm)", "difference from others",
        "smallest detectable", "floor for 4/5",
    ]  # fmt: skip
    notes = [
        "Rate: share of the group's rows without a label that are kept. Ratio: the rate divided by the "
        "highest rate of a group of at least 2 % of the rows in the same division; below 0.8 it is flagged "
        "(four-fifths rule, 29 CFR 1607.4 D).",
        "p: Fisher's exact test against all other rows, adjusted by Holm's procedure for all groups of the "
        "table. Smallest detectable: the difference in rate that the test finds with a probability of 0.8.",
        "Floor: the number of rows of the group to keep so that its ratio becomes 0.8.",
        "If a difference is not established, it may still exist.",
    ]
    weight = PROBLEM if established else NOTABLE if flagged else INFORMATION
    return Section(
        "groups", title, finding, weight, columns, [Table("Keep rates by group", header, rows)], notes
    )
