"""rethreshold changes the size without asking any model; the summary of a fitted filter never asks one."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

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
)
from skprune.base import BaseFilter
from tests.contract.test_contract import FILTERS, TEXTS, quality_of

pytestmark = pytest.mark.filterwarnings("ignore:.* entropy is concentrated")


class Counting:
    """A model that counts the texts that it is given."""

    def __init__(self, compute):
        self.compute = compute
        self.n_texts = 0

    def __call__(self, texts):
        self.n_texts += len(texts)
        return self.compute(texts)


def lengths(texts):
    return np.array([len(text) + sum(map(ord, text)) % 13 / 13 for text in texts])


def vectors(texts):
    return np.array([[len(text), text.count("o"), sum(map(ord, text)) % 31] for text in texts], dtype=float)


def models():
    encoder, perplexity, quality = Counting(vectors), Counting(lengths), Counting(quality_of)
    return [
        (PerplexityFilter(perplexity=perplexity, random_state=0), [perplexity]),
        (AskLLMFilter(quality=quality, random_state=0), [quality]),
        (ActivePruneFilter(perplexity=perplexity, quality=quality, random_state=0), [perplexity, quality]),
        (
            ActivePruneFilter(
                perplexity=perplexity, quality=quality, candidates="random", n_candidates=0.3, random_state=0
            ),
            [perplexity, quality],
        ),
        (KMeansFilter(encoder=encoder, random_state=0), [encoder]),
        (AnchorFilter(encoder=encoder, random_state=0), [encoder]),
        (SEALSFilter(encoder=encoder, random_state=0), [encoder]),
        (SemiPruneFilter(encoder=encoder, n_epochs=2, holdout=0, random_state=0), [encoder]),
        (EntropyIntervalFilter(information=perplexity, combine="information", random_state=0), [perplexity]),
    ]


LABELS = [0, 1] * 10 + [-1] * (len(TEXTS) - 20)


@pytest.mark.parametrize("keep", [5, 0.1, 0.6, 1.0])
@pytest.mark.parametrize("number", range(len(models())))
def test_no_model_is_asked_and_the_size_is_exact(number, keep):
    pruner, asked = models()[number]
    pruner.fit(TEXTS, LABELS)
    before = [model.n_texts for model in asked]
    assert sum(before) > 0
    kept = pruner.rethreshold(keep).select(TEXTS)
    pruner.explain()
    pruner._repr_html_()
    assert [model.n_texts for model in asked] == before
    assert len(kept) == (keep if isinstance(keep, int) else round(keep * 100))


def has_size(name):
    return "keep" in FILTERS[name].get_params(deep=False) and not name.startswith("active prune")


@pytest.mark.parametrize("name", list(filter(has_size, FILTERS)))
def test_the_selection_is_that_of_a_filter_fitted_with_the_size(name):
    pruner = clone(FILTERS[name]).fit(TEXTS, LABELS)
    fresh = clone(FILTERS[name]).set_params(keep=17).fit(TEXTS, LABELS)
    assert pruner.rethreshold(17).select(TEXTS).tolist() == fresh.select(TEXTS).tolist()


def test_active_prune_fills_up_by_perplexity_where_its_llm_was_not_asked():
    quality = Counting(quality_of)
    pruner = ActivePruneFilter(
        keep=0.1, quality=quality, candidates="random", n_candidates=0.3, random_state=0
    )
    pruner.fit(TEXTS)
    n_asked = quality.n_texts
    pruner.rethreshold(0.9)
    explained = pruner.explain()
    assert explained["kept"].sum() == round(0.9 * len(TEXTS))
    assert explained["quality"].notna().sum() <= n_asked == quality.n_texts
    # With new labels the LLM is asked again.
    pruner.partial_fit(TEXTS[:5], [0, 1, 0, 1, 0])
    assert quality.n_texts > n_asked
    assert len(pruner.select(TEXTS)) == round(0.9 * (len(TEXTS) - 5))


def test_a_new_fit_asks_again():
    quality = Counting(quality_of)
    pruner = ActivePruneFilter(keep=0.1, quality=quality, random_state=0).fit(TEXTS)
    pruner.rethreshold(0.5).fit([text + "!" for text in TEXTS])
    assert quality.n_texts == 24


def test_a_wrong_size_leaves_the_filter_as_it_was():
    pruner = PerplexityFilter(keep=0.25, random_state=0).fit(TEXTS)
    expected = pruner.select(TEXTS).tolist()
    for keep in (0, 1.5, "many", True, len(TEXTS) + 1):
        with pytest.raises(ValueError, match="keep"):
            pruner.rethreshold(keep)
        assert pruner.keep == 0.25
    assert pruner.select(TEXTS).tolist() == expected
    with pytest.raises(NotFittedError):
        RandomFilter().rethreshold(3)


def test_a_filter_without_a_size_says_so():
    class Everything(BaseFilter):
        def _fit(self, pool):
            pass

        def _select(self, pool, eligible, min_rows):
            raise NotImplementedError

    with pytest.raises(TypeError, match="Everything has no parameter keep"):
        Everything().fit(TEXTS).rethreshold(3)


def test_the_new_size_survives_a_pickle():
    pruner = ActivePruneFilter(keep=0.1, quality=quality_of, random_state=0).fit(TEXTS).rethreshold(0.5)
    loaded = pickle.loads(pickle.dumps(pruner))
    assert loaded.select(TEXTS).tolist() == pruner.select(TEXTS).tolist()


# ---------------------------------------------------------------- summary in notebooks


def test_a_fitted_filter_shows_a_summary_below_the_diagram():
    pruner = PerplexityFilter(keep=2, perplexity=lambda texts: [len(t) for t in texts])
    bare = pruner._repr_html_()
    assert "<p>Keeps" not in bare
    pruner.fit(["a", "bb", "ccc", "dddd"], [0, -1, -1, -1])
    for html in (pruner._repr_html_(), pruner._repr_mimebundle_()["text/html"]):
        assert html.count("<p>Keeps 2 of 4 rows. 1 rows have a label. Threshold: 3.</p>") == 1
        assert "sk-estimator" in html or "sk-top-container" in html


def test_the_summary_follows_the_display_option_of_scikit_learn():
    pruner = RandomFilter(random_state=0).fit(TEXTS)
    with sklearn.config_context(display="text"):
        assert "text/html" not in pruner._repr_mimebundle_()
        assert not hasattr(pruner, "_repr_html_")


def test_the_summary_never_raises():
    pruner = RandomFilter(random_state=0).fit(["a", "b"]).partial_fit(["a", "b"], [0, 1])
    assert "<p>Fitted on 2 rows.</p>" in pruner._repr_html_()
    pruner = RandomFilter(random_state=0).fit(TEXTS).set_params(keep=-1)
    assert f"<p>Fitted on {len(TEXTS)} rows.</p>" in pruner._repr_html_()


def test_the_summary_asks_no_model_after_set_params():
    quality = Counting(quality_of)
    pruner = ActivePruneFilter(keep=0.1, quality=quality, random_state=0).fit(TEXTS)
    n_asked = quality.n_texts
    pruner.set_params(n_candidates=0.9)._repr_html_()
    assert quality.n_texts == n_asked
