"""What every filter promises, whatever its method, and that the checks of it find what is broken."""

import re
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
    EntropyIntervalFilter,
    KMeansFilter,
    PerplexityFilter,
    RandomFilter,
    SEALSFilter,
    SemiPruneFilter,
    UPSFilter,
)
from skprune.base import Selection
from skprune.utils.estimator_checks import check_filter, filter_checks

TEXTS = [f"the {color} {animal} sees n{i}" for i in range(10) for color in ("red", "old", "blue")
         for animal in ("fox", "dog", "cat", "hen")]  # fmt: skip


def shouting(texts):
    """A quality of one's own: any callable serves."""
    return np.array([sum(map(ord, t)) % 97 / 97 for t in texts])


FILTERS = {
    "random": RandomFilter(keep=0.25, random_state=0),
    "anchor": AnchorFilter(3, 8, 30, random_state=0),
    "active prune": ActivePruneFilter(keep=0.25, quality=shouting, random_state=0),
    "active prune, novelty": ActivePruneFilter(
        keep=0.25, quality=shouting, reweighting="novelty", random_state=0
    ),
    "k-means": KMeansFilter(keep=0.25, random_state=0),
    "perplexity": PerplexityFilter(keep=0.25, random_state=0),
    "ask LLM": AskLLMFilter(keep=0.25, quality=shouting, random_state=0),
    "UPS": UPSFilter(keep=0.25, random_state=0),
    "SEALS": SEALSFilter(4, random_state=0),
    "entropy interval": EntropyIntervalFilter(keep=0.25, random_state=0),
    "semi-prune": SemiPruneFilter(keep=0.25, n_epochs=3, holdout=0, random_state=0),
}


CHECKS = [
    pytest.param(check, id=f"{name}-{check_name}")
    for name, pruner in FILTERS.items()
    for check_name, check in filter_checks(pruner)
]


@pytest.mark.parametrize("check", CHECKS)
def test_promises(check):
    check()


# scikit-learn's own checks, which know transformers that keep all rows.
DROPS_ROWS = "a filter drops rows, and which ones depends on the whole pool"
SCORE = "score is a parameter here, the difficulty's name, and no method"


def expected_failures(pruner):
    expected = {"check_transformer_data_not_an_array": "rows come back as they came: a list is a list"}
    if type(pruner) is not SEALSFilter:  # without labels, it keeps the whole pool
        expected["check_transformer_general"] = DROPS_ROWS
    if type(pruner) not in (AnchorFilter, SEALSFilter):  # the neighbors of a row are its own
        expected["check_methods_sample_order_invariance"] = DROPS_ROWS
        expected["check_methods_subset_invariance"] = DROPS_ROWS
    if type(pruner) is SemiPruneFilter:
        for check in (
            "check_fit_score_takes_y",
            "check_n_features_in_after_fitting",
            "check_pipeline_consistency",
        ):
            expected[check] = SCORE
    return expected


@parametrize_with_checks(
    [clone(f) for f in FILTERS.values() if f._takes_vectors],
    expected_failed_checks=expected_failures,
    xfail_strict=True,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


class Twice(RandomFilter):
    """Returns its best row twice."""

    def _select(self, pool, eligible, min_rows):
        selection = super()._select(pool, eligible, min_rows)
        return Selection(np.append(selection.order, selection.order[0]), selection.explain)


class ByPosition(RandomFilter):
    """Keeps the first rows, wherever they stand."""

    def _select(self, pool, eligible, min_rows):
        order = np.arange(self._kept_size(len(eligible), min_rows))
        return Selection(order, super()._select(pool, eligible, min_rows).explain)


class Global(RandomFilter):
    """Draws from numpy's global random state."""

    def _uniforms(self, pool, rows):
        return np.random.rand(len(rows))  # noqa: NPY002


class Stuck(RandomFilter):
    """Makes the draws of round 0 in every round."""

    def _uniforms(self, pool, rows):
        still = copy(self)
        still.round_ = 0
        return super(Stuck, still)._uniforms(pool, rows)


class ByWorkers(RandomFilter):
    """Draws otherwise when it is not alone."""

    def __init__(self, keep=0.25, *, random_state=None, n_jobs=None):
        super().__init__(keep, random_state=random_state)
        self.n_jobs = n_jobs

    _parameter_constraints: ClassVar = {**RandomFilter._parameter_constraints, "n_jobs": [None, int]}

    def _uniforms(self, pool, rows):
        return super()._uniforms(pool, rows) ** (self.n_jobs or 1) * (-1) ** (self.n_jobs or 1)


class ListsOnly(RandomFilter):
    """Returns a list, whatever it was given."""

    def transform(self, X):
        kept = super().transform(X)
        return kept if hasattr(kept, "shape") else list(kept)


class Forgetful(RandomFilter):
    """Takes no note of what was labeled after the first round."""

    def partial_fit(self, X, y, *, learner=None):
        if getattr(self, "round_", 0) >= 1:
            self.round_ += 1
            return self
        return super().partial_fit(X, y, learner=learner)


class TooFew(RandomFilter):
    """Does not look at how many rows a query needs."""

    def _select(self, pool, eligible, min_rows):
        return super()._select(pool, eligible, 0)


class Rounded(RandomFilter):
    """Rounds its sizes down."""

    def _kept_size(self, n_rows, min_rows):
        return max(1, super()._kept_size(n_rows, min_rows) - 1)


class Silent(RandomFilter):
    """Gives no reasons."""

    def _select(self, pool, eligible, min_rows):
        selection = super()._select(pool, eligible, min_rows)
        return Selection(
            selection.order, lambda: {**selection.explain(), "reason": np.full(len(eligible), "")}
        )


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Twice, r"check_select_and_its_companions_agree\[texts\]: select returned a row twice"),
        (ByPosition, "check_a_reordered_or_shrunken_pool_is_recognized.*a reordered pool gave other rows"),
        (Global, "check_select_and_its_companions_agree.*transform must give select's rows"),
        (Stuck, "check_each_round_has_a_stream_of_its_own.*every round made the same draws"),
        (ByWorkers, "check_n_jobs_changes_no_picks.*n_jobs=2 gave other rows"),
        (ListsOnly, "check_every_text_container_gives_the_same_rows.*tuple came back as list"),
        (Forgetful, "check_labeled_rows_are_passed_over"),
        (TooFew, "check_a_query_never_gets_too_few.*min_rows=60, got"),
        (Rounded, "check_keep_is_hit_exactly.*keep=17 of"),
        (Silent, "check_explain_agrees_with_select.*a row has no reason"),
    ],
)
def test_the_checks_find_what_is_broken(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_filter(broken(keep=0.3, random_state=0))


@pytest.mark.parametrize("name", ["random", "active prune", "k-means", "UPS"])
def test_another_seed_gives_other_picks(name):
    first, other = (
        clone(FILTERS[name]).set_params(random_state=seed).fit(TEXTS).select(TEXTS) for seed in (0, 1)
    )
    assert set(first) != set(other)


def test_texts_and_numbers_do_not_mix():
    X = np.random.default_rng(0).normal(size=(30, 5))
    with pytest.raises(ValueError, match="both be texts or both be numeric"):
        AnchorFilter(3, 8, 30, random_state=0).fit(X).select(TEXTS)
    with pytest.raises(TypeError, match="ActivePruneFilter reads texts, got numeric rows"):
        clone(FILTERS["active prune"]).fit(X)


def test_importing_skprune_loads_nothing_heavy():
    script = (
        "import sys, skprune; dir(skprune);"
        "print([m for m in ('torch', 'transformers', 'pandas', 'sklearn', 'kenlm') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
    with pytest.raises(AttributeError, match=r"attribute.*Nothing"):
        skprune.Nothing  # noqa: B018


@pytest.mark.parametrize(
    ("hidden", "code", "message"),
    [
        ("kenlm", "NGramScorer(order=2).fit(['a b'])(['a'])", r"pip install 'skprune\[ngram\]'"),
        (
            "hnswlib",
            "AnchorFilter(index='hnsw').fit(['aa bb', 'bb cc', 'cc dd'])",
            r"pip install 'skprune\[hnsw\]'",
        ),
        ("sentence_transformers", "SentenceEncoder('x')(['a'])", r"pip install 'skprune\[encoders\]'"),
        ("transformers", "QualityScorer('x')(['a'])", r"pip install 'skprune\[llm\]'"),
    ],
)
def test_a_missing_extra_is_named(hidden, code, message):
    script = f"import sys; sys.modules[{hidden!r}] = None; from skprune import *; {code}"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode != 0
    assert re.search(message, run.stderr.strip().splitlines()[-1]), run.stderr
