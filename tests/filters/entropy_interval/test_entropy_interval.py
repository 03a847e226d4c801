"""EUDS: windows against brute force, sizes, ties, strangers, warnings and the search."""

import warnings
from itertools import count

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from skprune import EntropyIntervalFilter, InformationEntropy
from skprune.filters.entropy_interval.filter import ENTROPIES, mid_rank

RNG = np.random.default_rng(0)
N = 300
TEXTS = [f"text {i}" for i in range(N)]
# Values with ties, on scales of their own.
VALUES = {
    "information": RNG.integers(0, 40, N) / 7,
    "generative": RNG.normal(size=N),
    "semantic": RNG.exponential(size=N).round(2),
}
SERIAL = count()
STRANGERS = {"below": -100.0, "above": 100.0, "first": None}


def number_of(text):
    return int(text.split()[1])


class Known:
    """An entropy that is looked up, and counts what it is asked."""

    def __init__(self, name, values=None):
        self.values = VALUES[name] if values is None else values
        self.fingerprint = f"known {name} {next(SERIAL)}"
        self.asked = []

    def __call__(self, texts):
        self.asked += list(texts)
        return np.array(
            [STRANGERS[t] if t in STRANGERS else self.values[number_of(t)] for t in texts], dtype=float
        )


def euds(**parameters):
    given = {name: Known(name) for name in ENTROPIES}
    return EntropyIntervalFilter(**(given | {"combine": "igse", "random_state": 0} | parameters))


def brute_force_quantiles(values):
    return np.array([(np.sum(values < v) + 0.5 * np.sum(values == v)) / len(values) for v in values])


QUANTILES = {name: brute_force_quantiles(values) for name, values in VALUES.items()}


# ---------------------------------------------------------------------- windows


def test_quantiles_are_mid_ranks():
    for name, values in VALUES.items():
        np.testing.assert_allclose(mid_rank(values, np.sort(values)), QUANTILES[name])


@pytest.mark.parametrize("interval", [(0.2, 0.9), (0.0, 1.0), (0.45, 0.55), [0.1, 0.7]])
def test_windows_intersect(interval):
    lo, hi = interval
    expected = [i for i in range(N) if all(lo <= QUANTILES[name][i] <= hi for name in ENTROPIES)]
    kept = euds(interval=interval).fit(TEXTS).select(TEXTS)
    assert sorted(kept) == expected


@pytest.mark.parametrize("name", ENTROPIES)
def test_a_single_entropy_is_its_window_and_no_other_is_computed(name):
    pruner = euds(interval=(0.3, 0.6), combine=name).fit(TEXTS)
    kept = pruner.select(TEXTS)
    assert sorted(kept) == np.flatnonzero((QUANTILES[name] >= 0.3) & (QUANTILES[name] <= 0.6)).tolist()
    for other in ENTROPIES:
        assert len(getattr(pruner, other).asked) == (N if other == name else 0)
    assert set(pruner.entropies_) == set(pruner.windows_) == {name}


def test_a_window_for_each_entropy():
    windows = {"information": (0.0, 0.5), "generative": (0.5, 1.0), "semantic": (0.2, 0.8)}
    kept = euds(interval=windows).fit(TEXTS).select(TEXTS)
    expected = np.logical_and.reduce(
        [(QUANTILES[n] >= lo) & (QUANTILES[n] <= hi) for n, (lo, hi) in windows.items()]
    )
    assert sorted(kept) == np.flatnonzero(expected).tolist()


@pytest.mark.parametrize("center", [0.5, 0.1, {"information": 0.3, "generative": 0.9, "semantic": 0.5}])
@pytest.mark.parametrize("combine", ["igse", "generative"])
def test_an_exact_size_is_the_windows_just_wide_enough(center, combine):
    names = ENTROPIES if combine == "igse" else (combine,)
    centers = center if isinstance(center, dict) else dict.fromkeys(ENTROPIES, center)
    distance = np.max([np.abs(QUANTILES[n] - centers[n]) for n in names], axis=0)
    for keep in (1, 17, 0.25, 0.9, N):
        kept = euds(keep=keep, center=center, combine=combine).fit(TEXTS).select(TEXTS)
        k = keep if isinstance(keep, int) else round(keep * N)
        assert len(kept) == len(set(kept)) == k
        assert distance[kept].max() <= np.sort(distance)[k - 1] + 1e-9
        assert (np.diff(distance[kept]) >= -1e-9).all()  # best first


def test_ties_are_decided_by_the_seed():
    flat = Known("flat", np.repeat([0.0, 1.0, 2.0], N // 3))
    picks = [
        set(euds(keep=50, combine="information", information=flat, random_state=s).fit(TEXTS).select(TEXTS))
        for s in (0, 0, 1)
    ]
    assert picks[0] == picks[1] != picks[2]
    assert all(set(p) < set(range(100, 200)) for p in picks)
    both_sides = Known("steps", np.arange(N).astype(float))
    pruner = euds(keep=1, combine="information", information=both_sides)
    assert {pruner.set_params(random_state=s).fit(TEXTS).select(TEXTS)[0] for s in range(20)} == {149, 150}


def test_strangers_are_placed_by_the_pools_distribution():
    STRANGERS["first"] = float(np.median(VALUES["generative"]))
    pruner = euds(interval=(0.25, 0.75), combine="generative").fit(TEXTS)
    rows = ["below", "above", "first"]
    assert pruner.select(rows).tolist() == [2]
    why = pruner.explain(rows)
    assert why["generative_quantile"].tolist() == pytest.approx([0.0, 1.0, 0.5], abs=0.01)
    assert why["reason"][0] == "generative entropy too low"
    assert why["reason"][1] == "generative entropy too high"
    # They move nobody: the windows are those of the pool given to fit.
    together = pruner.select([*TEXTS, *rows])
    assert sorted(set(together) - {N + 2}) == sorted(pruner.select(TEXTS))


def test_a_query_gets_its_rows_beyond_the_windows():
    pruner = euds(interval=(0.45, 0.55)).fit(TEXTS)
    inside = pruner.select(TEXTS)
    more = pruner.select(TEXTS, min_rows=len(inside) + 20)
    assert len(more) == len(inside) + 20
    assert more[: len(inside)].tolist() == inside.tolist()


def test_a_text_without_a_value_lies_in_no_window():
    broken = VALUES["generative"].copy()
    broken[:10] = np.inf
    pruner = euds(interval=(0.0, 1.0), generative=Known("g", broken)).fit(TEXTS)
    assert sorted(pruner.select(TEXTS)) == list(range(10, N))
    assert (pruner.explain()["reason"][:10] == "generative entropy is not finite").all()
    exact = euds(keep=N, generative=Known("h", broken)).fit(TEXTS)
    assert set(exact.select(TEXTS)[-10:]) == set(range(10))


def test_explain_names_the_windows_that_refused():
    pruner = euds(interval=(0.2, 0.7)).fit(TEXTS)
    why = pruner.explain()
    for name in ENTROPIES:
        np.testing.assert_allclose(why[f"{name}_entropy"], VALUES[name])
        np.testing.assert_allclose(why[f"{name}_quantile"], QUANTILES[name])
        refused = (QUANTILES[name] < 0.2) | (QUANTILES[name] > 0.7)
        assert (why["reason"].str.contains(name) == refused).all()
    assert (why["kept"] == (why["distance"] <= 1 + 1e-9)).all()
    exact = euds(keep=0.25).fit(TEXTS).explain()
    assert (exact["distance"][exact["kept"]] <= exact["threshold"][0]).all()
    assert (exact["distance"][~exact["kept"]] >= exact["threshold"][0]).all()
    some = exact["reason"][~exact["kept"]]
    assert some.str.contains(r"entropy too (?:low|high)|drew the higher number").all()


# ---------------------------------------------------------------------- warnings and errors


def test_a_concentrated_entropy_is_named():
    tight = np.full(N, 2.0)
    tight[:20] = RNG.normal(size=20) * 50
    with pytest.warns(UserWarning, match="semantic entropy is concentrated: half of the pool"):
        euds(semantic=Known("tight", tight)).fit(TEXTS)
    with pytest.warns(UserWarning, match="information entropy is concentrated"):
        euds(information=Known("constant", np.ones(N))).fit(TEXTS)
    heavy_tailed = RNG.lognormal(size=N)
    heavy_tailed[0] = 1e6  # one endless text makes no concentration
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        euds(information=Known("tail", heavy_tailed)).fit(TEXTS)
        euds().fit(TEXTS)
        euds(semantic=Known("tight", tight), combine="generative").fit(TEXTS)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"interval": (0.7, 0.2)}, r"interval must be two quantiles, 0 <= lo < hi <= 1, got \(0.7, 0.2\)"),
        ({"interval": (0.2,)}, "interval must be two quantiles"),
        ({"interval": (0.2, 20)}, "interval must be two quantiles"),
        ({"interval": {"information": (0, 1)}}, "interval has no value for 'generative'"),
        ({"interval": {"info": (0, 1)}}, "interval names 'info'; the entropies are information, gen"),
        ({"center": dict.fromkeys(ENTROPIES, 2)}, r"center\['information'\] must be a quantile in \[0, 1\]"),
        ({"center": 1.5}, "'center' parameter"),
        ({"combine": "all"}, "'combine' parameter"),
        ({"interval": "best"}, "'interval' parameter"),
        ({"keep": N + 1}, "keep=301 exceeds the 300 different rows"),
        ({"interval": "search"}, "interval='search' needs labels"),
    ],
)
def test_bad_parameters_are_refused_before_work(parameters, message):
    pruner = euds(**parameters)
    with pytest.raises(ValueError, match=message):
        pruner.fit(TEXTS)
    assert pruner.information.asked == []
    assert not hasattr(pruner, "pool_")


# ---------------------------------------------------------------------- defaults


def test_the_default_scorers_are_fitted_on_the_pool_and_scores_are_bought_once(tmp_path):
    words = np.array(["red", "green", "blue", "fox", "dog", "sea", "sky", "runs", "the", "old", "night"])
    pool = [" ".join(RNG.choice(words, RNG.integers(3, 15))) for _ in range(200)]
    pruner = EntropyIntervalFilter(combine="igse", memory=tmp_path, random_state=0).fit(pool)
    assert len(pruner.select(pool)) == 50
    np.testing.assert_allclose(
        pruner.entropies_["information"], InformationEntropy()(list(dict.fromkeys(pool)))
    )
    again = clone(pruner).set_params(center=0.3).fit(pool)
    assert all(score.n_computed == 0 for score in again._scorers.values())
    assert set(again.select(pool)) != set(pruner.select(pool))


# ---------------------------------------------------------------------- search


def planted(n=900, seed=1):
    """Texts whose words fit their label in the middle third of the values, and mostly contradict it else."""
    rng = np.random.default_rng(seed)
    values = rng.permutation(n).astype(float)
    y = rng.integers(0, 2, n)
    words = np.array([["good", "great", "fine", "bright"], ["bad", "awful", "poor", "dull"]])
    texts = []
    for i in range(n):
        middle = n / 3 <= values[i] < 2 * n / 3
        spoken = y[i] if middle or rng.random() < 0.2 else 1 - y[i]
        texts.append(" ".join(rng.choice(words[spoken], 3)) + f" n{i}")
    return texts, y, values


def test_search_finds_the_interval_that_was_planted():
    texts, y, values = planted()
    # Held-out rows count as they are: make those of the middle the many.
    middle = (values >= 300) & (values < 600)
    keep = middle | (np.random.default_rng(2).random(900) < 0.3)
    texts = [t for t, k in zip(texts, keep, strict=True) if k]
    y, values = y[keep], values[keep]
    known = dict(zip(texts, values, strict=True))
    quantile = mid_rank(values, np.sort(values))
    inside = quantile[(values >= 300) & (values < 600)]
    pruner = EntropyIntervalFilter(
        interval="search",
        combine="information",
        information=lambda rows: np.array([known[t] for t in rows]),
        random_state=0,
    ).fit(texts, y)
    lo, hi = pruner.windows_["information"]
    assert inside.min() - 0.15 <= lo < hi <= inside.max() + 0.15
    by_window = {(r["lo"], r["hi"]): r["score"] for r in pruner.search_results_}
    assert len(by_window) == 25
    assert by_window[lo, hi] > by_window[0.0, 0.2] + 0.1
    assert by_window[lo, hi] > by_window[0.8, 1.0] + 0.1
    kept = quantile[pruner.select(texts)]
    assert ((kept >= lo) & (kept <= hi)).all()
    assert 0 < len(kept) < len(texts)


def test_search_with_few_labels_and_a_proxy_of_ones_own():
    texts, y, values = planted(n=300, seed=3)
    partly = np.where(np.arange(300) < 120, y, -1)
    known = dict(zip(texts, values, strict=True))
    pruner = EntropyIntervalFilter(
        interval="search",
        combine="information",
        information=lambda rows: np.array([known[t] for t in rows]),
        proxy=make_pipeline(CountVectorizer(), MultinomialNB()),
        random_state=0,
    ).fit(texts, partly)
    kept = pruner.select(texts)
    assert kept.min() >= 120  # labeled rows are passed over
    assert pruner.search_results_[-1]["share"] == 1.0
    repeated = clone(pruner).fit(texts, partly)
    assert repeated.search_results_ == pruner.search_results_
    fixed = clone(pruner).set_params(interval=(0.2, 0.5)).fit(texts, partly)
    assert not hasattr(fixed, "search_results_")


def test_search_says_which_labels_it_lacks():
    y = np.full(N, -1)
    y[:5] = [0, 0, 0, 1, 1]
    with pytest.raises(ValueError, match="cv=3 needs two classes of 3 rows or more; y has 3 of '0', 2"):
        euds(interval="search").fit(TEXTS, y)


@pytest.mark.parametrize("combine", [*ENTROPIES, "igse"])
def test_a_blank_text_lies_in_no_window(combine):
    texts = ["", "  ", *(f"{a}a {b}b {b}b cc" for a in "defgh" for b in "pqrst")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # such texts have nearly the same entropies
        whole = EntropyIntervalFilter(combine=combine, interval=(0, 1), random_state=0).fit(texts)
    assert whole.get_support().tolist() == [False, False] + [True] * 25


def test_a_search_with_too_few_rows_for_its_folds_is_refused():
    texts = [f"{a}a {b}b word" for a in "abcd" for b in "pqrs"]
    with pytest.raises(ValueError, match="two classes of 4 rows or more; y has 2 of '0', 2 of '1'"):
        EntropyIntervalFilter(interval="search", cv=2).fit(texts, [0, 0, 1, 1] + [-1] * 12)
    found = EntropyIntervalFilter(interval="search", cv=2, random_state=0).fit(texts, [0, 1] * 4 + [-1] * 8)
    assert len(found.select(texts)) > 0


def test_a_scorer_that_is_not_used_is_named():
    texts = [f"word {i} of {i % 7}" for i in range(40)]
    with pytest.warns(UserWarning, match="semantic= is not used with combine='generative'"):
        EntropyIntervalFilter(semantic=lambda rows: np.arange(len(rows)), random_state=0).fit(texts)
