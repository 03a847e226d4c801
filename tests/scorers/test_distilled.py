"""A distilled scorer: its sample, its student against numpy, its intervals, warnings, and stored scores."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import ParameterGrid
from sklearn.tree import DecisionTreeRegressor

from skprune import (
    ActivePruneFilter,
    AskLLMFilter,
    DistilledScorer,
    NGramScorer,
    PerplexityFilter,
)
from skprune.scorers.student import calls_needed
from skprune.store import clear_process_store

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(3000, 6)).astype(np.float32)
POOL = [f"text {i:04d}" for i in range(3000)]
WEIGHTS = RNG.normal(size=6)


class Encoder:
    """Vectors that are known for each text; scale 1 has a fingerprint."""

    fingerprint = "the vectors of this file"

    def __call__(self, texts):
        return VECTORS[[int(text.split()[-1]) for text in texts]]


class Teacher:
    """A linear score with noise that belongs to the text; counts what it is asked, and may fail."""

    def __init__(self, noise=0.3, fingerprint="linear"):
        self.noise = noise
        self.fingerprint = fingerprint
        self.asked = []
        self.fail_after = np.inf

    def __call__(self, texts):
        if len(self.asked) + len(texts) > self.fail_after:
            raise RuntimeError("the server is down")
        self.asked += texts
        rows = [int(text.split()[-1]) for text in texts]
        noise = np.random.default_rng(1).normal(size=3000)[rows]
        return VECTORS[rows].astype(float) @ WEIGHTS + self.noise * noise


@pytest.fixture(autouse=True)
def _empty_store():
    clear_process_store()


def make(teacher=None, **settings):
    settings = {"encoder": Encoder(), "n_calls": 200, "min_recall": 0} | settings
    return DistilledScorer(teacher or Teacher(), **settings)


def test_ridge_agrees_with_the_normal_equations():
    scorer = make(student=Ridge(alpha=2.0)).fit(POOL)
    rows = [int(text.split()[-1]) for text in scorer.sample_]
    scale = np.mean((VECTORS.astype(float) ** 2).sum(axis=1)) ** -0.5
    X = np.column_stack([VECTORS[rows] * scale, np.zeros(200)])  # every text has the same length
    y = Teacher()(scorer.sample_.tolist())
    centered = X - X.mean(axis=0)
    weights = np.linalg.solve(centered.T @ centered + 2.0 * np.eye(7), centered.T @ (y - y.mean()))
    expected = (VECTORS * scale - X.mean(axis=0)[:6]) @ weights[:6] + y.mean()
    found = scorer(POOL)
    judged = np.isin(POOL, scorer.sample_)
    np.testing.assert_allclose(found[~judged], expected[~judged], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[judged], Teacher()(np.array(POOL)[judged].tolist()), rtol=1e-12)


def test_length_is_a_column():
    pool = ["a " * n for n in range(1, 301)]
    scorer = DistilledScorer(
        lambda texts: np.log1p([len(text) for text in texts]),
        encoder=lambda texts: np.ones((len(texts), 2)),
        n_calls=60,
    ).fit(pool)
    assert scorer.r2_ > 0.95
    assert scorer.recall_ > 0.9


def test_a_covariate_is_a_column():
    target = np.random.default_rng(3).normal(size=3000)

    def hidden(texts):
        return target[[int(text.split()[-1]) for text in texts]]

    assert make(hidden).fit(POOL).r2_ < 0.2
    assert make(hidden, covariate=lambda texts: 3 * hidden(texts)).fit(POOL).r2_ > 0.99


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_intervals_cover_what_they_promise(coverage):
    """Over 20 samples of 100 random calls, the standard error of the mean coverage is below 0.01."""
    covered, widths = [], []
    for seed in range(20):
        scorer = make(noise_teacher := Teacher(noise=1.0), n_calls=200, random_state=seed).fit(POOL)
        others = [text for text in POOL if text not in set(scorer.sample_)]
        bounds = scorer.predict_interval(others, coverage)
        truth = noise_teacher(others)
        covered.append(np.mean((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])))
        widths.append(np.ptp(bounds, axis=1))
    assert np.mean(covered) == pytest.approx(coverage, abs=0.025)
    assert np.concatenate(widths).std() > 0, "each row has an interval of its own"


def test_intervals_of_judged_texts_and_of_small_samples():
    scorer = make(n_calls=20, active_share=0.0).fit(POOL)
    judged = scorer.predict_interval(scorer.sample_)
    np.testing.assert_array_equal(judged, np.repeat(scorer.sample_scores_[:, None], 2, axis=1))
    others = [text for text in POOL if text not in set(scorer.sample_)][:3]
    assert np.isfinite(scorer.predict_interval(others, 0.9)).all()
    assert np.isinf(scorer.predict_interval(others, 0.99)).all(), "20 scores cannot give 99 %"
    for wrong in (0, 1, 1.5):
        with pytest.raises(ValueError, match="coverage"):
            scorer.predict_interval(others, wrong)


def test_the_sample_depends_on_content_alone():
    first = make().fit(POOL)
    order = np.random.default_rng(5).permutation(3000)
    shuffled = [POOL[i] for i in order] + POOL[:500] + ["", "  "]
    again = make().fit(shuffled)
    assert again.sample_.tolist() == first.sample_.tolist()
    assert again.fingerprint == first.fingerprint
    assert make(random_state=1).fit(POOL).sample_.tolist() != first.sample_.tolist()
    text = POOL[7]
    np.testing.assert_allclose(first([text]), first(POOL)[7:8])


def test_random_part_is_stratified_and_active_part_is_close_to_the_cut():
    scorer = make(Teacher(noise=0.0), n_calls=400, top=0.25).fit(POOL)
    scores = Teacher(noise=0.0)(POOL)
    cut = np.quantile(scores, 0.75)
    random, active = scorer.sample_scores_[:200], scorer.sample_scores_[200:]
    assert len(active) == 200
    assert np.abs(active - cut).mean() < 0.5 * np.abs(random - cut).mean()
    below = make(Teacher(noise=0.0), n_calls=400, greater_is_better=False).fit(POOL)
    assert (
        np.abs(below.sample_scores_[200:] - np.quantile(scores, 0.25)).mean()
        < 0.5 * np.abs(below.sample_scores_[:200] - np.quantile(scores, 0.25)).mean()
    )


@pytest.mark.parametrize("memory", [None, "folder"])
def test_an_interrupted_run_asks_no_text_twice(memory, tmp_path):
    settings = {} if memory is None else {"memory": tmp_path / memory}
    teacher = Teacher()
    teacher.fail_after = 150
    scorer = make(teacher, **settings)
    with pytest.raises(RuntimeError, match="server is down"):
        scorer.fit(POOL)
    with pytest.raises(NotFittedError):
        scorer(POOL)
    assert 100 <= len(teacher.asked) <= 150
    teacher.fail_after = np.inf
    n_before = len(teacher.asked)
    scorer.fit(POOL)
    assert len(teacher.asked) == len(set(teacher.asked)) == 200
    assert scorer.n_calls_ == 200 - n_before
    assert scorer.sample_.tolist() == make().fit(POOL).sample_.tolist()
    assert clone(scorer).fit(POOL).n_calls_ == 0


def test_a_fit_that_fails_leaves_the_scorer_as_it_was():
    scorer = make().fit(POOL)
    before = scorer(POOL[:50])
    scorer.set_params(random_state=3)
    scorer.teacher.fail_after = len(scorer.teacher.asked)
    with pytest.raises(RuntimeError, match="server is down"):
        scorer.fit(POOL)
    np.testing.assert_array_equal(scorer(POOL[:50]), before)


def test_the_fingerprint_changes_with_what_the_scores_depend_on():
    same = make().fit(POOL).fingerprint
    assert make(verbose=0, min_recall=0.0).fit(POOL).fingerprint == same
    others = [
        make(Teacher(fingerprint="another")),
        make(Teacher(noise=0.4, fingerprint="noisy")),
        make(n_calls=201),
        make(random_state=1),
        make(top=0.5),
        make(active_share=0.1),
        make(greater_is_better=False),
        make(student=Ridge()),
        make(student=Ridge(alpha=3)),
        make(covariate=Encoder1D()),
    ]
    prints = [scorer.fit(POOL).fingerprint for scorer in others] + [make().fit(POOL[:2000]).fingerprint]
    assert len({same, *prints}) == 12
    assert make(encoder=lambda texts: Encoder()(texts)).fit(POOL).fingerprint is None


class Encoder1D:
    fingerprint = "one number"

    def __call__(self, texts):
        return VECTORS[[int(text.split()[-1]) for text in texts], 0]


def test_a_teacher_without_structure_is_reported():
    noise = Teacher(noise=100.0)
    with pytest.warns(UserWarning, match=r"finds \d+% of the teacher's best 25%.*cannot be told"):
        scorer = make(noise, min_recall=0.8).fit(POOL)
    assert scorer.recall_ < 0.6
    assert scorer.n_calls_needed_ is None
    with pytest.warns(UserWarning, match="too small to measure"):
        make(n_calls=20, active_share=0.9, min_recall=0.8, random_state=0).fit(POOL)


def test_a_good_student_is_not_reported():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer = make(min_recall=0.8).fit(POOL)
    assert scorer.spearman_ > 0.9
    assert scorer.r2_ > 0.8
    truth, found = Teacher()(POOL), scorer(POOL)
    recall = len(set(np.argsort(-truth)[:750]) & set(np.argsort(-found)[:750])) / 750
    assert scorer.recall_ == pytest.approx(recall, abs=0.1)


def test_the_needed_calls_are_extrapolated_from_a_rising_curve():
    """With 60 features and little noise, the recall rises steeply between 100 and 800 rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 60))
    y = X @ rng.normal(size=60) + 3 * rng.normal(size=4000)
    shared = {"sign": 1.0, "top": 0.25, "seed": 0}
    n = 400
    ties = rng.random(n)
    needed = calls_needed(
        Ridge(1.0), X[:n], y[:n], np.arange(n) % 5, np.arange(n), goal=0.8, ties=ties, **shared
    )
    assert needed is not None
    assert n / 4 < needed < 20 * n
    flat = rng.normal(size=n)
    assert (
        calls_needed(Ridge(1.0), X[:n], flat, np.arange(n) % 5, np.arange(n), goal=0.8, ties=ties, **shared)
        is None
    )


def test_pools_that_are_smaller_than_the_sample_are_scored_by_the_teacher():
    for pool in (POOL[:1], POOL[:15], POOL[:120]):
        scorer = make(min_recall=0.8).fit(pool)
        np.testing.assert_allclose(scorer(pool), Teacher()(pool), rtol=1e-12)
        assert np.isfinite(scorer(POOL[200:210])).all()
    assert len(make(n_calls=0.001).fit(POOL).sample_) == 20
    assert len(make(n_calls=0.1).fit(POOL).sample_) == 300


def test_infinite_scores_are_kept_and_not_learned():
    def teacher(texts):
        scores = Teacher()(texts)
        return np.where([text.endswith("3") for text in texts], np.inf, scores)

    scorer = make(teacher).fit(POOL)
    assert np.isinf(scorer.sample_scores_).any()
    found = scorer(POOL)
    assert np.isinf(found).sum() == np.isinf(scorer.sample_scores_).sum()
    with pytest.raises(ValueError, match="teacher returned no finite score"):
        make(lambda texts: np.full(len(texts), np.inf)).fit(POOL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_calls": 19}, "n_calls"),
        ({"n_calls": 1.5}, "n_calls"),
        ({"top": 0}, "top"),
        ({"active_share": 1.0}, "active_share"),
        ({"min_recall": 2}, "min_recall"),
        ({"student": "ridge"}, "student"),
        ({"teacher": "some/model"}, "teacher"),
        ({"memory": 3}, "memory"),
    ],
)
def test_bad_parameters_are_named_before_the_teacher_is_asked(settings, message):
    scorer = make()
    teacher = scorer.teacher
    with pytest.raises(ValueError, match=f"'{message}' parameter of DistilledScorer"):
        scorer.set_params(**settings).fit(POOL)
    assert teacher.asked == []


def test_bad_texts_and_bad_scores_are_named():
    with pytest.raises(ValueError, match=r"X\[1\] is None"):
        make().fit(["a", None])
    with pytest.raises(ValueError, match="only blank texts"):
        make().fit(["", " "])
    with pytest.raises(ValueError, match="teacher returned no finite value for the text"):
        make(lambda texts: np.full(len(texts), np.nan)).fit(POOL)
    with pytest.raises(NotFittedError):
        make()(POOL)


def test_fitted_parts_are_refused_unless_frozen():
    fitted = NGramScorer(order=2).fit(POOL)
    scorer = make(fitted)
    with pytest.raises(ValueError, match=r"teacher=NGramScorer.*already fitted"):
        scorer.fit(POOL)
    with pytest.raises(ValueError, match=r"teacher=NGramScorer.*already fitted"):
        clone(scorer)
    assert make(FrozenEstimator(fitted)).fit(POOL).n_calls_ == 200
    again = make(NGramScorer(order=2)).fit(POOL)
    assert again.n_calls_ == 0, "an unfitted teacher is fitted on the pool, and the store holds its scores"


def test_pickles_and_other_students_predict_the_same():
    for student in (None, DecisionTreeRegressor(max_depth=3)):
        scorer = make(student=student).fit(POOL)
        again = pickle.loads(pickle.dumps(scorer))
        np.testing.assert_array_equal(again(POOL), scorer(POOL))
        assert again.fingerprint == scorer.fingerprint
        np.testing.assert_array_equal(make(student=student).fit(POOL)(POOL), scorer(POOL))


def test_it_serves_as_quality_and_as_perplexity(tmp_path):
    truth = Teacher()(POOL)
    best, worst = (set(np.argsort(sign * truth)[:750]) for sign in (-1, 1))
    ask = AskLLMFilter(quality=make(), memory=tmp_path / "m", random_state=0).fit(POOL)
    assert len(best & set(ask.select(POOL))) > 600
    assert ask.n_llm_calls_ == 200
    perplexity = PerplexityFilter(perplexity=make(), random_state=0).fit(POOL)
    assert len(worst & set(perplexity.select(POOL))) > 600
    assert perplexity._scorer.compute.greater_is_better is False

    refit = AskLLMFilter(quality=make(), memory=tmp_path / "m", random_state=0).fit(POOL)
    assert refit.n_llm_calls_ == 0, "the filter's memory holds the teacher's scores"
    frozen = AskLLMFilter(quality=FrozenEstimator(make().fit(POOL)), random_state=0).fit(POOL)
    assert set(frozen.select(POOL)) == set(ask.select(POOL))
    with pytest.raises(ValueError, match=r"quality=DistilledScorer[\s\S]*already fitted"):
        AskLLMFilter(quality=make().fit(POOL)).fit(POOL)


def test_active_prune_samples_the_whole_pool():
    active = ActivePruneFilter(
        quality=make(), perplexity=lambda texts: [len(text) for text in texts], random_state=0
    ).fit(POOL)
    assert active.n_llm_calls_ == 200
    assert len(active._ask.compute.sample_) == 200
    assert len(active.select(POOL)) == 750


def test_nested_parameters_are_searchable():
    ask = AskLLMFilter(quality=make(), random_state=0)
    for point in ParameterGrid({"quality__n_calls": [50, 100], "quality__top": [0.1]}):
        assert clone(ask).set_params(**point).fit(POOL).n_llm_calls_ <= point["quality__n_calls"]
