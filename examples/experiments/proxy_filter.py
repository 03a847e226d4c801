"""ProxyFilter against no pruning: is a rare class found as well if the learner reads a part of the pool?

Makes docs/results/proxy_filter.md and its CSV. Each seed draws a pool, a test set and initial labels of its
own from the Debian package descriptions; the filters of a seed share them. Three sections are the rare class
in turn, and three learners are trained: logistic regression on the filter's own vectors (TF-IDF with SVD, the
library's default encoder), logistic regression on TF-IDF, and a small neural net on the vectors. A fourth
learner, a fine-tuned MiniLM, takes minutes a run and is trained on request. A command that was killed
continues where it stopped.

    python examples/experiments/proxy_filter.py  # about fifteen minutes on one busy core
    python examples/experiments/proxy_filter.py --seeds 40 --pool-size 20000 --keep 1500
    python examples/experiments/proxy_filter.py --learners minilm --rare games --seeds 10 --pool-size 3000 \\
        --test-size 2000 --keep 300 --rounds 8  # about an hour
"""

from __future__ import annotations

import argparse
import warnings
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from _frozen import FrozenOnceClassifier
from _pages import command, origin, paired, paragraphs, publish, verdict
from _runs import Runs, cut, make_parser, markdown, play
from demo import make_classifier
from significance import holm
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from skprune import ActiveLearningSimulator, AnchorFilter, ProxyFilter, RandomFilter, TfidfEncoder
from skprune.base import BaseFilter
from skprune.datasets import load_debian, split_by_group
from skprune.metrics import learning_curve_auc
from skprune.strategies import Entropy

FILTERS = ("none", "ProxyFilter", "AnchorAL", "random")
LEARNERS = {
    "linear": "logistic regression, same vectors",
    "tfidf": "logistic regression, TF-IDF",
    "mlp": "neural net, same vectors",
    "minilm": "fine-tuned MiniLM",
}
N_RARE = 5  # initial labels of the rare class, as in AnchorAL's paper
NEGLIGIBLE = 5.0  # percent; a smaller difference does not matter to us


class ContentOf(TransformerMixin, BaseEstimator):
    """Maps the vector of a text back to its TF-IDF terms, or to the text itself.

    Parameters
    ----------
    kind : {"terms", "texts"}
    """

    contents: ClassVar[dict[str, Any]] = {}  # shared by all clones, which would copy a parameter
    row_of: ClassVar[dict[bytes, int]] = {}

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def fit(self, X: Any, y: Any = None) -> ContentOf:
        """Do nothing: the contents are known."""
        return self

    def transform(self, X: np.ndarray) -> Any:
        """Return one sparse row or one text per vector."""
        return self.contents[self.kind][[self.row_of[row.tobytes()] for row in X]]


@lru_cache(maxsize=1)
def corpus() -> Bunch:
    """Return the descriptions of all packages."""
    return load_debian(None)


@lru_cache(maxsize=1)
def data_of(seed: int, pool_size: int, test_size: int, max_words: int) -> tuple[Bunch, Bunch]:
    """Return the pool and the test set of a seed: vectors and sections."""
    rng = np.random.default_rng(seed)
    parts = []
    for part, size in zip(
        split_by_group(corpus(), 0.3, random_state=seed), (pool_size, test_size), strict=True
    ):
        rows = rng.permutation(len(part.data))[:size]
        parts.append(Bunch(texts=cut([part.data[i] for i in rows], max_words), sections=part.sections[rows]))
    encoder = TfidfEncoder(random_state=0).fit(parts[0].texts)
    vectorizer = TfidfVectorizer(sublinear_tf=True).fit(parts[0].texts)
    for part in parts:
        part.vectors = encoder(part.texts)
        # Texts without a known word, and texts with the same words, have equal vectors: keep one of each.
        distinct = np.sort(np.unique(part.vectors, axis=0, return_index=True)[1])
        part.texts, part.sections, part.vectors = (
            part[name][distinct] for name in ("texts", "sections", "vectors")
        )
    rows = np.concatenate([part.vectors for part in parts])
    texts = np.concatenate([part.texts for part in parts])
    ContentOf.contents = {"terms": vectorizer.transform(texts), "texts": texts}
    ContentOf.row_of = {row.tobytes(): i for i, row in enumerate(rows)}
    return parts[0], parts[1]


def make_learner(name: str) -> Any:
    """Return the model that is trained anew in each round."""
    linear = LogisticRegression(class_weight="balanced", C=10, max_iter=1000)
    match name:
        case "linear":
            return linear
        case "tfidf":
            return make_pipeline(ContentOf("terms"), linear)
        case "mlp":
            return MLPClassifier((32,), max_iter=60, learning_rate_init=0.01)
        case _:  # as in the demo; the lower four of six layers stay as they are
            transformer = make_classifier(argparse.Namespace(model=None, seed=None))
            return make_pipeline(ContentOf("texts"), FrozenOnceClassifier(**transformer.get_params()))


def make_filter(name: str, args: argparse.Namespace) -> BaseFilter | None:
    """Return the filter that a name of ``FILTERS`` stands for."""
    match name:
        case "none":
            return None
        case "ProxyFilter":
            return ProxyFilter(args.keep)
        case "random":
            return RandomFilter(args.keep)
        case _:  # retrieves at most as many rows as the others keep
            return AnchorFilter(10, args.keep // 20)


def play_one(settings: dict[str, Any], pruner: BaseFilter | None, args: argparse.Namespace) -> dict[str, Any]:
    """Play one loop with a filter; the settings name the seed, the rare class and the learner."""
    seed = settings["seed"]
    pool, test = data_of(seed, args.pool_size, args.test_size, args.max_words)
    y, y_test = ((part.sections == settings["rare"]).astype(int) for part in (pool, test))
    rng = np.random.default_rng(seed)
    initial = [
        rng.choice(np.flatnonzero(y == label), size, replace=False)
        for label, size in ((1, N_RARE), (0, args.n_seeds - N_RARE))
    ]
    simulator = ActiveLearningSimulator(
        make_learner(settings["learner"]),
        Entropy(),
        pruner,
        n_instances=args.batch,
        n_rounds=args.rounds,
        initial=np.concatenate(initial),
        random_state=seed,
    )
    found, _ = play(simulator, (pool.vectors, y), (test.vectors, y_test), 1)
    return found | {"rare rows": int(y.sum()), "rare rows of the test set": int(y_test.sum())}


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the loops that have not been played yet; return one row per run."""
    runs = Runs(args.out / "runs.jsonl")
    common = {
        key: getattr(args, key)
        for key in ("pool_size", "test_size", "max_words", "keep", "n_seeds", "batch", "rounds")
    }
    rows = []
    for seed, rare, learner, name in product(range(args.seeds), args.rare, args.learners, FILTERS):
        settings = common | {"seed": seed, "rare": rare, "learner": learner, "filter": name}
        found = runs.get(
            settings, lambda settings=settings, name=name: play_one(settings, make_filter(name, args), args)
        )
        rows.append(
            {"rare": rare, "learner": LEARNERS[learner], "filter": name, "seed": seed}
            | {
                "rare rows": found["rare rows"],
                "rare rows of the test set": found["rare rows of the test set"],
            }
            | {"F1, mean": learning_curve_auc(found["f1"], normalize=True), "F1 at the end": found["f1"][-1]}
            | {"found": found["found"][-1], "subpool": np.mean(found["subpool"][1:])}
            | {"CPU s selecting": sum(found["CPU s selecting"])}
        )
        print(*rows[-1].values(), flush=True)
    return pd.DataFrame(rows)


def against_none(runs: pd.DataFrame) -> pd.DataFrame:
    """Compare each filter with no pruning, paired by seed; one family of tests per filter."""
    rows = []
    for name in FILTERS[1:]:
        family = []
        for (rare, learner), group in runs.groupby(["rare", "learner"], sort=False):
            table = group.pivot(index="seed", columns="filter", values="F1, mean")
            more = group.pivot(index="seed", columns="filter", values="found")
            mean, half, visible, p = paired(100 * (table[name] - table["none"]) / table["none"].mean())
            found, found_half, _, _ = paired(more[name] - more["none"])
            family.append(
                {"filter": name, "rare": rare, "learner": learner, "seeds": len(table)}
                | {"mean": mean, "half": half, "visible": visible, "p": p}
                | {"rare rows found": f"{found:+.1f} ± {found_half:.1f}"}
            )
        for row, p in zip(family, holm([row["p"] for row in family]), strict=True):
            rows.append(row | {"p": p, "verdict": verdict(row["mean"], row["half"], p, NEGLIGIBLE)})
    table = pd.DataFrame(rows)
    return pd.DataFrame(
        {
            "filter": table["filter"],
            "rare": table["rare"],
            "learner": table["learner"],
            "seeds": table["seeds"],
            "F1 of the curve, %": [
                f"{m:+.1f} ± {h:.1f}" for m, h in zip(table["mean"], table["half"], strict=True)
            ],
            "smallest detectable, %": table["visible"].map("{:.1f}".format),
            "p, Holm": ["< 0.001" if p < 0.001 else f"{p:.3f}" for p in table["p"]],
            "verdict": table["verdict"],
            "rare rows found": table["rare rows found"],
        }
    )


def levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the means over seeds."""
    table = (
        runs.groupby(["rare", "learner", "filter"], sort=False).mean(numeric_only=True).drop(columns="seed")
    )
    formats = {"F1, mean": "{:.3f}", "F1 at the end": "{:.3f}", "CPU s selecting": "{:.2f}"}
    for column in table:
        table[column] = table[column].map(formats.get(column, "{:.0f}").format)
    return table.reset_index()


def page(runs: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return the page of the results."""
    n_tests = len(args.rare) * len(args.learners)
    text = f"""# ProxyFilter against no pruning

Command: `{command("proxy_filter", args, parse([]))}`, seeds 0 to {args.seeds - 1}, {origin()}.

**Data.** Debian package descriptions ({corpus().release}). Each seed splits them by source package, and
draws {args.pool_size:,} rows for its pool and {args.test_size:,} for its test set, cut at {args.max_words}
words; one section against all others. **Vectors.** TF-IDF with SVD, fitted on the pool (the default
encoder), not sentence vectors. **Loop.** {args.n_seeds} initial labels, {N_RARE} of them rare,
{args.rounds} rounds of {args.batch} by entropy. **Filters.** ProxyFilter and random keep {args.keep} rows;
AnchorAL with A = 10 and K = {args.keep // 20} retrieves at most as many.

**How to read it.** The F1 of the rare class is averaged over the curve. The first table shows its difference
from no pruning in the same seed, in percent of the mean without pruning: the paired mean, its 95 % interval
(Student's t), and the smallest difference that this number of seeds detects with a probability of
80 %. p is adjusted by Holm's method over the {n_tests} comparisons of a filter.
*Established*: adjusted p < 0.05. *Excluded beyond ± {NEGLIGIBLE:.0f} %*: not established, and the interval
lies within ± {NEGLIGIBLE:.0f} %. *Not established*: neither. "Rare rows found" is the paired difference at
the end.
The intervals do not cover other data sets: all pools are drawn from one collection and overlap.
"""
    parts = [*paragraphs(text), markdown(against_none(runs)), "Means over the seeds:", markdown(levels(runs))]
    return "\n\n".join([*parts, "Every run: [proxy_filter.csv](proxy_filter.csv)."]) + "\n"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        seeds=20,
        pool_size=8_000,
        test_size=4_000,
        max_words=40,
        n_seeds=100,
        batch=25,
        rounds=10,
        out=Path("proxy_filter-results"),
        page=None,
    )
    parser.add_argument(
        "--rare", nargs="+", default=["games", "mail", "hamradio"], help="rare classes, in turn"
    )
    parser.add_argument(
        "--learners",
        nargs="+",
        choices=LEARNERS,
        default=["linear", "tfidf", "mlp"],
        help="models that are trained, in turn",
    )
    parser.add_argument("--keep", type=int, default=400, help="rows that each filter keeps")
    return parser.parse_args(argv)


def main() -> None:
    """Play the loops and write the page."""
    args = parse()
    warnings.simplefilter("ignore")
    runs = run_all(args)
    publish("proxy_filter", args, runs.round(4), page(runs, args))


if __name__ == "__main__":
    main()
