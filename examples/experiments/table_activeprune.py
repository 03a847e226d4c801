"""ActivePrune against a random quarter of the pool: fresh pools, controls, and three kinds of learner.

Makes docs/results/table_activeprune.md and its CSV. Each seed draws a pool, a test set and initial labels of
its own; the filters of a seed share them. Besides the baselines of the paper, its ways to reweight and the
ablations of its Table 3, there are controls: something else in the place of the LLM, or of perplexity. The
LLM's scores are computed once; every call that a filter asks for is counted. A command that was killed
continues where it stopped.

    python examples/experiments/table_activeprune.py  # an hour on one core, ten minutes of it the LLM
    python examples/experiments/table_activeprune.py --data movies --learners vectors --seeds 80
    python examples/experiments/table_activeprune.py --llm Qwen/Qwen2.5-1.5B-Instruct
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _pages import command, compared, origin, paragraphs, publish
from _runs import Runs, cut, encode, make_parser, markdown, play, random_part, with_packaged_models
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    AskLLMFilter,
    KMeansFilter,
    NGramScorer,
    PerplexityFilter,
    QualityScorer,
    RandomFilter,
    UPSFilter,
)
from skprune.base import BaseFilter
from skprune.datasets import load_debian, load_movie_snippets, load_newsgroups, load_reuters52
from skprune.metrics import diversity, learning_curve_auc
from skprune.row_table import digests
from skprune.store import Remembered
from skprune.strategies import CAL, Coreset, LeastConfidence
from skprune.streams import row_uniforms

DATA = {
    "movies": (load_movie_snippets, "sentiment classification of film reviews"),
    "newsgroups": (partial(load_newsgroups, "all"), "topic classification of newsgroup posts"),
    "reuters": (partial(load_reuters52, "all"), "topic classification of news agency reports"),
}
STRATEGIES = {"LC": LeastConfidence, "CAL": CAL, "Coreset": Coreset}
LEARNERS = {
    "vectors": "logistic regression, sentence vectors",
    "terms": "logistic regression, TF-IDF",
    "mlp": "neural net, sentence vectors",
}
# The parameters of each variant of ActivePrune: the ways to reweight, then the ablations of Table 3.
VARIANTS: dict[str, dict[str, Any]] = {
    "ActivePrune": {},
    "ActivePrune, β = 0": {"beta": 0.0},  # draws by weight, but never reweights
    "ActivePrune, novelty": {"reweighting": "novelty"},
    "ActivePrune, no reweighting": {"reweighting": None},  # selects what "paper" does, by the theorem
    "ActivePrune, no LLM": {"quality": None},
    "ActivePrune, no perplexity": {"llm_share": 1.0, "n_candidates": 0.3, "candidates": "random"},
    "ActivePrune, n-grams from elsewhere": {"perplexity": "elsewhere"},
    # Controls: what else the judge, or the perplexity, could be.
    "random numbers for the LLM": {"quality": "chance"},
    "text length for the LLM": {"quality": "length"},
    "the LLM negated": {"quality": "negated"},
    "text length for perplexity": {"perplexity": "length"},
}
BASELINES = ("none", "random", "ASK-LLM", "UPS", "k-means", "n-gram perplexity", "n-grams from elsewhere")
FILTERS = (*BASELINES, *VARIANTS)
#: What ActivePrune itself is compared with, besides a random quarter.
RIVALS = (
    "none",
    "ActivePrune, β = 0",
    "ActivePrune, no reweighting",
    "ActivePrune, no LLM",
    "random numbers for the LLM",
    "text length for the LLM",
    "the LLM negated",
    "text length for perplexity",
)
KEEP = 0.25
MIN_CLASS = 100  # rows of a class; reuters has classes of three
NEGLIGIBLE = 1.0  # points of macro F1; a smaller difference does not matter to us


class Corpus:
    """The texts of one data set, and their scores, computed once.

    Parameters
    ----------
    name : str
    args : Namespace
    source : (callable, str), default=None
        Loads the set, and names the labeling task. None: as in ``DATA``.

    Attributes
    ----------
    texts, y : ndarray of str, ndarray of int
    pool_part : ndarray of int
        The rows that pools are drawn from: those that the LLM has scored.
    vectors, quality, elsewhere, length, chance, negated : callables
        ``texts -> array``, by look-up.
    """

    def __init__(
        self, name: str, args: argparse.Namespace, source: tuple[Callable[[], Bunch], str] | None = None
    ) -> None:
        load, self.task = source or DATA[name]
        bunch = load()
        texts, first = np.unique(cut(bunch.data, args.max_words), return_index=True)
        y = np.asarray(bunch.target)[first]
        classes, sizes = np.unique(y, return_counts=True)
        chosen = np.array([len(text.split()) >= 4 for text in texts])
        chosen &= np.isin(y, classes[sizes >= MIN_CLASS])
        self.texts, self.y = texts[chosen], y[chosen]
        self.name, self.args = name, args
        self.pool_part = random_part(len(self.texts), args.judged)

    @cached_property
    def vectors(self) -> Callable[[Any], np.ndarray]:
        """Sentence vectors."""
        return self._look_up(encode(self.texts, self.args.encoder, self.args.memory))

    @cached_property
    def quality(self) -> Callable[[Any], np.ndarray]:
        """P("yes") of the LLM."""
        args = self.args
        ask = QualityScorer(args.llm, task=self.task, chat_template=args.chat, max_length=args.max_length)
        judged = self.texts[self.pool_part]
        start = time.process_time()
        remembered = Remembered(ask, args.memory, name="llm", batch_size=64)
        scores = remembered(judged)
        if remembered.n_computed == len(judged):
            seconds = (time.process_time() - start) / len(judged)
            print(f"{self.name}: {seconds:.3f} CPU seconds per LLM call", flush=True)
        return self._look_up(scores, self.pool_part)

    @cached_property
    def elsewhere(self) -> Callable[[Any], np.ndarray]:
        """Perplexity under n-grams of the other data sets and of package descriptions."""
        others: list[str] = []
        for name, (load, _) in DATA.items():
            others += [] if name == self.name else list(cut(load().data, self.args.max_words))
        others += list(cut(load_debian(None).data, self.args.max_words))
        return self._look_up(NGramScorer().fit(others)(self.texts))

    @cached_property
    def length(self) -> Callable[[Any], np.ndarray]:
        """Number of words."""
        return self._look_up(np.array([float(len(text.split())) for text in self.texts]))

    @cached_property
    def negated(self) -> Callable[[Any], np.ndarray]:
        """One minus P("yes")."""
        quality = self.quality
        return lambda texts: 1 - quality(texts)

    def _look_up(self, values: np.ndarray, rows: np.ndarray | None = None) -> Callable[[Any], np.ndarray]:
        return look_up(self.texts if rows is None else self.texts[rows], values)

    def draw(self, seed: int) -> tuple[Bunch, Bunch]:
        """Draw the pool and the test set of a seed."""
        rng = np.random.default_rng(seed)
        pool = rng.permutation(self.pool_part)[: self.args.pool_size]
        test = rng.permutation(np.setdiff1d(np.arange(len(self.texts)), pool))[: self.args.test_size]
        return tuple(Bunch(texts=self.texts[rows], y=self.y[rows]) for rows in (pool, test))


def look_up(texts: np.ndarray, values: np.ndarray) -> Callable[[Any], np.ndarray]:
    """Return a function that looks up the value of each text. Clones of an estimator share it."""
    row_of = {text: row for row, text in enumerate(texts)}
    return lambda wanted: values[[row_of[text] for text in wanted]]


def _chance(seed: int, texts: Any) -> np.ndarray:
    keys = digests(np.array(texts, dtype=object))
    return row_uniforms(keys, np.arange(len(keys)), seed, 7)


@lru_cache(maxsize=2)
def perplexity_of(corpus: Corpus, seed: int, order: int = 5) -> Callable[[Any], np.ndarray]:
    """Return the perplexity under n-grams of the seed's own pool, by look-up."""
    texts = corpus.draw(seed)[0].texts
    return look_up(texts, NGramScorer(order=order).fit(texts)(texts))


def make_filter(name: str, corpus: Corpus, in_pool: Any, seed: int) -> BaseFilter | None:
    """Return the filter that a name of ``FILTERS`` stands for."""
    ask = partial(corpus.quality)  # one of its own per run, to count its calls
    match name:
        case "none":
            return None
        case "random":
            return RandomFilter(KEEP)
        case "ASK-LLM":
            return AskLLMFilter(KEEP, quality=ask)
        case "UPS":
            return UPSFilter(KEEP)
        case "k-means":
            return KMeansFilter(KEEP, encoder=corpus.vectors)
        case "n-gram perplexity":
            return PerplexityFilter(KEEP, perplexity=in_pool)
        case "n-grams from elsewhere":
            return PerplexityFilter(KEEP, perplexity=corpus.elsewhere)
        case _:
            options = {"quality": ask, "perplexity": in_pool, **VARIANTS[name]}
            for parameter in ("quality", "perplexity"):
                if options[parameter] == "chance":
                    options[parameter] = partial(_chance, seed)
                elif isinstance(options[parameter], str):
                    options[parameter] = partial(getattr(corpus, options[parameter]))
            return ActivePruneFilter(KEEP, **options)


def make_learner(name: str, corpus: Corpus) -> BaseEstimator:
    """Return the model that is trained anew in each round."""
    linear = LogisticRegression(C=10.0, max_iter=1_000)
    if name == "terms":
        return make_pipeline(TfidfVectorizer(sublinear_tf=True), linear)
    head = linear if name == "vectors" else MLPClassifier((32,), max_iter=60, learning_rate_init=0.01)
    return make_pipeline(FunctionTransformer(corpus.vectors), head)


def play_one(corpus: Corpus, settings: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Play one loop, and measure how well each round's labeled rows cover the pool."""
    seed = settings["seed"]
    pool, test = corpus.draw(seed)
    in_pool = perplexity_of(corpus, seed)
    simulator = ActiveLearningSimulator(
        make_learner(settings["learner"], corpus),
        STRATEGIES[settings["strategy"]](),
        make_filter(settings["filter"], corpus, in_pool, seed),
        n_instances=args.batch,
        n_rounds=args.rounds,
        initial="per_class",
        n_initial=args.n_seeds,
        random_state=seed,
    )
    found, picked = play(simulator, (pool.texts, pool.y), (test.texts, test.y), np.unique(pool.y))
    ends = found["labels"][1:]
    covered = [
        diversity(
            in_pool(pool.texts[np.setdiff1d(np.arange(len(pool.texts)), picked[: end - args.batch])]),
            in_pool(pool.texts[picked[end - args.batch : end]]),
        )
        for end in ends
    ]
    return {
        "F1, mean": learning_curve_auc(found["f1"], normalize=True),
        "F1 at the end": found["f1"][-1],
        "diversity": float(np.mean(covered)),
        "LLM calls": found["llm_calls"][-1],
        "CPU s selecting": sum(found["CPU s selecting"]),
    }


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the loops that have not been played yet; return one row per run."""
    runs = Runs(args.out / "runs.jsonl")
    common = {
        key: getattr(args, key)
        for key in (
            *("judged", "pool_size", "test_size", "max_words", "n_seeds", "batch", "rounds"),
            *("llm", "chat", "max_length"),
        )
    }
    cells = [(learner, strategy) for learner in args.learners for strategy in args.strategies]
    cells = [(learner, strategy) for learner, strategy in cells if learner == "vectors" or strategy == "LC"]
    rows = []
    corpora = {name: Corpus(name, args) for name in args.data}
    for data, seed, (learner, strategy), name in product(args.data, range(args.seeds), cells, FILTERS):
        named = {"data": data, "learner": learner, "strategy": strategy, "filter": name, "seed": seed}
        found = runs.get(common | named, lambda named=named: play_one(corpora[named["data"]], named, args))
        rows.append(named | {"learner": LEARNERS[learner]} | found)
        if name == FILTERS[-1]:
            print(data, learner, strategy, seed, f"F1 {found['F1, mean']:.3f}", flush=True)
    return pd.DataFrame(rows)


def against(runs: pd.DataFrame, column: str, pairs: list[tuple[str, str]], scale: float) -> pd.DataFrame:
    """Compare pairs of filters, paired by seed; each data set, learner and strategy is a family."""
    tables = []
    for cell, group in runs.groupby(["data", "learner", "strategy"], sort=False):
        table = group.pivot(index="seed", columns="filter", values=column)
        differences = {(*cell, a, b): scale * (table[a] - table[b]) for a, b in pairs}
        names = ["data", "learner", "strategy", "filter", "against"]
        tables.append(compared(differences, names, NEGLIGIBLE))
    return pd.concat(tables, ignore_index=True)


def levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the means over seeds."""
    by = ["data", "learner", "strategy", "filter"]
    table = runs.groupby(by, sort=False).mean(numeric_only=True).drop(columns="seed")
    formats = {"F1, mean": "{:.3f}", "F1 at the end": "{:.3f}", "CPU s selecting": "{:.2f}"}
    for column in table:
        table[column] = table[column].map(formats.get(column, "{:.0f}").format)
    return table.reset_index()


def page(runs: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return the page of the results."""
    n_others = len(FILTERS) - 1
    text = f"""# ActivePrune against a random quarter

Command: `{command("table_activeprune", args, parse([]))}`, {origin()}, seeds 0 to {args.seeds - 1}.

**Data.** *movies*: film-review snippets, two classes; *newsgroups*: 20 Newsgroups; *reuters*: the topics of
Reuters-52 with at least {MIN_CLASS} texts. Texts are cut after {args.max_words} words. Each seed draws
{args.pool_size:,} rows for its pool from {args.judged:,} texts that the LLM has scored, and
{args.test_size:,} other rows for its test set. **Learners** read MiniLM sentence vectors or TF-IDF.
**Loop.** {args.n_seeds} initial labels, at least one of each class, {args.rounds} rounds of {args.batch}
labels, 1 % of the pool, as in the paper. **Filters** keep a quarter. n-gram models are trained on the pool;
"from elsewhere" means on the other data sets and on package descriptions. The LLM is SmolLM2-135M in
bfloat16, asked the default question in its chat template about the first {args.max_length} tokens. "No
perplexity" lets the LLM choose the quarter out of 30 % of the pool, drawn at random each round.

**How to read it.** Differences are in points of macro F1, averaged over the learning curve, paired by seed:
the mean, its 95 % interval (Student's t), and the smallest difference that this number of seeds detects with
a probability of 80 %. p is adjusted by Holm's method over the comparisons of one data set, learner and
strategy: {n_others} in the first table, {len(RIVALS)} in the second. *Established*: adjusted p < 0.05.
*Excluded beyond ± {NEGLIGIBLE:g} points*: not established, and the interval lies within. *Not established*:
neither. All pools of a data set are drawn from the same texts and overlap, so the intervals do not cover
other data sets.
"""
    diverse = [
        ("ActivePrune", name) for name in ("random", "ActivePrune, β = 0", "ActivePrune, no reweighting")
    ]
    parts = [
        *paragraphs(text),
        "## Each filter against a random quarter",
        markdown(against(runs, "F1, mean", [(name, "random") for name in FILTERS if name != "random"], 100)),
        "## ActivePrune against its parts and controls",
        markdown(against(runs, "F1, mean", [("ActivePrune", name) for name in RIVALS], 100)),
        "## Diversity of the labels by perplexity, the paper's score, paired differences",
        markdown(against(runs, "diversity", diverse, 1)),
        "## Means over the seeds",
        markdown(levels(runs)),
        "Every run: [table_activeprune.csv](table_activeprune.csv).",
    ]
    return "\n\n".join(parts) + "\n"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        seeds=40,
        pool_size=1_000,
        test_size=1_000,
        max_words=60,
        n_seeds=20,
        batch=10,
        rounds=5,
        encoder=None,
        llm=None,
        memory=None,
        page=None,
        out=Path("table_activeprune-results"),
    )
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS))
    parser.add_argument(
        "--strategies", nargs="+", choices=STRATEGIES, default=["LC"], help="all but LC: vectors only"
    )
    parser.add_argument("--judged", type=int, default=3_000, help="texts per data set that the LLM scores")
    parser.add_argument(
        "--chat", action=argparse.BooleanOptionalAction, default=True, help="use the LLM's chat template"
    )
    parser.add_argument("--max-length", type=int, default=48, help="tokens of each text that the LLM reads")
    return parser.parse_args(argv)


def main() -> None:
    """Play the loops and write the page."""
    given = parse()
    args = with_packaged_models(argparse.Namespace(**vars(given)))
    warnings.simplefilter("ignore")
    runs = run_all(args)
    publish("table_activeprune", args, runs.round(4), page(runs, given))


if __name__ == "__main__":
    main()
