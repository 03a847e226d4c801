"""Draw what filters gained and lost: docs/images/gains.svg, the picture in the README.

Reads the CSV files of docs/results, so it takes seconds. Each row is a paired difference with its 95 %
interval; the pages in docs/results say how each was measured.

    python examples/experiments/gains.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from _pages import paired

matplotlib.use("Agg")

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
BLUE, ORANGE, GRAY = "#0072b2", "#d55e00", "#666666"


def first_labels() -> dict[str, pd.Series]:
    """Return mean accuracy from 20 to 200 labels, TypiClust minus random, per set."""
    runs = pd.read_csv(RESULTS / "first_labels.csv")
    table = runs.pivot(index=["data", "seed"], columns="strategy", values="mean accuracy")
    gains = table["TypiClust"] - table["random"]
    return {name: gains[name] for name in runs["data"].unique()}


def semi_prune() -> dict[str, pd.Series]:
    """Return accuracy at several sizes, SemiPruneFilter minus random, per test set; all labels known."""
    runs = pd.read_csv(RESULTS / "semiprune_defaults.csv")
    runs = runs[(runs["part"] == "test") & (runs["labels"] == 1)]
    table = runs.pivot_table(index=["data", "keep", "seed"], columns="method", values="accuracy")
    gains = table["default"] - table["random"]
    sizes = [(name, keep) for name in runs["data"].unique() for keep in (0.7, 0.2, 0.05)]
    return {f"{name}, {keep:.0%} kept": gains[name, keep] for name, keep in sizes}


def k_means() -> dict[str, pd.Series]:
    """Return accuracy at two sizes, KMeansFilter minus random, per set, averaged over two learners."""
    runs = pd.read_csv(RESULTS / "euds.csv")
    table = runs.pivot(index=["data", "keep", "seed", "learner"], columns="method", values="accuracy")
    gains = (table["k-means"] - table["random"]).dropna().groupby(["data", "keep", "seed"]).mean()
    sizes = [(name, keep) for name in runs["data"].unique() for keep in (0.5, 0.16)]
    return {f"{name}, {keep:.0%} kept": gains[name, keep] for name, keep in sizes}


def in_loops(filter_name: str) -> dict[str, pd.Series]:
    """Return F1 over a loop, a filter minus the whole pool, per rare class, averaged over small learners."""
    runs = pd.read_csv(RESULTS / "proxy_filter.csv")
    runs = runs[runs["learner"] != "fine-tuned MiniLM"]  # its pools are smaller
    table = runs.pivot(index=["rare", "learner", "seed"], columns="filter", values="F1, mean")
    gains = 100 * (table[filter_name] - table["none"])
    return {name: gains[name].groupby("seed").mean() for name in runs["rare"].unique()}


def main() -> None:
    """Draw the picture."""
    groups = {
        "TypiClust for the first labels: accuracy against random rows": first_labels(),
        "SemiPruneFilter on labeled sets: accuracy against random rows": semi_prune(),
        "KMeansFilter on sets without labels: accuracy against random rows": k_means(),
        "ProxyFilter (reads 5 % of the pool): F1 of a rare class against the whole pool": in_loops(
            "ProxyFilter"
        ),
        "AnchorFilter in the same loops": in_loops("AnchorAL"),
    }
    n_lines = sum(1 + len(rows) for rows in groups.values())
    plt.rcParams["svg.hashsalt"] = "gains"
    figure, axis = plt.subplots(figsize=(7.5, 0.26 * n_lines + 0.7), layout="constrained")
    ticks: dict[int, str] = {}
    line = 0
    for title, rows in groups.items():
        place: dict[str, Any] = {"transform": axis.get_yaxis_transform(), "va": "center"}
        white = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # interrupts the line at zero
        axis.text(-0.3, line, title, fontweight="bold", fontsize=9, bbox=white, **place)
        for name, differences in rows.items():
            line += 1
            mean, half, _, _ = paired(differences)
            color = GRAY if abs(mean) < half else BLUE if mean > 0 else ORANGE
            axis.errorbar(mean, line, xerr=half, fmt="o", color=color, capsize=3, markersize=4)
            ticks[line] = name
        line += 1
    axis.axvline(0, color="black", linewidth=0.8, zorder=0)
    axis.set_yticks(list(ticks), list(ticks.values()))
    axis.set(ylim=(n_lines - 0.5, -0.7), xlabel="points: mean and 95 % interval over paired seeds")
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    figure.savefig(ROOT / "docs" / "images" / "gains.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
