"""ActivePruneFilter against the paper's algorithm written out."""

import pickle
import warnings
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.exceptions import NotFittedError

from skprune import ActivePruneFilter
from skprune.exceptions import PoolExhaustedError
from skprune.filters.active_prune import mean_distance, reweight

RNG = np.random.default_rng(0)
TEXTS = [f"row {i} {'x' * int(n)}" for i, n in enumerate(RNG.integers(1, 200, size=400))]
LOG_PPL = {text: float(p) for text, p in zip(TEXTS, RNG.normal(3, 0.5, size=400), strict=True)}
QUALITY = {text: float(q) for text, q in zip(TEXTS, RNG.random(400), strict=True)}


def log_ppl(texts):
    return np.array([LOG_PPL[t] for t in texts])


class Judge:
    """A quality scorer that keeps what it was asked."""

    def __init__(self):
        self.fingerprint = f"judge {uuid4().hex}"
        self.asked = []

    def __call__(self, texts):
        self.asked += list(texts)
        return np.array([QUALITY.get(t, 0.5) for t in texts])


class Counted:
    """The perplexities above, with a fingerprint and a count."""

    fingerprint = "counted"

    def __init__(self):
        self.n_asked = 0

    def __call__(self, texts):
        self.n_asked += len(texts)
        return log_ppl(texts)


def make(**params):
    return ActivePruneFilter(
        **{"perplexity": log_ppl, "quality": Judge(), "reweighting": None, "random_state": 0, **params}
    )


def two_stages(texts, p, keep, llm_share, m, candidates):
    """Algorithm 1, lines 7 to 11, one row at a time."""
    n_llm = round(llm_share * keep)
    by_p = sorted(range(len(texts)), key=lambda i: p[i])
    first, rest = by_p[: keep - n_llm], by_p[keep - n_llm :]
    asked = rest[-m:] if candidates == "highest" else rest[:m]
    return set(first) | set(sorted(asked, key=lambda i: -QUALITY[texts[i]])[:n_llm]), set(asked)


@pytest.mark.parametrize("candidates", ["highest", "lowest"])
@pytest.mark.parametrize("llm_share", [0.0, 0.2, 1.0])
def test_selection_is_the_papers_two_stages(candidates, llm_share):
    judge = Judge()
    pruner = make(keep=100, llm_share=llm_share, n_candidates=150, candidates=candidates, quality=judge)
    kept = pruner.fit(TEXTS).select(TEXTS)
    expected, asked = two_stages(TEXTS, log_ppl(TEXTS), 100, llm_share, 150, candidates)
    assert set(kept) == expected
    assert set(judge.asked) == ({TEXTS[i] for i in asked} if llm_share else set())
    assert len(judge.asked) == len(set(judge.asked)) == pruner.n_llm_calls_


def test_sizes_are_hit_exactly_whatever_the_mode():
    for mode in (None, "sample", "paper", "novelty"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pruner = make(reweighting=mode).fit(TEXTS)
            pruner.partial_fit(TEXTS[:7], [0] * 7)
        for keep in (0.01, 0.25, 0.9, 1.0, 1, 17, 393):
            kept = pruner.set_params(keep=keep).select(TEXTS)
            assert len(kept) == (keep if isinstance(keep, int) else max(1, round(keep * 393)))
            assert len(set(kept)) == len(kept)
            assert kept.min() >= 7, "labeled rows are passed over"


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-50, 50), min_size=1, max_size=30),
    newest=st.lists(st.floats(-50, 50), min_size=1, max_size=30),
)
def test_mean_distance_is_equation_1(values, newest):
    values, newest = np.array(values), np.array(newest)
    expected = np.abs(values[:, None] - newest).mean(axis=1)
    assert np.allclose(mean_distance(values, newest), expected, atol=1e-12)


def grid(low, high):
    """Perplexities that differ by 1e-3 or not at all: rounding errors are far smaller."""
    return st.integers(low, high).map(lambda i: i / 1000)


@settings(max_examples=100, deadline=None)
@given(
    p=st.lists(grid(1000, 6000), min_size=2, max_size=40),
    rounds=st.lists(st.lists(grid(1000, 6000), min_size=1, max_size=8), min_size=1, max_size=5),
    beta=st.floats(0, 0.95),
)
def test_below_one_beta_never_changes_the_order(p, rounds, beta):
    """The theorem: slope ≥ 1 − β > 0, through any number of rounds."""
    before, after = np.array(p), np.array(p)
    labeled = [np.array(r) for r in rounds]
    for i in range(len(labeled)):
        after, *labeled[i:] = (reweight(x, labeled[i], beta) for x in (after, *labeled[i:]))
    order = np.argsort(before, kind="stable")
    assert (np.diff(after[order]) >= -1e-9).all()
    apart = np.diff(before[order]) > 0
    assert (np.diff(after[order])[apart] > 0).all()


@settings(max_examples=25, deadline=None)
@given(
    rounds=st.lists(st.lists(st.integers(0, 399), min_size=1, max_size=9, unique=True), max_size=4),
    beta=st.floats(0, 0.99),
    keep=st.integers(1, 100),
)
def test_below_one_beta_the_papers_mode_selects_what_no_reweighting_does(rounds, beta, keep):
    kept = []
    for mode in ("paper", None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pruner = make(keep=keep, beta=beta, reweighting=mode).fit(TEXTS)
        for rows in rounds:
            pruner.partial_fit([TEXTS[i] for i in rows], [0] * len(rows))
        kept.append(pruner.select(TEXTS).tolist())
    assert kept[0] == kept[1]


def test_above_one_beta_the_papers_mode_does_reorder():
    pruner = make(beta=1.5, reweighting="paper").fit(TEXTS)
    before = pruner.select(TEXTS)
    low = np.argsort(log_ppl(TEXTS))[:20]
    pruner.partial_fit([TEXTS[i] for i in low], [0] * 20)
    plain = make().fit(TEXTS).partial_fit([TEXTS[i] for i in low], [0] * 20)
    assert set(before) - set(low) != set(pruner.select(TEXTS))
    assert set(plain.select(TEXTS)) != set(pruner.select(TEXTS))


def test_the_papers_mode_warns_that_it_cannot_change_anything():
    with pytest.warns(UserWarning, match="beta=0.1 < 1 selects what reweighting=None selects"):
        make(reweighting="paper").fit(TEXTS)


def test_sampling_tends_to_lowest_first_as_the_temperature_falls():
    lowest = set(np.argsort(log_ppl(TEXTS))[:80])
    overlap = [
        len(
            lowest
            & set(make(keep=80, llm_share=0, reweighting="sample", temperature=t).fit(TEXTS).select(TEXTS))
        )
        for t in (1e-6, 0.1, 1.0, 1000.0)
    ]
    assert overlap[0] == 80
    assert overlap == sorted(overlap, reverse=True)
    assert overlap[-1] < 40, "so hot that it is uniform: 16 expected"


def test_sampling_weights_are_exp_of_minus_p_over_t():
    """First draws over many seeds follow the softmax (appendix B with f(P) = exp(−P/T))."""
    texts = TEXTS[:5]
    counts = np.zeros(5)
    for seed in range(2000):
        pruner = make(
            keep=1, llm_share=0, quality=None, reweighting="sample", temperature=1.0, random_state=seed
        )
        counts[pruner.fit(texts).select(texts)] += 1
    weights = np.exp(-log_ppl(texts) / pruner.temperature_)
    expected = 2000 * weights / weights.sum()
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_novelty_reserves_its_share_for_what_is_far_from_the_newest_labels():
    pruner = make(keep=100, llm_share=0, reweighting="novelty", novelty_share=0.3).fit(TEXTS)
    low = np.argsort(log_ppl(TEXTS))[:20]
    pruner.partial_fit([TEXTS[i] for i in low], [0] * 20)
    p = log_ppl(TEXTS)
    rest = np.setdiff1d(np.arange(400), low)
    far = rest[np.argsort(-mean_distance(p[rest], p[low]))[:30]]
    near = np.setdiff1d(rest, far)
    assert set(pruner.select(TEXTS)) == set(far) | set(near[np.argsort(p[near])[:70]])


@pytest.mark.parametrize("reweighting", ["sample", "paper"])
def test_unseen_rows_are_scored_and_reweighted_like_those_of_the_pool(reweighting):
    known, unseen = TEXTS[:300], TEXTS[300:]
    partly = make(beta=0.5, reweighting=reweighting, quality=None)
    wholly = make(beta=0.5, reweighting=reweighting, quality=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        partly.fit(known)
        wholly.fit(TEXTS)
    wholly.temperature_ = partly.temperature_  # it depends on the pool given to fit
    for pruner in (partly, wholly):
        pruner.partial_fit(TEXTS[:5], [0] * 5).partial_fit(unseen[:5], [1] * 5)
    a, b = partly.explain(TEXTS), wholly.explain(TEXTS)
    assert np.allclose(a["reweighted"], b["reweighted"], equal_nan=True)
    assert (a["kept"] == b["kept"]).all()


def test_reweighting_depends_on_the_labeled_rows_and_not_on_the_rounds():
    at_once, one_by_one = (make(reweighting="sample", quality=None).fit(TEXTS) for _ in range(2))
    at_once.partial_fit(TEXTS[:6], [0] * 6)
    for text in TEXTS[:6]:
        one_by_one.partial_fit([text], [0])
    assert np.allclose(at_once.reweighted_, one_by_one.reweighted_)
    expected = log_ppl(TEXTS) - 0.1 * np.abs(log_ppl(TEXTS)[:, None] - log_ppl(TEXTS[:6])).mean(axis=1)
    assert np.allclose(at_once.reweighted_, expected)


def share_above_the_median(pruner):
    kept = pruner.select(TEXTS)
    return (log_ppl(TEXTS)[kept] > np.median(log_ppl(TEXTS))).mean()


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_a_hundred_rounds_do_not_turn_the_weighted_draw_into_a_uniform_one(beta):
    """Labels that lie evenly among the perplexities say nothing, so that they must not change the mix."""
    rng = np.random.default_rng(1)
    pruner = make(keep=100, beta=beta, reweighting="sample", quality=None, temperature=0.3).fit(TEXTS)
    shares = []
    for _ in range(100):
        shares.append(share_above_the_median(pruner))
        outside = [f"outside {rng.integers(10**9)}" for _ in range(20)]
        LOG_PPL.update(zip(outside, rng.choice(log_ppl(TEXTS), 20), strict=True))
        pruner.partial_fit(outside, [0] * 20)
    early, late = np.mean(shares[1:20]), np.mean(shares[60:])
    assert early < 0.25
    assert abs(late - early) < 0.05, f"{early:.3f} of the kept rows above the median, then {late:.3f}"


def test_a_loop_that_labels_what_it_keeps_does_not_drift():
    """The loop of the paper: labels come from the kept rows, whose perplexity is low."""
    rng = np.random.default_rng(0)
    pruner = make(keep=40, beta=0.1, reweighting="sample", quality=None, temperature=0.1).fit(TEXTS)
    shares = []
    for _ in range(80):
        kept = pruner.select(TEXTS)
        shares.append((log_ppl(TEXTS)[kept] > np.median(log_ppl(TEXTS))).mean())
        like_kept = [f"like {rng.integers(10**9)}" for _ in range(10)]  # the pool itself shall not shrink
        LOG_PPL.update(zip(like_kept, log_ppl(TEXTS)[rng.choice(kept, 10)], strict=True))
        pruner.partial_fit(like_kept, [0] * 10)
    assert np.mean(shares[60:]) <= np.mean(shares[1:20]) + 0.02


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_the_papers_mode_never_differs_from_none_however_many_rounds(beta):
    rng = np.random.default_rng(0)
    paper, none = (make(keep=50, beta=beta, reweighting=r, quality=None) for r in ("paper", None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paper.fit(TEXTS)
    none.fit(TEXTS)
    for round_ in range(200):
        outside = [f"outside {round_}"]
        LOG_PPL[outside[0]] = float(rng.normal(3, 0.5))
        for pruner in (paper, none):
            pruner.partial_fit(outside, [0])
    assert paper.select(TEXTS).tolist() == none.select(TEXTS).tolist()


def test_the_budget_caps_the_calls_of_a_whole_life():
    judge = Judge()
    pruner = make(keep=100, n_candidates=60, llm_budget=70, quality=judge).fit(TEXTS)
    kept = pruner.select(TEXTS)
    assert len(kept) == 100
    assert len(judge.asked) == 60
    for start in (0, 50, 100, 150):
        pruner.partial_fit(TEXTS[start : start + 50], [0] * 50)
        assert len(pruner.select(TEXTS)) == 100
    assert len(judge.asked) == 70 == pruner.n_llm_calls_


def test_select_is_pure_and_fit_has_asked_the_llm_already():
    judge = Judge()
    pruner = make(quality=judge, reweighting="sample").fit(TEXTS)
    asked = list(judge.asked)
    assert asked
    first = pruner.select(TEXTS)
    assert (pruner.select(TEXTS) == first).all()
    assert judge.asked == asked
    pruner.partial_fit(TEXTS[:10], [0] * 10)
    asked = list(judge.asked)
    assert set(pruner.select(TEXTS[10:]) + 10) == set(pruner.select(TEXTS))
    assert judge.asked == asked


def test_an_interrupted_fit_is_no_fit_and_loses_no_score(tmp_path):
    judge = Judge()
    judge.fingerprint = "judge"

    def interrupted(texts):
        raise KeyboardInterrupt

    interrupted.fingerprint = "interrupted"
    half = make(quality=judge, memory=tmp_path, n_candidates=100).set_params(perplexity=Counted())
    half.fit(TEXTS)
    stopped = make(quality=interrupted, memory=tmp_path).set_params(perplexity=Counted())
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(TEXTS)
    assert stopped.perplexity.n_asked == 0, "perplexities of the first run are found again"
    with pytest.raises(NotFittedError):
        stopped.select(TEXTS)


def test_empty_texts_are_kept_only_where_nothing_else_is_left():
    texts = ["", "a b c", "b c d", " ", "c d e", "d e f"]
    pruner = ActivePruneFilter(keep=4, quality=Judge(), reweighting=None, random_state=0).fit(texts)
    why = pruner.explain()
    assert why["kept"].tolist() == [False, True, True, False, True, True]
    assert why["reason"][0] == "empty"
    assert pruner.select(["", " "]).tolist() in ([0, 1], [1, 0])


def test_explain_names_stage_score_threshold_and_reason():
    pruner = make(keep=0.25, n_candidates=50).fit(TEXTS)
    pruner.partial_fit(TEXTS[:2], [0, 1])
    why = pruner.explain()
    assert len(why) == 400
    assert why["stage"].value_counts().to_dict() == {"": 300, "perplexity": 80, "llm": 20}
    assert (why["reason"][:2] == "already labeled").all()
    assert np.allclose(why["log10_perplexity"][2:], log_ppl(TEXTS[2:]))
    assert why["quality"].notna().sum() == 50
    picked = why[why["stage"] == "perplexity"]
    assert (picked["reweighted"] <= picked["threshold"]).all()
    assert sorted(why["rank"][why["kept"]]) == list(range(100))


def test_without_a_model_the_ngram_scorer_learns_from_the_pool():
    pool = ["the cat sat on the mat"] * 5 + [f"the cat saw the {n}" for n in ("dog", "cow", "hen")]
    pool += ["colorless green ideas sleep furiously tonight"]
    pruner = ActivePruneFilter(keep=1, quality=None, reweighting=None, random_state=0).fit(pool)
    why = pruner.explain()
    assert (why["log10_perplexity"][5:] > why["log10_perplexity"][0]).all()
    assert why["kept"].tolist() == [True] * 5 + [False] * 4
    assert (why["reason"][5:] == "perplexity too high").all()
    assert len(pruner.log_perplexity_) == 5, "copies are scored once"


def test_a_pickle_keeps_the_state():
    pruner = ActivePruneFilter(quality=None, random_state=0).fit(TEXTS)
    pruner.partial_fit(TEXTS[:9], [0] * 9)
    again = pickle.loads(pickle.dumps(pruner))
    more = [*TEXTS, "a row that nobody has seen"]
    assert (again.select(more) == pruner.select(more)).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"keep": 401}, "keep=401 exceeds the 400 different rows"),
        ({"keep": 0}, "'keep' parameter"),
        ({"keep": 1.5}, "'keep' parameter"),
        ({"beta": -1}, "'beta' parameter"),
        ({"reweighting": "none"}, "'reweighting' parameter"),
        ({"candidates": "top"}, "'candidates' parameter"),
        ({"llm_budget": -1}, "'llm_budget' parameter"),
        ({"quality": 3}, "'quality' parameter"),
    ],
)
def test_bad_parameters_are_named_before_any_scoring(params, message):
    def never(texts):
        pytest.fail("scored before the parameters were checked")

    with pytest.raises(ValueError, match=message):
        make(**{"perplexity": never, **params}).fit(TEXTS)


def test_a_pool_of_vectors_or_of_nothing_unlabeled_is_refused():
    with pytest.raises(TypeError, match="ActivePruneFilter reads texts, got numeric rows"):
        make().fit(np.ones((5, 2)))
    pruner = make().fit(TEXTS)
    pruner.partial_fit(TEXTS, [0] * 400)
    with pytest.raises(PoolExhaustedError, match="all 400 rows of X are labeled already"):
        pruner.select(TEXTS)


def test_random_candidates_owe_nothing_to_the_draw_of_stage_one():
    # By the same numbers, candidates would be rows of low perplexity whose draw was bad.
    pruner = make(keep=0.5, reweighting="sample", candidates="random", n_candidates=60).fit(TEXTS)
    why = pruner.explain()
    rest = (why["stage"] != "perplexity").to_numpy()
    asked = why["quality"].notna().to_numpy()
    luck = pruner._uniforms(pruner.pool_, np.arange(len(TEXTS)))
    assert ks_2samp(luck[asked], luck[rest & ~asked]).pvalue > 0.01


def test_a_blank_text_comes_last_whatever_a_callable_says_of_it():
    texts = ["a b c", "", "b c d e", "  ", "c d e f g"]
    by_length = ActivePruneFilter(
        keep=3, perplexity=lambda batch: [len(t) for t in batch], quality=None, reweighting=None
    )
    assert by_length.fit(texts).get_support().tolist() == [True, False, True, False, True]


def test_where_most_rows_are_alike_the_lowest_still_come_first():
    levels = np.repeat([6.0, 4.5, 9.0], [60, 20, 20])
    texts = [f"text {i}" for i in range(100)]
    place = {text: i for i, text in enumerate(texts)}
    pruner = ActivePruneFilter(
        keep=20, perplexity=lambda batch: levels[[place[t] for t in batch]], quality=None, random_state=0
    )
    assert (levels[pruner.fit(texts).get_support()] == 4.5).all()
