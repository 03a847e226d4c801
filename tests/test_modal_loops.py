"""Loops with every strategy of modAL in a PrunedQuery: the picked rows are the rows at the indices."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from modAL.disagreement import (
    KL_max_disagreement,
    consensus_entropy,
    consensus_entropy_sampling,
    max_disagreement_sampling,
    vote_entropy,
    vote_entropy_sampling,
)
from modAL.uncertainty import (
    classifier_entropy,
    classifier_margin,
    classifier_uncertainty,
    entropy_sampling,
    margin_sampling,
    uncertainty_sampling,
)
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline

from skprune import AnchorFilter, PrunedQuery, RandomFilter
from skprune.datasets import load_movie_snippets
from skprune.modal import ActiveLearner, Committee, expected_error_reduction, uncertainty_batch_sampling

MOVIES = load_movie_snippets()
TEXTS = [MOVIES.data[i] for i in range(240)]
TEXTS += TEXTS[:40]  # copies
LABELS = np.array(["fresh" if MOVIES.target[i] else "rotten" for i in [*range(240), *range(40)]])
VECTORS = TruncatedSVD(8, random_state=0).fit_transform(TfidfVectorizer().fit_transform(TEXTS)).round(6)
COUNTS = sp.csr_matrix(np.where(VECTORS > 0.1, VECTORS, 0))

POOLS = {
    "list": TEXTS,
    "object array": np.array(TEXTS, dtype=object),
    "U array": np.array(TEXTS),
    "Series": pd.Series(TEXTS, index=np.random.default_rng(1).permutation(280)),
    "text frame": pd.DataFrame({"text": TEXTS}, index=np.random.default_rng(1).permutation(280)),
    "numbers": VECTORS,
    "frame": pd.DataFrame(VECTORS, columns=list("abcdefgh"), index=np.random.default_rng(1).permutation(280)),
    "csr matrix": COUNTS,
    "csr array": sp.csr_array(COUNTS),
}
LEARNER_STRATEGIES = {
    "uncertainty": (uncertainty_sampling, classifier_uncertainty),
    "margin": (margin_sampling, classifier_margin),
    "entropy": (entropy_sampling, classifier_entropy),
    "ranked batch": (uncertainty_batch_sampling, classifier_uncertainty),
    "expected error": (expected_error_reduction, None),
}
COMMITTEE_STRATEGIES = {
    "vote entropy": (vote_entropy_sampling, vote_entropy),
    "consensus entropy": (consensus_entropy_sampling, consensus_entropy),
    "max disagreement": (max_disagreement_sampling, KL_max_disagreement),
    "ranked batch": (uncertainty_batch_sampling, classifier_uncertainty),
}
# Each strategy is tested with several containers, and each container with several strategies.
LEARNER_CASES = [
    *[("uncertainty", kind) for kind in POOLS],
    ("margin", "list"),
    ("margin", "csr matrix"),
    ("entropy", "Series"),
    ("entropy", "frame"),
    *[("ranked batch", kind) for kind in ("list", "Series", "numbers", "frame", "csr matrix", "csr array")],
    *[("expected error", kind) for kind in ("list", "numbers", "csr array")],
]
COMMITTEE_CASES = [
    *[("vote entropy", kind) for kind in POOLS],
    ("consensus entropy", "list"),
    ("consensus entropy", "csr array"),
    ("max disagreement", "list"),
    ("max disagreement", "U array"),
    ("max disagreement", "frame"),
    ("ranked batch", "list"),
    ("ranked batch", "frame"),
]
FIFTY = {("uncertainty", "Series"), ("ranked batch", "csr array"), ("vote entropy", "list")}


def rounds(cases):
    """Four rounds of most cases and fifty of some; `make slow` plays fifty of every case."""
    few = [(name, kind, 50 if (name, kind) in FIFTY else 4) for name, kind in cases]
    return few + [pytest.param(*case, 50, marks=pytest.mark.slow) for case in cases if case not in FIFTY]


class FirstColumn(TfidfVectorizer):
    """TF-IDF that also reads texts from the only column of a frame."""

    def fit_transform(self, X, y=None):
        return super().fit_transform(np.ravel(X), y)

    def transform(self, X):
        return super().transform(np.ravel(X))


def model(kind, classifier=None):
    if kind in ("list", "object array", "U array", "Series", "text frame"):
        return make_pipeline(FirstColumn(), classifier or MultinomialNB())
    return classifier or (BernoulliNB() if "csr" in kind else GaussianNB())


def at(pool, rows):
    """Return the rows of a pool by position, without the library."""
    if hasattr(pool, "iloc"):
        return pool.iloc[rows]
    return [pool[i] for i in rows] if isinstance(pool, list) else pool[rows]


def contents(rows):
    if sp.issparse(rows):
        rows = rows.toarray()
    rows = np.asarray(rows)
    return [tuple(row) if rows.ndim > 1 else row for row in rows.tolist()]


def play(make_learner, strategy, utility, kind, n_rounds):
    """Play the loop on a pool that shrinks, is shuffled and holds copies; check every round by content.

    Returns the rows that the learner was taught and their labels: as recorded here, and as the learner holds
    them.
    """
    n_kept = 6 if utility is None else 30
    seeds = [int(np.flatnonzero(label == LABELS)[i]) for label in ("fresh", "rotten") for i in range(3)]
    query = PrunedQuery(RandomFilter(keep=n_kept, random_state=0), strategy)
    learner = make_learner(at(POOLS[kind], seeds), LABELS[seeds], query)
    right = dict(zip(contents(POOLS[kind]), LABELS, strict=True))
    taught = contents(at(POOLS[kind], seeds))
    left = list(range(len(LABELS)))
    rng = np.random.default_rng(0)
    for round_ in range(n_rounds):
        rng.shuffle(left)
        pool = at(POOLS[kind], left)
        pool_contents = contents(pool)
        indices, rows, metrics = learner.query(pool, n_instances=2, return_metrics=True)
        picked = contents(rows)
        assert picked == [pool_contents[i] for i in indices], "the rows must be those at the indices"
        assert len(set(indices)) == len(set(picked)) == len(metrics) == 2, "two copies need one label"
        assert not set(picked) & set(taught), "no row or copy of it may be picked twice"
        assert set(indices) <= set(query.subpool_)
        assert len(query.subpool_) == min(n_kept, sum(row not in taught for row in pool_contents))
        if utility is not None:
            shaped = rows if hasattr(rows, "shape") else np.array(rows, dtype=object)
            assert utility(learner, shaped) == pytest.approx(metrics), (
                "the metrics must be those of the picked rows"
            )
        learner.teach(rows, np.array([right[row] for row in picked]))
        taught += picked
        left = [row for row, i in zip(left, range(len(left)), strict=True) if i not in set(indices)]
        assert query.filter_.round_ == round_ + 1
    known = dict(zip(contents(learner.X_training), learner.y_training, strict=True))
    return {row: right[row] for row in taught}, known


@pytest.mark.parametrize(("name", "kind", "n_rounds"), rounds(LEARNER_CASES))
def test_rounds_of_a_learner(name, kind, n_rounds):
    def make(X, y, query):
        learned = model(kind)
        transformed = hasattr(learned, "steps")
        return ActiveLearner(learned, query, X_training=X, y_training=y, on_transformed=transformed)

    taught, known = play(make, *LEARNER_STRATEGIES[name], kind, n_rounds)
    assert known == taught


@pytest.mark.parametrize(("name", "kind", "n_rounds"), rounds(COMMITTEE_CASES))
def test_rounds_of_a_committee(name, kind, n_rounds):
    def make(X, y, query):
        learners = [
            ActiveLearner(
                model(kind, classifier),
                X_training=X,
                y_training=y,
                bootstrap_init=seed > 0,
                on_transformed=hasattr(model(kind), "steps"),
                random_state=seed,
            )
            for seed, classifier in enumerate([BernoulliNB(), BernoulliNB(binarize=0.1)])
        ]
        return Committee(learners, query, on_transformed=hasattr(model(kind), "steps"))

    taught, known = play(make, *COMMITTEE_STRATEGIES[name], kind, n_rounds)
    assert known == taught


def committee(**params):
    learners = [
        ActiveLearner(LogisticRegression(C=c), X_training=VECTORS[part], y_training=LABELS[part])
        for c, part in [(1.0, slice(0, 20)), (9.0, slice(10, 40))]
    ]
    return Committee(learners, **params)


def test_a_committee_knows_the_rows_that_any_learner_was_taught():
    group = committee()
    assert contents(group.X_training) == contents(VECTORS[:40])
    assert list(group.y_training) == list(LABELS[:40])
    group.teach(VECTORS[100:102], LABELS[100:102])
    assert [len(group.X_training), *(len(learner.X_training) for learner in group)] == [42, 22, 32]
    group.fit(VECTORS[:60], LABELS[:60])
    assert [len(group.X_training), *(len(learner.X_training) for learner in group)] == [60, 60, 60]
    before = len(group.X_training)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        group.teach(VECTORS[:3], LABELS[:2])
    assert before == len(group.X_training)


def test_votes_are_the_predictions_of_the_learners():
    group = committee()
    votes, probabilities = group.vote(VECTORS), group.vote_proba(VECTORS)
    for i, learner in enumerate(group):
        assert (votes[:, i] == learner.predict(VECTORS)).all()
        assert (probabilities[:, i] == learner.predict_proba(VECTORS)).all()
    assert (group.predict_proba(VECTORS) == probabilities.mean(axis=1)).all()
    assert group.score(VECTORS, LABELS) == (group.predict(VECTORS) == LABELS).mean()


def test_learners_of_a_committee_may_know_different_classes():
    y = np.array(["a"] * 20 + ["b"] * 20 + ["c"] * 20)
    learners = [
        ActiveLearner(LogisticRegression(), X_training=VECTORS[part], y_training=y[part])
        for part in (slice(0, 40), slice(20, 60))
    ]
    group = Committee(learners)
    assert group.classes_.tolist() == ["a", "b", "c"]
    probabilities = group.vote_proba(VECTORS)
    assert (probabilities[:, 0, 2] == 0).all()
    assert (probabilities[:, 1, 0] == 0).all()
    assert probabilities.sum(axis=2) == pytest.approx(1)


def test_clone_and_pickle_of_a_committee():
    group = committee(query_strategy=PrunedQuery(AnchorFilter(random_state=0), vote_entropy_sampling))
    again = clone(group)
    assert (again.predict(VECTORS) == group.predict(VECTORS)).all()
    assert "Committee" in repr(group)
    copy = pickle.loads(pickle.dumps(group))
    assert (copy.query(VECTORS, n_instances=3)[0] == group.query(VECTORS, n_instances=3)[0]).all()


def test_ranked_batches_refuse_texts_without_vectors():
    learner = ActiveLearner(model("list"), X_training=TEXTS[:20], y_training=LABELS[:20])
    with pytest.raises(ValueError, match="on_transformed=True"):
        uncertainty_batch_sampling(learner, TEXTS[20:], n_instances=2)


def test_ranked_batches_of_arrays_equal_those_of_modal():
    from modAL.batch import uncertainty_batch_sampling as modals

    learner = ActiveLearner(GaussianNB(), X_training=VECTORS[:30], y_training=LABELS[:30])
    ours = uncertainty_batch_sampling(learner, VECTORS[30:], n_instances=10)
    theirs = modals(learner, VECTORS[30:], n_instances=10)
    assert (ours[0] == theirs[0]).all()
    assert (ours[1] == theirs[1]).all()


@pytest.mark.parametrize("loss", ["binary", "log"])
def test_expected_error_reduction_equals_its_definition(loss):
    learner = ActiveLearner(GaussianNB(), X_training=VECTORS[:30], y_training=LABELS[:30])
    pool = VECTORS[240:252]
    errors = []
    for i, row in enumerate(pool):
        error = 0.0
        for label, chance in zip(["fresh", "rotten"], learner.predict_proba([row])[0], strict=True):
            after = GaussianNB().fit([*VECTORS[:30], row], [*LABELS[:30], label])
            p = after.predict_proba(np.delete(pool, i, axis=0))
            losses = (
                1 - p.max(axis=1) if loss == "binary" else -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
            )
            error += chance * losses.sum()
        errors.append(error)
    indices, expected = expected_error_reduction(learner, pool, loss, n_instances=4)
    assert indices.tolist() == np.argsort(errors)[:4].tolist()
    assert expected == pytest.approx(np.sort(errors)[:4])
    few, _ = expected_error_reduction(learner, pool, loss, p_subsample=0.0, n_instances=3, random_state=0)
    assert len(set(few)) == 3
    with pytest.raises(ValueError, match="loss must be"):
        expected_error_reduction(learner, pool, "hinge")


@pytest.mark.parametrize(
    "strategy", [uncertainty_batch_sampling, uncertainty_sampling, vote_entropy_sampling]
)
@pytest.mark.parametrize("n_learners", [1, 2])
def test_a_batch_names_different_rows(strategy, n_learners):
    if strategy is vote_entropy_sampling and n_learners == 1:
        pytest.skip("votes need a committee")
    pool = np.repeat(np.unique(VECTORS, axis=0)[:12], 5, axis=0)
    seeds = [VECTORS[:20], LABELS[:20]]
    for n_instances in (5, 12):
        query = PrunedQuery(RandomFilter(0.5, random_state=0), strategy)
        learners = [ActiveLearner(GaussianNB(var_smoothing=v), query, *seeds) for v in (1e-3, 1e-1)]
        learner = learners[0] if n_learners == 1 else Committee(learners, query)
        free = len(np.unique(pool, axis=0)) - sum(
            row in set(contents(VECTORS[:20])) for row in set(contents(pool))
        )
        rows = learner.query(pool, n_instances=min(n_instances, free))[1]
        assert len(np.unique(rows, axis=0)) == len(rows) == min(n_instances, free)
