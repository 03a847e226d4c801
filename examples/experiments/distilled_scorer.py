"""DistilledScorer against its teacher: how much of the teacher's best quarter is found, for how many calls?

Makes docs/results/distilled_scorer.md and its CSV. Each teacher scores each pool once, and the scores are
kept; then students learn from samples of several sizes, for several seeds. The baselines learn from a random
sample of equal size, or from the length of the texts alone. A command that was killed continues where it
stopped.

    python examples/experiments/distilled_scorer.py  # some hours on one busy core, most of it the LLMs
    python examples/experiments/distilled_scorer.py --teachers "n-gram perplexity" --seeds 5
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import textwrap
import time
import warnings
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _runs import Runs, cut, encode, make_parser, markdown
from p_yes import POOLS
from scipy import stats

from skprune import DistilledScorer, NGramScorer, QualityScorer, SentenceEncoder
from skprune.datasets import fetch_model
from skprune.selections import lowest
from skprune.store import Remembered

MODELS = {"SmolLM2-135M, P(yes)": "smollm2-135m", "Qwen-Coder-0.5B, P(yes)": "qwen-coder-0.5b"}
TEACHERS = (*MODELS, "n-gram perplexity")
STUDENTS = {
    "default": {},
    "random sample": {"active_share": 0.0},
    "length only": {"encoder": lambda texts: np.zeros((len(texts), 1), dtype=np.float32)},
}
TOP = 0.25


@lru_cache(maxsize=1)
def texts_of(pool: str, n: int, max_words: int) -> np.ndarray:
    """Return ``n`` random different texts of a pool, cut."""
    texts = np.array(sorted(set(POOLS[pool][0]().data)), dtype=object)
    np.random.default_rng(0).shuffle(texts)
    return np.array(list(dict.fromkeys(filter(None, cut(texts, max_words)))), dtype=object)[:n]


def teacher_of(name: str, pool: str, texts: np.ndarray) -> Any:
    """Return the scorer that a name stands for."""
    if name in MODELS:
        folder = str(fetch_model(MODELS[name]))
        return QualityScorer(folder, task=POOLS[pool][1], precision="float32", device="cpu")
    return NGramScorer().fit(texts)


def price(teacher: Any, texts: np.ndarray) -> dict[str, Any]:
    """Return the CPU seconds per text of a teacher, on texts it has been warmed up with."""
    teacher(texts[:2])
    start = time.process_time()
    teacher(texts)
    return {"seconds per text": (time.process_time() - start) / len(texts)}


def distill(
    settings: dict[str, Any], texts: np.ndarray, scores: np.ndarray, vectors: np.ndarray
) -> dict[str, Any]:
    """Fit one student, score the pool with it, and compare the best quarter with the teacher's."""
    score_of, vector_of = (dict(zip(texts, values, strict=True)) for values in (scores, vectors))
    lower_is_better = settings["teacher"] not in MODELS
    options: dict[str, Any] = {"encoder": lambda rows: np.array([vector_of[text] for text in rows])}
    scorer = DistilledScorer(
        lambda rows: [score_of[text] for text in rows],
        n_calls=settings["calls"],
        greater_is_better=not lower_is_better,
        random_state=settings["seed"],
        **options | STUDENTS[settings["student"]],
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.process_time()
        scorer.fit(texts)
        found = scorer(texts)
        seconds = time.process_time() - start
    k, ties = int(TOP * len(texts)), np.random.default_rng(0).random(len(texts))
    sign = 1 if lower_is_better else -1
    best = lowest(sign * scores, k, ties)
    return {
        "recall": len(np.intersect1d(best, lowest(sign * found, k, ties))) / k,
        "out of fold": scorer.recall_,
        "warned": any("min_recall" in str(warning.message) for warning in caught),
        "needed": scorer.n_calls_needed_,
        "seconds": seconds,
    }


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the missing runs; return one row per student and seed."""
    runs = Runs(args.out / "runs.jsonl")
    memory = args.memory or args.out / "memory"
    rows = []
    for teacher, pool in product(args.teachers, args.data):
        n = {"Qwen-Coder-0.5B, P(yes)": args.qwen_size, "n-gram perplexity": args.ngram_size}.get(
            teacher, args.pool_size
        )
        if not n:
            continue
        texts = texts_of(pool, n, args.max_words)
        scorer = teacher_of(teacher, pool, texts)
        scores = Remembered(scorer, memory, name="teacher")(texts)
        encoder = str(fetch_model("minilm"))
        vectors = encode(texts, encoder, memory)
        common = {"teacher": teacher, "pool": pool, "texts": len(texts), "max_words": args.max_words}
        cost = runs.get(common, lambda scorer=scorer, texts=texts: price(scorer, texts[:64]))
        encoding = runs.get(
            common | {"cost": "vectors"}, lambda e=encoder, t=texts: price(SentenceEncoder(e), t[:256])
        )
        for percent, student, seed in product(args.percent, STUDENTS, range(args.seeds)):
            calls = round(percent * len(texts) / 100)
            if calls < 20:
                continue
            settings = common | {"calls": calls, "student": student, "seed": seed}
            run: Callable[[], dict[str, Any]] = lambda s=settings, a=(texts, scores, vectors): distill(s, *a)  # noqa: E731
            found = runs.get(settings, run)
            whole = cost["seconds per text"] * len(texts)
            vectors_cost = (
                encoding["seconds per text"] * len(texts) if student in ("default", "random sample") else 0.0
            )
            part = cost["seconds per text"] * calls + found["seconds"] + vectors_cost
            rows.append(settings | {"percent": percent} | found | {"factor": whole / part})
        print(teacher, pool, len(texts), flush=True)
    return pd.DataFrame(rows)


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return mean recalls and the spread over seeds, one row per teacher, pool and number of calls."""
    rows = []
    by = ["teacher", "pool", "texts", "percent", "calls"]
    for names, group in runs.groupby(by, sort=False):
        row = dict(zip(by, names, strict=True))
        for student, part in group.groupby("student", sort=False):
            row[student] = f"{part['recall'].mean():.2f} ± {part['recall'].std():.2f}"
        default = group[group["student"] == "default"].set_index("seed")
        random = group[group["student"] == "random sample"].set_index("seed")
        gain = default["recall"] - random["recall"]
        half = stats.t(len(gain) - 1).ppf(0.975) * gain.std() / len(gain) ** 0.5
        row["default − random"] = f"{gain.mean():+.3f} ± {half:.3f}"
        row["out of fold"] = f"{default['out of fold'].mean():.2f} ± {default['out of fold'].std():.2f}"
        row["warned"] = f"{default['warned'].sum()} of {len(default)}"
        row["cheaper"] = f"{default['factor'].median():.1f} ×"
        rows.append(row)
    return pd.DataFrame(rows)


def page(runs: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return the page of the results."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    machine = "one thread on 2 cores of an AMD EPYC beside other jobs, no GPU"
    intro = f"""# DistilledScorer against its teacher

Command: `{command(args)}`, commit {commit.stdout.strip()}, seeds 0 to {args.seeds - 1} of the sample,
{date.today()}, {machine}, Python {platform.python_version()}.

**Data.** Random different texts of each pool, cut at {args.max_words} words; the pool is the same for all
seeds, so the spread is that of the sample. **Teachers.** P("yes") of small LLMs (QualityScorer, default
prompt, float32), and the perplexity of a 5-gram model of the pool. **Students.** Ridge regression on MiniLM
vectors and length (*default*: half of the calls close to the cut); the same with a *random sample* of equal
size; *length only* (the default with vectors of zeros). A recall of {TOP} is chance.

**How to read it.** Recall is the share of the teacher's best quarter of the whole pool that is in the
scorer's best quarter: mean ± standard deviation over seeds. *default − random* is the paired difference with
its 95 % interval (Student's t). *Out of fold* is what the scorer says about itself (`recall_`), and *warned*
how often that fell below the default `min_recall=0.8`. *Cheaper* compares CPU seconds: the teacher on the
whole pool against the teacher on the sample plus vectors, fit and prediction (median over seeds).
"""
    parts = [textwrap.fill(part, 132, break_on_hyphens=False) for part in intro.split("\n\n")]
    return (
        "\n\n".join(
            [
                *parts,
                markdown(summary(runs)),
                *(textwrap.fill(part, 132, break_on_hyphens=False) for part in args.findings),
                "Every run: [distilled_scorer.csv](distilled_scorer.csv).",
            ]
        )
        + "\n"
    )


def command(args: argparse.Namespace) -> str:
    """Return the command that gives these results."""
    usual = vars(parse([]))
    words = ["python examples/experiments/distilled_scorer.py"]
    for name, value in vars(args).items():
        if name not in ("out", "page", "memory", "findings") and value != usual[name]:
            values = [
                f'"{v}"' if " " in str(v) else str(v) for v in (value if isinstance(value, list) else [value])
            ]
            words += [f"--{name.replace('_', '-')}", *values]
    return " ".join(words)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__, seeds=10, pool_size=2_000, max_words=40, memory=None, out=Path("distilled_scorer-results")
    )
    parser.add_argument("--data", nargs="+", choices=POOLS, default=list(POOLS), help="pools")
    parser.add_argument("--teachers", nargs="+", choices=TEACHERS, default=list(TEACHERS), help="teachers")
    parser.add_argument("--percent", nargs="+", type=float, default=[0.5, 1, 2, 5, 10], help="calls, in %%")
    parser.add_argument("--ngram-size", type=int, default=10_000, help="rows of the n-gram teacher's pools")
    parser.add_argument("--qwen-size", type=int, default=2_000, help="rows of Qwen's pools; 0 leaves it out")
    parser.add_argument("--findings", nargs="*", default=[], help="paragraphs that end the page")
    parser.add_argument("--page", type=Path, default=None, help="where to write the page (default: in --out)")
    return parser.parse_args(argv)


def main() -> None:
    """Distill and write the page."""
    args = parse()
    runs = run_all(args)
    target = args.page or args.out / "distilled_scorer.md"
    runs.round(4).to_csv(target.with_suffix(".csv"), index=False)
    target.write_text(page(runs, args))
    print(target.read_text())


if __name__ == "__main__":
    main()
