"""The contract of every filter, and broken filters that the checks must detect."""

import json
import subprocess
import sys
from copy import copy
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import skprune
from skprune import (
    ActivePruneFilter,
    AnchorFilter,
    AskLLMFilter,
    DistilledScorer,
    EntropyIntervalFilter,
    FilterChain,
    FilterUnion,
    KMeansFilter,
    PerplexityFilter,
    PlausibilityFilter,
    ProxyFilter,
    QuotaFilter,
    RandomFilter,
    SEALSFilter,
    SemiPruneFilter,
    UPSFilter,
)
from skprune.base import BaseFilter
from skprune.selections import Selection
from skprune.utils.estimator_checks import check_filter, filter_checks

TEXTS = [f"the {color} {animal} sees n{i}" for i in range(10) for color in ("red", "old", "blue")
         for animal in ("fox", "dog", "cat", "hen")]  # fmt: skip


def quality_of(texts):
    """Return an arbitrary quality per text; any callable can be a scorer."""
    return np.array([sum(map(ord, t)) % 97 / 97 for t in texts])


def kind_of(row):
    """Return a group that depends on the row only."""
    return "few" if (len(row) % 7 == 0 if isinstance(row, str) else row[0] < -1) else "many"


def parity_of(row):
    """Return one of four groups."""
    return str(sum(map(ord, row)) % 4 if isinstance(row, str) else int(row[0] * 1000) % 4)


FILTERS = {
    "random": RandomFilter(keep=0.25, random_state=0),
    "anchor": AnchorFilter(3, 8, 30, random_state=0),
    "active prune": ActivePruneFilter(keep=0.25, quality=quality_of, random_state=0),
    "active prune, novelty": ActivePruneFilter(
        keep=0.25, quality=quality_of, reweighting="novelty", random_state=0
    ),
    "k-means": KMeansFilter(keep=0.25, random_state=0),
    "perplexity": PerplexityFilter(keep=0.25, random_state=0),
    "ask LLM": AskLLMFilter(keep=0.25, quality=quality_of, random_state=0),
    "ask LLM, distilled": AskLLMFilter(
        keep=0.25, quality=DistilledScorer(quality_of, n_calls=30, min_recall=0), random_state=0
    ),
    "UPS": UPSFilter(keep=0.25, random_state=0),
    "proxy": ProxyFilter(keep=0.25, random_state=0),
    "SEALS": SEALSFilter(4, random_state=0),
    "entropy interval": EntropyIntervalFilter(keep=0.25, combine="igse", random_state=0),
    "semi-prune": SemiPruneFilter(keep=0.25, n_epochs=3, holdout=0, random_state=0),
    "plausibility": PlausibilityFilter(keep=0.25, random_state=0),
    "quota, floors": QuotaFilter(RandomFilter(0.25, random_state=0), groups=kind_of, min_per_group=1),
    "quota, equal": QuotaFilter(KMeansFilter(0.25, random_state=0), groups=parity_of, balance="equal"),
    "chain": FilterChain(
        [("few", RandomFilter(0.5, random_state=0)), ("far", KMeansFilter(0.4, random_state=1))]
    ),
    "union": FilterUnion(
        [("anchors", AnchorFilter(3, 8, random_state=0)), ("random", RandomFilter(0.1, random_state=1))],
        keep=0.25,
    ),
    "chain in union": FilterUnion(
        [
            (
                "good",
                FilterChain(
                    [
                        ("plain", PerplexityFilter(0.6, random_state=0)),
                        ("good", AskLLMFilter(0.2, quality=quality_of, random_state=0)),
                    ]
                ),
            ),
            ("near", SEALSFilter(4, random_state=0)),
        ]
    ),
}


CHECKS = [
    pytest.param(check, id=f"{name}-{check_name}")
    for name, pruner in FILTERS.items()
    for check_name, check in filter_checks(pruner)
]


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check):
    check()


# scikit-learn's own checks, which expect transformers that keep all rows.
DECIDE_BY_ROW = (AnchorFilter, SEALSFilter)
DROPS_ROWS = "a filter drops rows, and which ones depends on the whole pool"


def expected_failures(pruner):
    expected = {"check_transformer_data_not_an_array": "transform of a list returns a list"}
    if type(pruner) is not SEALSFilter:  # it keeps the whole pool if there are no labels
        expected["check_transformer_general"] = DROPS_ROWS
    if type(pruner) not in DECIDE_BY_ROW:  # they decide about each row independently
        expected["check_methods_sample_order_invariance"] = DROPS_ROWS
        expected["check_methods_subset_invariance"] = DROPS_ROWS
    return expected


@pytest.mark.filterwarnings("ignore::skprune.LostClassWarning")  # five of twenty rows remain
@parametrize_with_checks(
    [clone(f) for f in FILTERS.values() if f._takes_vectors],
    expected_failed_checks=expected_failures,
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


class SelectsTwice(RandomFilter):
    """Return the first row twice."""

    def select(self, X, *, min_rows=0, copies=True):
        kept = super().select(X, min_rows=min_rows, copies=copies)
        return np.append(kept, kept[:1])


class ByPosition(RandomFilter):
    """Select the first rows, whatever they contain."""

    def _select(self, pool, eligible, min_rows):
        order = np.arange(self._kept_size(len(eligible), min_rows))
        return Selection(order, super()._select(pool, eligible, min_rows).explain)


class GlobalState(RandomFilter):
    """Draw from NumPy's global random state."""

    def _uniforms(self, pool, rows):
        return np.random.rand(len(rows))  # noqa: NPY002


class SameDraws(RandomFilter):
    """Repeat the draws of round 0 in every round."""

    def _uniforms(self, pool, rows):
        first_round = copy(self)
        first_round.round_ = 0
        return super(SameDraws, first_round)._uniforms(pool, rows)


class DependsOnJobs(RandomFilter):
    """Make other draws if n_jobs is not 1."""

    def __init__(self, keep=0.25, *, random_state=None, n_jobs=None):
        super().__init__(keep, random_state=random_state)
        self.n_jobs = n_jobs

    _parameter_constraints: ClassVar = {**RandomFilter._parameter_constraints, "n_jobs": [None, int]}

    def _uniforms(self, pool, rows):
        return super()._uniforms(pool, rows) ** (self.n_jobs or 1) * (-1) ** (self.n_jobs or 1)


class ReturnsLists(RandomFilter):
    """Return a list for any container except arrays and frames."""

    def transform(self, X):
        kept = super().transform(X)
        return kept if hasattr(kept, "shape") else list(kept)


class Forgetful(RandomFilter):
    """Ignore the rows that are labeled after the first round."""

    def partial_fit(self, X, y, *, learner=None):
        if getattr(self, "round_", 0) >= 1:
            self.round_ += 1
            return self
        return super().partial_fit(X, y, learner=learner)


class IgnoresMinRows(RandomFilter):
    """Ignore min_rows."""

    def _select(self, pool, eligible, min_rows):
        return super()._select(pool, eligible, 0)


class OneTooFew(RandomFilter):
    """Select one row too few."""

    def _kept_size(self, n_rows, min_rows):
        return max(1, super()._kept_size(n_rows, min_rows) - 1)


class NoReasons(RandomFilter):
    """Explain without reasons."""

    def _select(self, pool, eligible, min_rows):
        selection = super()._select(pool, eligible, min_rows)
        return Selection(
            selection.order, lambda: {**selection.explain(), "reason": np.full(len(eligible), "")}
        )


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (SelectsTwice, r"check_transform_and_get_support_match_select\[texts\]: select returned a row twice"),
        (ByPosition, "check_rows_are_identified_by_content.*reordering the pool changed which rows"),
        (
            GlobalState,
            "check_transform_and_get_support_match_select.*transform must return the rows of select",
        ),
        (SameDraws, "check_each_round_makes_new_draws.*every round made the same draws"),
        (DependsOnJobs, "check_n_jobs_does_not_change_results.*n_jobs=2 selected other rows"),
        (ReturnsLists, "check_text_containers.*transform returned list for tuple"),
        (Forgetful, "check_labeled_rows_are_never_selected"),
        (IgnoresMinRows, "check_min_rows_is_respected.*min_rows=60 must select at least"),
        (OneTooFew, "check_keep_is_exact.*keep=17 must select 17 of"),
        (NoReasons, "check_explain_matches_select.*explain gives no reason"),
    ],
)
def test_checks_detect_broken_filters(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_filter(broken(keep=0.3, random_state=0))


class KeepLongest(BaseFilter):
    """The smallest filter: it keeps the longest texts and implements the two required methods only."""

    _takes_vectors = False

    def __init__(self, keep=0.25):
        self.keep = keep

    def _fit(self, pool):
        """Do nothing, because the score of a text does not depend on the pool."""

    def _select(self, pool, eligible, min_rows):
        texts = pool.texts[eligible]
        longest_first = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), texts[i]))
        order = np.array(longest_first[: self._kept_size(len(texts), min_rows)])
        kept = np.isin(np.arange(len(texts)), order)

        def explain():
            return {
                "stage": np.where(kept, "length", ""),
                "threshold": np.full(len(texts), float(len(texts[order[-1]]))),
                "reason": np.where(kept, "kept: among the longest texts", "too short"),
            }

        return Selection(order, explain)


def test_a_minimal_filter_passes_the_checks():
    check_filter(KeepLongest(keep=0.3))
    with pytest.raises(ValueError, match="'keep' parameter of KeepLongest"):
        KeepLongest(keep=-1).fit(TEXTS)


@pytest.mark.parametrize("name", ["random", "active prune", "k-means", "UPS", "proxy"])
def test_another_seed_selects_other_rows(name):
    first, other = (
        clone(FILTERS[name]).set_params(random_state=seed).fit(TEXTS).select(TEXTS) for seed in (0, 1)
    )
    assert set(first) != set(other)


def test_texts_and_numeric_rows_cannot_be_mixed():
    X = np.random.default_rng(0).normal(size=(30, 5))
    with pytest.raises(ValueError, match="both be texts or both be numeric"):
        AnchorFilter(3, 8, 30, random_state=0).fit(X).select(TEXTS)
    with pytest.raises(TypeError, match="ActivePruneFilter reads texts, got numeric rows"):
        clone(FILTERS["active prune"]).fit(X)


def test_importing_skprune_is_lazy():
    script = (
        "import sys, skprune; dir(skprune);"
        "print([m for m in ('torch', 'transformers', 'pandas', 'sklearn', 'kenlm') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
    with pytest.raises(AttributeError, match=r"attribute.*Nothing"):
        skprune.Nothing  # noqa: B018


MISSING = {
    "kenlm": ("ngram", "NGramScorer(order=2).fit(['a b'])(['a'])"),
    "hnswlib": ("hnsw", "AnchorFilter(index='hnsw').fit(['aa bb', 'bb cc', 'cc dd'])"),
    "sentence_transformers": ("encoders", "SentenceEncoder('x')(['a'])"),
    "transformers": ("llm", "QualityScorer('x')(['a'])"),
}


@pytest.fixture(scope="module")
def errors_without():
    """The error that each missing package causes, in a process that has imported none of them."""
    script = f"""
import json, sys
from skprune import AnchorFilter, NGramScorer, QualityScorer, SentenceEncoder
found = {{}}
for hidden, (_, code) in {MISSING}.items():
    assert hidden not in sys.modules
    sys.modules[hidden] = None
    try:
        eval(code)
    except ImportError as error:
        found[hidden] = str(error)
    del sys.modules[hidden]
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("hidden", MISSING)
def test_a_missing_extra_is_named(hidden, errors_without):
    assert f"pip install 'skprune[{MISSING[hidden][0]}]'" in errors_without[hidden]
