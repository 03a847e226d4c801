"""estimate_cost counts what fit asks for, and what it asks now, fit need not ask again."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skprune import (
    ActivePruneFilter,
    AnchorFilter,
    AskLLMFilter,
    FilterChain,
    NGramScorer,
    PerplexityFilter,
    QualityScorer,
)
from tests.contract.test_contract import FILTERS, TEXTS, quality_of
from tests.contract.test_rethreshold import Counting, lengths, vectors
from tests.tiny_models import save_tiny_gpt2

POOL = [*TEXTS, *TEXTS[:30], "  "]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda model: PerplexityFilter(perplexity=model), {"perplexity": 120}),
        (lambda model: AskLLMFilter(quality=model), {"quality": 120}),
        (lambda model: ActivePruneFilter(quality=model), {"quality": 10}),
        (lambda model: ActivePruneFilter(quality=model, n_candidates=30, llm_budget=7), {"quality": 7}),
        (lambda model: ActivePruneFilter(quality=model, llm_share=0.0), {}),
        (lambda model: AnchorFilter(encoder=Counting(vectors)), {"encoder": 121}),
        (lambda model: PerplexityFilter(), {}),
    ],
)
def test_the_calls_are_those_that_fit_makes(make, expected):
    labels = [0, 1] * 10 + [-1] * (len(POOL) - 20)
    pruner = make(Counting(quality_of)).set_params(random_state=0)
    cost = pruner.estimate_cost(POOL, labels, n_probe=0)
    assert cost["calls"].to_dict() == expected
    assert (cost["probed"] == 0).all()
    assert cost.loc[cost["calls"] > 0, ["seconds", "memory"]].isna().all(axis=None)
    pruner.fit(POOL, labels)
    for name, n_calls in expected.items():
        assert getattr(pruner, name).n_texts == n_calls


@pytest.mark.parametrize(
    "name", [n for n in FILTERS if not n.startswith(("active", "ask", "entropy", "chain in"))]
)
def test_filters_without_a_model_have_no_rows_and_are_not_fitted(name):
    pruner = clone(FILTERS[name])
    cost = pruner.estimate_cost(POOL)
    assert cost.empty
    assert cost["calls"].sum() == 0
    assert not hasattr(pruner, "pool_")


@pytest.mark.parametrize("memory", [None, "folder"])
def test_the_probe_is_not_computed_again(memory, tmp_path):
    model = Counting(quality_of)
    model.fingerprint = f"counting {tmp_path}"
    pruner = AskLLMFilter(quality=model, memory=None if memory is None else tmp_path / memory, random_state=0)
    cost = pruner.estimate_cost(POOL, n_probe=40)
    assert cost.loc["quality", ["texts", "stored", "calls", "probed"]].tolist() == [120, 0, 120, 40]
    assert model.n_texts == 40
    again = pruner.estimate_cost(POOL, n_probe=0)
    assert again.loc["quality", ["texts", "stored", "calls"]].tolist() == [120, 40, 80]
    pruner.fit(POOL)
    assert model.n_texts == 120


def test_the_probe_does_not_depend_on_the_order_of_the_pool():
    asked = []
    for pool in (TEXTS, TEXTS[::-1]):
        texts = []
        AskLLMFilter(quality=lambda rows, texts=texts: texts.extend(rows) or quality_of(rows)).estimate_cost(
            pool, n_probe=10
        )
        asked.append(sorted(texts))
    assert asked[0] == asked[1]
    assert len(asked[0]) == 10


def test_seconds_are_extrapolated_by_length_and_loading_counts_once():
    class Slow:
        loaded = False

        def __call__(self, texts):
            time.sleep(0.0 if self.loaded else 0.2)
            self.loaded = True
            time.sleep(2e-5 * sum(map(len, texts)))
            return [float(len(text)) for text in texts]

    rng = np.random.default_rng(0)
    pool = [f"{i} " + "x" * int(rng.integers(1, 200)) for i in range(400)]
    estimated = AskLLMFilter(quality=Slow()).estimate_cost(pool, n_probe=100).loc["quality", "seconds"]
    assert estimated == pytest.approx(0.2 + 2e-5 * sum(map(len, pool)), rel=0.25)


def test_a_frozen_scorer_is_a_model():
    frozen = FrozenEstimator(NGramScorer().fit(TEXTS))
    assert PerplexityFilter(perplexity=frozen).estimate_cost(POOL, n_probe=0).index.tolist() == ["perplexity"]


def test_an_llm_counts_its_tokens(tmp_path):
    model = save_tiny_gpt2(tmp_path / "model", n_positions=1024, words=("yes", "no"))
    scorer = QualityScorer(model, max_length=64)
    cost = AskLLMFilter(quality=scorer).estimate_cost(TEXTS[:12], n_probe=6)
    n_sampled = scorer.n_tokens_
    assert scorer.n_calls_ == 6
    # The six texts that are left cost as much as the five that were probed together.
    scorer(TEXTS[:6])
    n_tokens = scorer.n_tokens_ - n_sampled
    assert cost.loc["quality", "tokens"] == pytest.approx(n_sampled + n_tokens, rel=0.2)
    assert cost.loc["quality", "memory"] > 2**27


def test_wrong_input_is_refused_before_a_model_is_asked():
    model = Counting(lengths)
    with pytest.raises(ValueError, match="keep=500 exceeds"):
        AskLLMFilter(keep=500, quality=model).estimate_cost(POOL)
    with pytest.raises(ValueError, match="n_probe == -1"):
        AskLLMFilter(quality=model).estimate_cost(POOL, n_probe=-1)
    with pytest.raises(TypeError, match="reads texts, got numeric rows"):
        AskLLMFilter(quality=model).estimate_cost(np.ones((4, 2)))
    assert model.n_texts == 0


def test_nested_models_are_named_by_their_parameters_and_counted():
    first, second = Counting(quality_of), Counting(lengths)
    chain = FilterChain(
        [("good", AskLLMFilter(quality=first)), ("plain", PerplexityFilter(perplexity=second, keep=0.5))]
    ).set_params(good__random_state=0, plain__random_state=0)
    cost = chain.estimate_cost(TEXTS, n_probe=0)
    assert cost["calls"].to_dict() == {"good__quality": 120, "plain__perplexity": 120}
    chain.fit(TEXTS)
    good, plain = chain.filters_["good"].quality, chain.filters_["plain"].perplexity  # copies
    assert (good.n_texts, plain.n_texts) == (120, 30)  # the second estimate is an upper bound
    assert "<p>Fitted on 120 rows.</p>" in chain._repr_html_()
    assert good.n_texts == 120
