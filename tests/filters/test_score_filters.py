"""PerplexityFilter and AskLLMFilter: the best of one score of the whole pool."""

from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skprune import AskLLMFilter, NGramScorer, PerplexityFilter

CORPUS = (Path(__file__).parents[1] / "data" / "toy_corpus.txt").read_text(encoding="utf-8").splitlines()
TEXTS = [f"row {i} {'x' * (i * 37 % 101 + 1)}" for i in range(100)]


class Length:
    """Counts letters, and keeps what it was asked."""

    def __init__(self):
        self.fingerprint = f"length {uuid4().hex}"
        self.asked = []

    def __call__(self, texts):
        self.asked += list(texts)
        return np.array([float(len(t)) for t in texts])


def make(kind, scorer, keep, **params):
    if kind == "perplexity":
        return PerplexityFilter(keep, perplexity=scorer, random_state=0, **params)
    return AskLLMFilter(keep, quality=scorer, random_state=0, **params)


@pytest.mark.parametrize("kind", ["perplexity", "quality"])
@pytest.mark.parametrize("keep", [1, 13, 0.25, 1.0])
def test_the_best_rows_are_kept_best_first(kind, keep):
    by_length = sorted(range(100), key=lambda i: len(TEXTS[i]) * (1 if kind == "perplexity" else -1))
    n = keep if isinstance(keep, int) else int(keep * 100)
    kept = make(kind, Length(), keep).fit(TEXTS).select(TEXTS)
    lengths = [len(TEXTS[i]) for i in kept]
    assert lengths == [len(TEXTS[i]) for i in by_length[:n]]
    assert len(set(kept)) == n


@pytest.mark.parametrize("kind", ["perplexity", "quality"])
def test_each_distinct_text_is_scored_once_and_blank_ones_never(kind, tmp_path):
    scorer = Length()
    pool = [*TEXTS, *TEXTS[:20], "", "   ", "\n"]
    pruner = make(kind, scorer, 0.5, memory=tmp_path).fit(pool)
    pruner.select(pool)
    pruner.partial_fit(TEXTS[:3], [0, 1, 0]).select(pool[::-1])
    assert sorted(scorer.asked) == sorted(TEXTS)
    pruner.select([*pool, "a stranger", " \t"])
    assert sorted(scorer.asked) == sorted([*TEXTS, "a stranger"])
    if kind == "quality":
        assert pruner.n_llm_calls_ == 101
    make(kind, scorer, 3, memory=tmp_path).fit(TEXTS)
    assert len(scorer.asked) == 101


@pytest.mark.parametrize("kind", ["perplexity", "quality"])
def test_empty_texts_come_last(kind):
    pool = ["", "some text", " ", "another text"]
    with pytest.raises(ValueError, match=r"keep=3 exceeds the 2 different rows.*blank texts do not count"):
        make(kind, Length(), 3).fit(pool)
    pruner = make(kind, Length(), 2).fit(pool)
    assert set(pruner.select(pool)) == {1, 3}
    why = pruner.explain()
    assert set(why["reason"][[0, 2]]) == {"empty"}


def test_equal_scores_are_drawn_by_the_seed():
    def same(texts):
        return np.zeros(len(texts))

    pruner = PerplexityFilter(20, perplexity=same)
    picks = [set(clone(pruner).set_params(random_state=s).fit(TEXTS).select(TEXTS)) for s in (0, 0, 1)]
    assert picks[0] == picks[1] != picks[2]


def test_by_default_an_n_gram_model_is_trained_on_the_pool():
    pruner = PerplexityFilter(20).fit(CORPUS)
    expected = NGramScorer().fit(CORPUS)(CORPUS)
    kept = pruner.select(CORPUS)
    assert np.allclose(pruner.log_perplexity_[pruner._table.row_of], expected)
    assert expected[kept].max() <= np.delete(expected, kept).min()


def test_texts_are_kept_before_their_words_in_random_order():
    rng = np.random.default_rng(0)
    pool = CORPUS + [" ".join(rng.permutation(text.split())) for text in CORPUS]
    pruner = PerplexityFilter(0.5, perplexity=FrozenEstimator(NGramScorer().fit(CORPUS))).fit(pool)
    assert (pruner.select(pool) < len(CORPUS)).mean() > 0.9


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match=r"nothing\.arpa"):
        PerplexityFilter(perplexity=tmp_path / "nothing.arpa").fit(TEXTS)
    with pytest.raises(ValueError, match="'quality' parameter"):
        AskLLMFilter(quality=None).fit(TEXTS)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="quality returned no finite value"):
        AskLLMFilter(quality=lambda texts: np.full(len(texts), np.nan)).fit(TEXTS)
