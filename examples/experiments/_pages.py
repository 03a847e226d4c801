"""What the pages of results share: paired differences with a verdict, and how they were measured."""

from __future__ import annotations

import argparse
import platform
import subprocess
import textwrap
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from skprune.significance import holm, paired_difference, smallest_detectable, verdict

#: About how many rows test sets are drawn from: distinct texts of some length, or images.
COLLECTIONS = {
    "movies": 10_400,
    "newsgroups": 18_600,
    "news": 18_600,
    "reuters": 8_200,
    "debian": 20_000,
    "fashion": 20_000,
    "fashion-60k": 70_000,
    "images": 70_000,
    "images-60k": 70_000,
    "descriptions": 37_400,
    "translation": 12_200,
    "summarization": 37_600,
}
BEYOND = "beyond the collection"
#: What the column ``BEYOND`` means, for the pages that have it.
BEYOND_TEXT = """
The seeds of a data set draw from one collection, and their test sets overlap: intervals and p are about draws
from it. *Beyond the collection* asks about data like these: does the verdict stay when the variance is
corrected for the overlap, with ρ the share of the collection that a test set takes ({shares}; Nadeau and
Bengio, 2003)? "Smallest detectable" is about the collection.
"""
BY_HAND = "\n## Added by hand\n"  # the scripts keep what follows


def paired(differences: pd.Series) -> tuple[float, float, float, float]:
    """Return the mean, half its 95 % interval, the effect seen with 80 % power, and p of Student's t."""
    zeros = np.zeros(len(differences))
    mean, half, p = paired_difference(differences, zeros)
    return mean, half, smallest_detectable(differences, zeros), p


def collection_shares(names: Iterable[str], n_test: int) -> dict[str, float]:
    """Return the share of each collection that a test set of ``n_test`` rows takes."""
    return {name: n_test / COLLECTIONS[name] for name in names}


def beyond_text(shares: Mapping[str, float], *, counted: bool = False) -> str:
    """Return what the column "beyond the collection" means, and its counts if the page has some."""
    names: dict[str, list[str]] = {}
    for name, share in shares.items():
        names.setdefault(f"{share:.2g}", []).append(name)
    listed = (f"{share} for {', '.join(of)}" if len(names) > 1 else share for share, of in names.items())
    text = BEYOND_TEXT.strip().format(shares=", ".join(listed))
    return text + (' Counts of verdicts say how many stay: "7 (3 beyond)".' if counted else "")


def compared(
    differences: dict[tuple, pd.Series],
    names: list[str],
    negligible: float,
    shares: Mapping[str, float] | float | None = None,
) -> pd.DataFrame:
    """Return one row per comparison of a family, with Holm's adjustment over the family.

    Parameters
    ----------
    differences : dict of (names of the comparison) -> paired differences, in points
    names : list of str
        What the parts of a key are called.
    negligible : float
        The largest difference that does not matter, in points.
    shares : float, or mapping of str to float, default=None
        The share of the collection that a test set takes, for each data set, a part of the keys. Adds the
        column ``BEYOND``, which is empty where the verdict is "not established".
    """
    found = [paired(values) for values in differences.values()]
    adjusted = holm([row[3] for row in found])
    table = pd.DataFrame(
        [
            dict(zip(names, key, strict=True))
            | {"seeds": len(values), "difference": f"{mean:+.1f} ± {half:.1f}"}
            | {"smallest detectable": f"{visible:.1f}", "p, Holm": "< 0.001" if p < 0.001 else f"{p:.3f}"}
            | {"verdict": verdict(mean, half, p, negligible, "points")}
            for (key, values), (mean, half, visible, _), p in zip(
                differences.items(), found, adjusted, strict=True
            )
        ]
    )
    if shares is None:
        return table
    wider = []
    for key, values in differences.items():
        share = shares if isinstance(shares, float) else shares[next(part for part in key if part in shares)]
        wider.append(paired_difference(values, np.zeros(len(values)), overlap=share))
    verdicts = [
        verdict(row.mean, row.margin, p, negligible, "points")
        for row, p in zip(wider, holm([row.p for row in wider]), strict=True)
    ]
    return with_beyond(table, verdicts)


def with_beyond(table: pd.DataFrame, corrected: list[str]) -> pd.DataFrame:
    """Add the column ``BEYOND``: whether the verdict is also the one with the overlap counted."""
    stays = np.where(table["verdict"] == corrected, "yes", "no")
    return table.assign(**{BEYOND: np.where(table["verdict"] == "not established", "", stays)})


def count_verdicts(table: pd.DataFrame) -> str:
    """Say how often each verdict occurs in a table of `compared`; gains and losses count apart.

    Of those that are established or excluded, it says how many stay so beyond the collection.
    """
    words = [
        ("a gain is established" if row.difference.startswith("+") else "a loss is established")
        if row.verdict == "established"
        else row.verdict
        for row in table.itertuples()
    ]
    order = [word for word in ("a gain is established", "a loss is established") if word in words]
    order += sorted(set(words) - set(order))
    parts = []
    for word in order:
        rows = table[np.array(words) == word]
        parts.append(f"{word} in {len(rows)}")
        if BEYOND in table and word != "not established":
            parts[-1] += f" ({rows[BEYOND].eq('yes').sum()} beyond)"
    return ", ".join(parts) + f" of {len(words)} cells"


def runs_or_tables(args: argparse.Namespace, run_all: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Return the runs: read from the CSV that ``--tables`` names, or else played and rounded likewise."""
    return pd.read_csv(args.tables) if args.tables else run_all(args).round(4)


def command(script: str, args: argparse.Namespace, usual: argparse.Namespace) -> str:
    """Return the command that gives these results, without the options of where they are written."""
    words = [f"python examples/experiments/{script}.py"]
    for name, value in vars(args).items():
        if name not in ("out", "page", "memory", "tables", "n_jobs") and value != getattr(usual, name):
            words += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return " ".join(words)


def origin() -> str:
    """Return commit, date and machine in words."""
    commit = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    cpu = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"commit {commit}, {date.today()}, one thread of {cpu or platform.processor()} beside other jobs, "
        f"{gpu}, Python {platform.python_version()}"
    )


def said_once(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with each origin in its first row only: the CSV stays small."""
    return runs.assign(origin=runs["origin"].mask(runs["origin"].duplicated()))


def origins(runs: pd.DataFrame) -> str:
    """Return where and when the runs were made, in words; commits of one day and machine together.

    A page gets this from its CSV, so that one made again later says the same.
    """
    made = runs["origin"].dropna().drop_duplicates().str.removeprefix("commit ")
    groups = made.str.split(", ", n=1, expand=True).groupby(1, sort=False)[0].agg(", ".join)
    return "; ".join(
        f"commit{'s' * (',' in commits)} {commits}, {place}" for place, commits in groups.items()
    )


def publish(name: str, args: argparse.Namespace, runs: pd.DataFrame, text: str) -> None:
    """Write the page and its CSV, where ``--page`` says or else into ``--out``, and print the page."""
    target = args.page or args.out / f"{name}.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    runs.to_csv(target.with_suffix(".csv"), index=False)
    target.write_text(text)
    print(text)


def kept_by_hand(page: Path) -> str:
    """Return what people added to an earlier page, from its heading on."""
    text = page.read_text() if page.exists() else ""
    return BY_HAND + text.partition(BY_HAND)[2] if BY_HAND in text else ""


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs and bullets of a text, each wrapped to the width of a page."""
    return [
        textwrap.fill(
            part, 132, break_on_hyphens=False, subsequent_indent="  " if part.startswith("* ") else ""
        )
        for part in text.strip().split("\n\n")
    ]
