"""Metrics compared with brute force, scikit-learn, sacrebleu and rouge-score."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from skprune.metrics import (
    budget_matched,
    diversity,
    learning_curve_auc,
    minority_f1,
    minority_found,
    minority_share,
    rouge_l,
    sacrebleu,
    sacrebleu_signature,
)
from skprune.neighbors import ExactNeighbors

numbers = st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=1, max_size=20)
labels = st.lists(st.sampled_from("abcd"), min_size=1, max_size=30)

REFERENCES = [
    "The cat sat on the mat.",
    "There is a guide to the settings of the program.",
    "It was not the best of times!",
]
HYPOTHESES = [
    "The cat is sitting on the mat.",
    "There is a guide about settings of the program.",
    "It was the best of times!",
]


def f1_by_hand(y_true: list, y_pred: list, label: object) -> float:
    hits = sum(t == p == label for t, p in zip(y_true, y_pred, strict=True))
    misses = sum((t == label) != (p == label) for t, p in zip(y_true, y_pred, strict=True))
    return 2 * hits / (2 * hits + misses) if hits else 0.0


@given(y=labels, seed=st.integers(0, 99))
def test_minority_f1_is_the_mean_over_the_minority_classes(y: list[str], seed: int) -> None:
    guess = np.random.default_rng(seed).choice(list("abcd"), len(y)).tolist()
    assert minority_f1(y, guess, "b") == pytest.approx(f1_by_hand(y, guess, "b"))
    expected = np.mean([f1_by_hand(y, guess, label) for label in "bd"])
    assert minority_f1(y, guess, ["b", "d"]) == pytest.approx(expected)


def test_minority_f1_takes_sample_weights() -> None:
    y, guess = [0, 1, 1, 0], [0, 1, 0, 1]
    doubled = minority_f1([*y, 1], [*guess, 1], 1)
    assert minority_f1(y, guess, 1, sample_weight=[1, 2, 1, 1]) == pytest.approx(doubled)


@given(scores=numbers)
def test_auc_follows_the_trapezoid_rule(scores: list[float]) -> None:
    assert learning_curve_auc(scores) == pytest.approx(np.trapezoid(scores), abs=1e-9)
    x = np.cumsum(np.arange(1, len(scores) + 1))
    assert learning_curve_auc(scores, x) == pytest.approx(np.trapezoid(scores, x), abs=1e-9)


def test_normalized_auc_is_the_mean_height_of_the_curve() -> None:
    assert learning_curve_auc([0.7] * 4, [10, 20, 50, 60], normalize=True) == pytest.approx(0.7)
    assert learning_curve_auc([0.3], normalize=True) == 0.3
    assert learning_curve_auc([0.3]) == 0.0
    # A perfect model in AnchorAL's 144 rounds of 25 labels each.
    assert learning_curve_auc([1.0] * 145) == 144.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "scores"),
        (([0.1, np.nan],), r"scores\[1\] is nan"),
        (([0.1, 0.2], [1, 1]), "increasing"),
        (([0.1, 0.2], [1]), "inconsistent"),
    ],
)
def test_bad_arguments_of_auc_are_named(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learning_curve_auc(*arguments)


def test_budget_matched_cuts_curves_to_the_shortest() -> None:
    curves = [np.arange(12.0).reshape(6, 2), [[9.0, 9.0]] * 4]
    long, short = budget_matched(curves)
    assert long.tolist() == curves[0][:4].tolist()
    assert short.tolist() == curves[1]
    with pytest.raises(ValueError, match="curves"):
        budget_matched([])


@given(y=labels)
def test_minority_rows_are_counted_in_order(y: list[str]) -> None:
    found = minority_found(y, ["a", "c"])
    assert found.tolist() == [sum(label in "ac" for label in y[: i + 1]) for i in range(len(y))]
    assert minority_found(y, ["a", "c"], n_minority=40)[-1] == pytest.approx(found[-1] / 40)
    assert minority_share(y, ["a", "c"]) == pytest.approx(found[-1] / len(y))


def test_the_share_of_no_labels_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one label"):
        minority_share([], 1)


@given(u=numbers, b=numbers)
def test_diversity_of_numbers_equals_brute_force(u: list[float], b: list[float]) -> None:
    mean = np.mean([min(abs(x - y) for y in b) for x in u])
    assert diversity(u, b) == pytest.approx(1 / mean if mean > 0 else np.inf)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_diversity_of_vectors_equals_brute_force_and_the_index(container: type) -> None:
    rng = np.random.default_rng(0)
    u, b = rng.normal(size=(300, 5)), rng.normal(size=(20, 5))
    expected = 1 / cdist(u, b, "cosine").min(axis=1).mean()
    assert diversity(container(u), container(b)) == pytest.approx(expected)
    nearest = [similarity[0] for _, similarity in ExactNeighbors(container(b)).query(container(u), k=1)]
    assert diversity(container(u), container(b)) == pytest.approx(1 / np.mean(1 - np.array(nearest)))


def test_diversity_is_the_same_in_single_precision() -> None:
    rng = np.random.default_rng(0)
    u, b = rng.normal(size=(300, 50)).astype(np.float32), rng.normal(size=(20, 50)).astype(np.float32)
    assert diversity(u, b) == pytest.approx(diversity(u.astype(float), b.astype(float)), rel=1e-5)


def test_a_batch_that_is_spread_out_is_more_diverse() -> None:
    pool = np.linspace(0, 1, 101)
    assert diversity(pool, [0.1, 0.5, 0.9]) > diversity(pool, [0.45, 0.5, 0.55])
    assert diversity([1.0, 2.0], [2.0, 1.0]) == np.inf


def test_diversity_refuses_the_perplexity_of_a_blank_text() -> None:
    with pytest.raises(ValueError, match=r"unlabeled\[1\] is inf"):
        diversity([1.0, np.inf], [1.0])
    with pytest.raises(ValueError, match="batch"):
        diversity([1.0], [])


def test_sacrebleu_equals_the_package() -> None:
    package = pytest.importorskip("sacrebleu")
    expected = package.corpus_bleu(HYPOTHESES, [REFERENCES]).score
    assert 0 < expected < 100
    assert sacrebleu(REFERENCES, HYPOTHESES) == expected
    assert sacrebleu(np.array(REFERENCES, dtype=object), np.array(HYPOTHESES)) == expected
    assert sacrebleu(REFERENCES, REFERENCES) == pytest.approx(100)


def test_sacrebleu_takes_several_references() -> None:
    package = pytest.importorskip("sacrebleu")
    others = ["A cat sat there.", "There is a guide about the program.", "It was the worst of times!"]
    expected = package.corpus_bleu(HYPOTHESES, [REFERENCES, others]).score
    pairs = list(zip(REFERENCES, others, strict=True))
    assert sacrebleu(pairs, HYPOTHESES) == expected > sacrebleu(REFERENCES, HYPOTHESES)
    with pytest.raises(ValueError, match="the same number for each"):
        sacrebleu([REFERENCES[:2], REFERENCES[:1], REFERENCES[:1]], HYPOTHESES)


def test_the_signature_describes_how_bleu_was_computed() -> None:
    package = pytest.importorskip("sacrebleu")
    signature = f"case:mixed|eff:no|tok:13a|smooth:exp|version:{package.__version__}"
    assert sacrebleu_signature() == f"nrefs:1|{signature}"
    assert sacrebleu_signature(2) == f"nrefs:2|{signature}"


@pytest.mark.parametrize("use_stemmer", [True, False])
def test_rouge_l_is_the_mean_of_the_package_s_scores(use_stemmer: bool) -> None:
    package = pytest.importorskip("rouge_score.rouge_scorer")
    scorer = package.RougeScorer(["rougeL"], use_stemmer=use_stemmer)
    pairs = zip(REFERENCES, HYPOTHESES, strict=True)
    expected = np.mean([scorer.score(*pair)["rougeL"].fmeasure for pair in pairs])
    assert rouge_l(REFERENCES, HYPOTHESES, use_stemmer=use_stemmer) == pytest.approx(expected)


def test_rouge_l_by_hand() -> None:
    pytest.importorskip("rouge_score")
    # a subsequence of three words out of five and four: P = 3/4, R = 3/5
    assert rouge_l(["one two three four five"], ["two one four five"]) == pytest.approx(2 / 3)
    # the stems of "settings" and "setting" are equal
    assert rouge_l(["settings"], ["setting"]) == 1.0
    assert rouge_l(["settings"], ["setting"], use_stemmer=False) == 0.0


@pytest.mark.parametrize("metric", [sacrebleu, rouge_l])
def test_lengths_are_checked(metric: object) -> None:
    with pytest.raises(ValueError, match="got 2 and 1"):
        metric(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="not be empty"):
        metric([], [])


@pytest.mark.parametrize(("metric", "package"), [(sacrebleu, "sacrebleu"), (rouge_l, "rouge_score")])
def test_a_missing_package_names_its_extra(
    metric: object, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"skprune\[generation\]"):
        metric(["a"], ["a"])


def test_copies_of_all_rows_are_infinitely_diverse():
    U = np.random.default_rng(0).normal(size=(50, 8))
    assert diversity(U, U.copy()) == diversity(U.astype(np.float32), U.astype(np.float32)) == np.inf


def test_minority_classes_may_be_a_set():
    assert minority_share(["a", "b", "a"], {"a"}) == minority_share(["a", "b", "a"], ["a"]) == 2 / 3
