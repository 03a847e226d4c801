"""What every filter promises, whatever its method."""

import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import skprune
from skprune import ActivePruneFilter, AnchorFilter, EntropyIntervalFilter, RandomFilter
from skprune.exceptions import EmptyPoolError, PoolExhaustedError

RNG = np.random.default_rng(0)
WORDS = np.array(["red", "green", "blue", "fox", "dog", "sea", "sky", "runs", "sees", "the", "a", "old"])
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(3, 9))) + f" n{i}" for i in range(120)]
TEXTS += TEXTS[:20]
Y = np.where(np.arange(140) % 9 == 0, np.arange(140) % 2, -1)


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
    "entropy interval": EntropyIntervalFilter(keep=0.25, random_state=0),
}


@pytest.fixture(params=FILTERS)
def pruner(request):
    return clone(FILTERS[request.param])


def contents(rows):
    return sorted(np.ravel(np.asarray(rows, dtype=object)).tolist())


def test_select_gives_unique_rows_and_transform_the_same_in_order(pruner):
    pruner.fit(TEXTS, Y)
    kept = pruner.select(TEXTS)
    assert len(set(kept)) == len(kept) > 0
    assert kept.dtype.kind == "i"
    assert pruner.transform(TEXTS) == [TEXTS[i] for i in sorted(kept)]
    assert pruner.get_support(indices=True).tolist() == sorted(kept)
    assert np.flatnonzero(pruner.get_support()).tolist() == sorted(kept)
    assert clone(pruner).fit_transform(TEXTS, Y) == pruner.transform(TEXTS)


@pytest.mark.parametrize(
    "container",
    [
        tuple,
        np.array,
        lambda t: np.array(t, dtype=object),
        lambda t: pd.Series(t, index=RNG.permutation(len(t))),
        lambda t: pd.DataFrame({"text": t, "n": range(len(t))}),
    ],
    ids=["tuple", "U array", "object array", "Series", "DataFrame"],
)
def test_every_container_gives_the_same_rows(pruner, container):
    expected = clone(pruner).fit_transform(TEXTS, Y)
    X = container(TEXTS)
    kept = pruner.fit(X, Y).transform(X)
    assert type(kept) is type(X)
    assert list(kept["text"] if isinstance(X, pd.DataFrame) else kept) == expected


def test_labelled_rows_and_their_copies_are_passed_over(pruner):
    pruner.fit(TEXTS, Y)
    labelled = {t for t, y in zip(TEXTS, Y, strict=True) if y != -1}
    assert not labelled & {TEXTS[i] for i in pruner.select(TEXTS)}
    fresh = [TEXTS[i] for i in pruner.select(TEXTS)[:3]]
    pruner.partial_fit(fresh, [0, 1, 0])
    assert not set(fresh) & {TEXTS[i] for i in pruner.select(TEXTS)}
    why = pruner.explain()
    assert (why["reason"] == "already labelled").sum() == sum(t in labelled | set(fresh) for t in TEXTS)


def test_a_set_with_every_label_is_pruned_itself(pruner):
    y = np.arange(140) % 2
    kept = pruner.fit(TEXTS, y).select(TEXTS)
    assert 0 < len(kept) < 140


def test_a_shrunken_shuffled_pool_is_recognised(pruner):
    pruner.fit(TEXTS, Y)
    order = np.random.default_rng(1).permutation(140)
    shuffled = [TEXTS[i] for i in order]
    assert contents([shuffled[i] for i in pruner.select(shuffled)]) == contents(
        [TEXTS[i] for i in pruner.select(TEXTS)]
    )
    rest = shuffled[:70]
    kept = pruner.select(rest)
    assert len(set(kept)) == len(kept)
    assert kept.max() < 70


def test_unseen_rows_take_part(pruner):
    pruner.fit(TEXTS[:60], Y[:60])
    kept = pruner.select(TEXTS)
    assert len(set(kept)) == len(kept)
    assert pruner.select(["entirely new"]).tolist() == [0]
    assert len(pruner.explain(TEXTS)) == 140


def test_same_seed_same_picks_other_seed_other_picks(pruner):
    first = clone(pruner).fit(TEXTS, Y).select(TEXTS)
    assert first.tolist() == clone(pruner).fit(TEXTS, Y).select(TEXTS).tolist()
    # Few labels, so that every one is an anchor; no randomness but in ties.
    if not isinstance(pruner, (AnchorFilter, EntropyIntervalFilter)):
        other = clone(pruner).set_params(random_state=1).fit(TEXTS, Y).select(TEXTS)
        if getattr(pruner, "reweighting", "sample") == "sample":
            assert set(first) != set(other)


def test_rounds_have_streams_of_their_own():
    for name in ("random", "active prune"):
        pruner = clone(FILTERS[name]).fit(TEXTS)
        before = pruner.select(TEXTS)
        pruner.partial_fit(["a stranger"], [0])
        assert set(before) != set(pruner.select(TEXTS))


def test_select_is_pure_in_any_thread(pruner):
    pruner.fit(TEXTS, Y)
    pools = [TEXTS, TEXTS[::-1], TEXTS[:50], [*TEXTS, "new"]] * 6
    alone = [pruner.select(p).tolist() for p in pools]
    with ThreadPoolExecutor(6) as threads:
        assert [kept.tolist() for kept in threads.map(pruner.select, pools)] == alone


def test_refitting_forgets(pruner):
    once = clone(pruner).fit(TEXTS, Y).select(TEXTS).tolist()
    pruner.fit(TEXTS[::-1]).partial_fit(TEXTS[:30], np.arange(30) % 2)
    assert pruner.fit(TEXTS, Y).select(TEXTS).tolist() == once
    assert pruner.round_ == 0


def test_a_pickle_goes_on_alike(pruner):
    pruner.fit(TEXTS, Y).partial_fit(TEXTS[1:4], [0, 1, 1])
    again = pickle.loads(pickle.dumps(pruner))
    for p in (pruner, again):
        p.partial_fit(TEXTS[5:8], [0, 1, 1])
    assert again.select(TEXTS).tolist() == pruner.select(TEXTS).tolist()
    assert (again.explain()["kept"] == pruner.explain()["kept"]).all()


def test_explain_has_one_row_a_row_and_agrees_with_select(pruner):
    frame = pd.DataFrame({"text": TEXTS}, index=[f"row{i}" for i in range(140)])
    pruner.fit(frame, Y)
    why = pruner.explain()
    assert list(why.index) == list(frame.index)
    assert {"kept", "rank", "stage", "threshold", "reason"} <= set(why)
    kept = pruner.select(frame)
    assert np.flatnonzero(why["kept"]).tolist() == sorted(kept)
    assert why["rank"].to_numpy()[kept].tolist() == list(range(len(kept)))
    assert (why["reason"].str.len() > 0).all()
    assert why["reason"][why["kept"]].str.startswith("kept").all()
    assert not why["reason"][~why["kept"]].str.startswith("kept").any()


def test_a_query_never_gets_too_few(pruner):
    pruner.fit(TEXTS, Y)
    free = int(sum(t not in {u for u, y in zip(TEXTS, Y, strict=True) if y != -1} for t in TEXTS))
    for n in (1, 60, free, 10_000):
        assert len(pruner.select(TEXTS, min_rows=n)) >= min(n, free)


def test_parameters_are_untouched_by_fit(pruner):
    before = {k: id(v) for k, v in pruner.get_params(deep=False).items()}
    pruner.fit(TEXTS, Y)
    assert {k: id(v) for k, v in pruner.get_params(deep=False).items()} == before
    assert not hasattr(clone(pruner), "pool_")


def test_bad_input_is_refused_before_work(pruner):
    with pytest.raises(EmptyPoolError, match="X has no rows"):
        pruner.fit([])
    with pytest.raises(ValueError, match="y has 2 labels for 140 rows"):
        pruner.fit(TEXTS, [0, 1])
    with pytest.raises(ValueError, match=r"X\[1\] is None"):
        pruner.fit(["a", None])
    with pytest.raises(TypeError, match=r"X\[1\] is bytes"):
        pruner.fit(["a", b"b"])
    with pytest.raises(ValueError, match=r"X\[0\] holds a lone surrogate"):
        pruner.fit(["\udc80"])
    with pytest.raises(NotFittedError):
        pruner.select(TEXTS)
    assert not hasattr(pruner, "pool_")


def test_bad_rounds_are_refused_and_change_nothing(pruner):
    pruner.fit(TEXTS, Y)
    before = pruner.select(TEXTS).tolist()
    for X, y, message in [
        (["a"], [-1], r"partial_fit takes labelled rows only: y\[0\] is -1"),
        (["a", "b"], [0], "y has 1 labels for 2 rows"),
        (["a", float("nan")], [0, 1], r"X\[1\] is NaN"),
        ([], [], "X has no rows"),
    ]:
        with pytest.raises(ValueError, match=message):
            pruner.partial_fit(X, y)
    with pytest.raises(EmptyPoolError):
        pruner.select([])
    with pytest.raises(ValueError, match=r"X\[0\] is None"):
        pruner.select([None])
    assert pruner.round_ == 0
    assert pruner.select(TEXTS).tolist() == before


def test_one_class_and_single_rows_of_a_class_are_fine(pruner):
    y = np.full(140, -1)
    y[[0, 30]] = 1
    assert len(pruner.fit(TEXTS, y).select(TEXTS))
    y[40] = 0
    assert len(clone(pruner).fit(TEXTS, y).select(TEXTS))


def test_when_all_is_labelled_the_pool_is_exhausted(pruner):
    pruner.fit(TEXTS).partial_fit(TEXTS, np.arange(140) % 2)
    with pytest.raises(PoolExhaustedError, match="all 140 rows of X are labelled already"):
        pruner.select(TEXTS)
    assert pruner.select(["something new", *TEXTS]).tolist() == [0]


def test_an_unfitted_partial_fit_is_a_fit(pruner):
    y = np.arange(140) % 2
    assert (
        pruner.partial_fit(TEXTS, y).select(TEXTS).tolist()
        == clone(pruner).fit(TEXTS, y).select(TEXTS).tolist()
    )


NUMERIC = [RandomFilter(keep=0.25, random_state=0), AnchorFilter(3, 8, 30, random_state=0)]


@pytest.mark.parametrize("pruner", NUMERIC, ids=["random", "anchor"])
def test_numeric_pools(pruner):
    X = np.random.default_rng(0).normal(size=(140, 5)).round(3)
    expected = clone(pruner).fit(X, Y).select(X)
    for other in (sp.csr_array(X), pd.DataFrame(X, columns=list("abcde"))):
        p = clone(pruner).fit(other, Y)
        assert p.n_features_in_ == 5
        kept = p.select(other)
        assert len(set(kept)) == len(kept) == len(expected)
        # A sparse row has a hash of its own, so that its random draw differs from a dense one's.
        assert kept.tolist() == expected.tolist() or (sp.issparse(other) and isinstance(p, RandomFilter))
    assert p.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names should match"):
        p.select(other.rename(columns={"a": "z"}))
    fitted = clone(pruner).fit(X, Y)
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 5"):
        fitted.select(X[:, :3])
    with pytest.raises(ValueError, match="both be texts or both be numeric"):
        fitted.select(TEXTS)
    with pytest.raises(ValueError, match=r"contains NaN \(first in row 2\)"):
        fitted.fit(np.where(np.arange(140)[:, None] == 2, np.nan, X))


def test_importing_skprune_loads_nothing_heavy():
    script = (
        "import sys, skprune; dir(skprune);"
        "print([m for m in ('torch', 'transformers', 'pandas', 'sklearn', 'kenlm') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        skprune.Nothing  # noqa: B018


@pytest.mark.parametrize(
    ("hidden", "code", "message"),
    [
        ("kenlm", "NGramScorer(order=2).fit(['a b'])(['a'])", r"pip install 'skprune\[ngram\]'"),
        (
            "hnswlib",
            "AnchorFilter(index='hnsw').fit(['a b', 'b c', 'c d'])",
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
