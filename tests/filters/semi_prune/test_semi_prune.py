"""SemiPruneFilter: pseudo-labels, the log of the proxy and the rows kept, on real digits and posts."""

import pickle
import warnings
from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier

from skprune import FixMatchClassifier, LostClassWarning, ProxyClassifier, SemiPruneFilter, TfidfEncoder
from skprune.datasets import load_newsgroups
from skprune.filters.semi_prune.coresets import CORESETS
from skprune.filters.semi_prune.dynamics import aum, dual
from skprune.filters.semi_prune.filter import DIFFICULTIES, default_ssl
from skprune.filters.semi_prune.views import ImageViews, TextViews

N_ROWS = 400
DATA = load_digits()
DIGITS, IMAGES, CLASSES = (part[:N_ROWS] for part in (DATA.data, DATA.images, DATA.target))
SEEDS = np.random.default_rng(0).choice(N_ROWS, 80, replace=False)  # labeled rows


def labels(rows, names=CLASSES):
    y = np.full(len(names), -1)
    y[rows] = names[rows]
    return y


def semi_prune(**settings):
    return SemiPruneFilter(**({"n_epochs": 5, "holdout": 0.0, "random_state": 0} | settings))


@pytest.fixture(scope="module")
def fitted():
    return semi_prune(n_epochs=12, holdout=0.25).fit(DIGITS, labels(SEEDS))


@pytest.mark.parametrize(("score", "coreset"), list(product(sorted(DIFFICULTIES), sorted(CORESETS))))
def test_every_difficulty_works_with_every_coreset(fitted, score, coreset):
    """After one fit, sizes are exact and no labeled row is returned."""
    fitted.set_params(difficulty=score, coreset=coreset)
    for keep, size in ((0.3, 96), (1, 1), (317, 317), (1.0, 320)):
        kept = fitted.set_params(keep=keep).select(DIGITS)
        assert len(kept) == len(set(kept)) == size
        assert not set(kept) & set(SEEDS)
    why = fitted.set_params(keep=0.3).explain()
    assert why["kept"].sum() == 96


def test_budget_and_top_match_sorting_by_the_log(fitted):
    """The log holds each row of this pool once, in the pool's order."""
    free = np.setdiff1d(np.arange(N_ROWS), SEEDS)
    by_margin = free[np.argsort(aum(fitted.dynamics_)[free])]
    kept = fitted.set_params(difficulty="aum", coreset="budget", keep=100, mis_ratio=0.1).select(DIGITS)
    assert kept.tolist() == by_margin[32:132].tolist()
    by_dual = free[np.argsort(-dual(fitted.dynamics_)[free])]
    kept = fitted.set_params(difficulty="dual", coreset="top", keep=50).select(DIGITS)
    assert kept.tolist() == by_dual[:50].tolist()


def test_difficulty_can_be_a_function(fitted):
    fitted.set_params(difficulty=lambda log: -log.p_label[-1], coreset="top", keep=30)
    free = np.setdiff1d(np.arange(N_ROWS), SEEDS)
    expected = free[np.argsort(fitted.dynamics_.p_label[-1][free], kind="stable")][:30]
    assert set(fitted.select(DIGITS)) == set(expected)


@pytest.mark.parametrize(
    "score", [lambda log: np.zeros(3), lambda log: np.full(len(log.codes), np.nan), lambda log: 0.0]
)
def test_a_difficulty_function_must_return_one_finite_number_per_row(fitted, score):
    with pytest.raises(ValueError, match="difficulty must return one finite number for each of the 400 rows"):
        fitted.set_params(difficulty=score, coreset="top", keep=30).select(DIGITS)


def test_pseudo_labels_come_from_ssl_and_known_labels_stay(fitted):
    y = labels(SEEDS)
    alone = default_ssl().fit(DIGITS, y)
    free = y == -1
    assert (fitted.pseudo_labels_[SEEDS] == CLASSES[SEEDS]).all()
    assert (fitted.pseudo_confidence_[SEEDS] == 1.0).all()
    # The rows reach ssl in another order, so the last digits of the solution differ.
    assert (fitted.pseudo_labels_[free] == alone.predict(DIGITS[free])).mean() > 0.99
    np.testing.assert_allclose(
        fitted.pseudo_confidence_[free], alone.predict_proba(DIGITS[free]).max(axis=1), atol=0.05
    )
    assert (fitted.pseudo_labels_[free] == CLASSES[free]).mean() > 0.8
    assert (fitted.dynamics_.codes == fitted.pseudo_labels_).all()


def test_agreement_is_near_the_share_of_right_pseudo_labels():
    y = labels(np.arange(0, N_ROWS, 2))
    pruner = semi_prune(holdout=0.4, n_epochs=1).fit(DIGITS, y)
    right = (pruner.pseudo_labels_ == CLASSES)[y == -1].mean()
    counts = np.bincount(y[y >= 0])
    assert pruner.n_held_out_ == sum(int(0.4 * n) for n in counts)
    assert abs(pruner.agreement_ - right) < 0.1


def test_agreement_is_measured_on_labels_that_ssl_has_not_seen():
    """A learner that memorizes random labels would agree with all of them."""
    y = labels(SEEDS, np.random.default_rng(0).integers(10, size=N_ROWS))
    remembers = SelfTrainingClassifier(KNeighborsClassifier(1))
    pruner = semi_prune(ssl=remembers, holdout=0.5, n_epochs=1).fit(DIGITS, y)
    assert pruner.n_held_out_ > 25
    assert pruner.agreement_ < 0.4


def test_without_a_holdout_agreement_is_unknown():
    pruner = semi_prune(n_epochs=1).fit(DIGITS, labels(SEEDS))
    assert np.isnan(pruner.agreement_)
    assert pruner.n_held_out_ == 0
    few = semi_prune(n_epochs=1, holdout=0.5).fit(DIGITS, labels(np.unique(CLASSES, return_index=True)[1]))
    assert np.isnan(few.agreement_), "a class never loses its last label"


@pytest.mark.parametrize(
    "ssl",
    [
        LabelSpreading("knn", n_neighbors=10),
        LabelPropagation("knn", n_neighbors=10, tol=0.1),
        make_pipeline(StandardScaler(), SelfTrainingClassifier(LogisticRegression(max_iter=500))),
        FixMatchClassifier(min_steps=80, max_epochs=1, random_state=0),
    ],
    ids=lambda ssl: type(ssl).__name__,
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_any_semi_supervised_classifier_works_as_ssl(ssl):
    before = clone(ssl).get_params().keys()
    pruner = semi_prune(ssl=ssl).fit(DIGITS, labels(SEEDS))
    free = labels(SEEDS) == -1
    assert (pruner.pseudo_labels_ == CLASSES)[free].mean() > 0.8
    assert ssl.get_params().keys() == before
    assert not hasattr(ssl, "classes_"), "a clone is trained"


def test_rows_that_no_label_reaches_get_the_most_common_label():
    """Label propagation returns NaN for them."""
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(0, 1, (40, 2)), rng.normal(1e4, 1, (20, 2))]
    y = np.full(60, -1)
    y[:9] = [0, 0, 0, 0, 0, 0, 1, 1, 1]
    with np.errstate(invalid="ignore"):
        pruner = semi_prune(ssl=LabelPropagation("rbf", gamma=10.0, max_iter=2000), keep=10).fit(X, y)
    assert (pruner.pseudo_labels_[40:] == 0).all()
    np.testing.assert_allclose(pruner.pseudo_confidence_[40:], 2 / 3)


@pytest.mark.parametrize(
    "proxy", [SGDClassifier(loss="log_loss", random_state=0), ProxyClassifier(n_hidden=16, lr=0.01)]
)
def test_any_incremental_classifier_works_as_proxy(proxy):
    pruner = semi_prune(proxy=proxy, n_epochs=6).fit(DIGITS / 16, labels(SEEDS))
    assert pruner.dynamics_.p_label.shape == (6, N_ROWS)
    assert pruner.dynamics_.correct[-1].mean() > 0.7


def test_sparse_rows_are_accepted():
    dense = semi_prune(keep=50).fit(DIGITS, labels(SEEDS))
    sparse = semi_prune(keep=50).fit(sp.csr_array(DIGITS), labels(SEEDS))
    assert sparse.transform(sp.csr_array(DIGITS)).shape == (50, 64)
    assert (sparse.pseudo_labels_ == dense.pseudo_labels_).mean() > 0.95


def test_estimators_that_read_images_get_images_and_so_does_the_caller():
    y = labels(SEEDS)
    pruner = semi_prune(
        keep=40,
        ssl=FixMatchClassifier(views=ImageViews(flip=False), min_steps=30, max_epochs=1, mu=2),
        proxy=ProxyClassifier("conv"),
        n_epochs=3,
    ).fit(IMAGES, y)
    assert pruner.transform(IMAGES).shape == (40, 8, 8)
    assert (pruner.pseudo_labels_ == CLASSES).mean() > 0.5
    assert pruner.dynamics_.correct[-1].mean() > pruner.dynamics_.correct[0].mean()
    flat, shaped = semi_prune(n_epochs=1).fit(DIGITS, y), semi_prune(n_epochs=1).fit(IMAGES, y)
    assert (flat.pseudo_labels_ == shaped.pseudo_labels_).all(), "logistic regression gets flat rows"


@pytest.mark.parametrize(
    "ssl",
    [
        None,
        FixMatchClassifier(views=TextViews(TfidfEncoder(30), n_variants=2), min_steps=60, max_epochs=1, mu=3),
    ],
)
def test_texts_are_encoded_except_for_estimators_that_read_texts(ssl):
    posts = load_newsgroups("train")
    rows = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(posts.target, (0, 7))))[:150]
    texts = [posts.data[i][:500] for i in rows]
    y = posts.target[rows].astype(object)
    y[60:] = None
    pruner = semi_prune(keep=20, ssl=ssl).fit(texts, y)
    assert len(pruner.transform(texts)) == 20
    right = (pruner.pseudo_labels_ == posts.target[rows])[60:].mean()
    assert right > 0.6, "chance is a half"


def test_unseen_rows_take_the_score_of_the_nearest_row(fitted):
    fitted.set_params(difficulty="dual", coreset="top", keep=30)
    rows = np.setdiff1d(np.arange(N_ROWS), SEEDS)[::7]
    near = DIGITS[rows] + np.random.default_rng(0).normal(0, 1e-3, (len(rows), 64))
    new, old = fitted.explain(near), fitted.explain().iloc[rows]
    np.testing.assert_array_equal(new["difficulty"], old["difficulty"])
    np.testing.assert_array_equal(new["mean_p"], old["mean_p"])
    assert new["pseudo_label"].tolist() == old["pseudo_label"].tolist()


@pytest.mark.parametrize("coreset", sorted(CORESETS))
def test_explain_gives_pseudo_label_difficulty_and_reason(fitted, coreset):
    fitted.set_params(difficulty="aum", coreset=coreset, keep=60, mis_ratio=0.2)
    why = fitted.explain()
    columns = [
        "kept",
        "rank",
        "stage",
        "pseudo_label",
        "confidence",
        "difficulty",
        "mean_p",
        "threshold",
        "reason",
    ]
    assert why.columns.tolist() == columns
    free = why["reason"] != "already labeled"
    assert (~free).sum() == len(SEEDS)
    assert why["reason"][why["kept"]].str.startswith("kept: ").all()
    assert not why["reason"][~why["kept"]].str.startswith("kept").any()
    np.testing.assert_allclose(why["difficulty"][free], aum(fitted.dynamics_)[free])
    np.testing.assert_allclose(why["mean_p"][free], fitted.dynamics_.p_label.mean(axis=0)[free], rtol=1e-5)
    assert (why["stage"][why["kept"]] == coreset).all()
    suspects = why["reason"].str.contains("mislabeled").sum()
    each = np.bincount(fitted.dynamics_.codes[free])
    expected = {"budget": 64, "ccs": 64, "class_ccs": (0.2 * each).astype(int).sum()}
    assert suspects == expected.get(coreset, 0)
    if coreset in ("top", "budget"):
        last = why.loc[why["rank"] == 59, "difficulty"].item()
        assert (why["threshold"][free] == last).all()


def test_a_fully_labeled_set_is_pruned_by_its_own_labels():
    wrong = CLASSES.copy()
    flipped = np.arange(0, N_ROWS, 20)
    wrong[flipped] = (wrong[flipped] + 5) % 10
    pruner = semi_prune(n_epochs=15, difficulty="aum", coreset="budget", mis_ratio=0.1, keep=300).fit(
        DIGITS, wrong
    )
    assert (pruner.pseudo_labels_ == wrong).all()
    assert (pruner.pseudo_confidence_ == 1.0).all()
    assert np.isnan(pruner.agreement_)
    suspects = np.flatnonzero(pruner.explain()["reason"].str.contains("mislabeled"))
    assert len(suspects) == 40
    assert np.isin(flipped, suspects).mean() > 0.9, "wrong labels have the lowest margins"


def test_by_default_as_many_rows_are_dropped_as_ssl_gets_wrong():
    wrong = CLASSES.copy()
    flipped = np.arange(0, N_ROWS, 5)
    wrong[flipped] = (wrong[flipped] + 5) % 10
    pruner = semi_prune(n_epochs=15, holdout=0.2, keep=100).fit(DIGITS, wrong)
    assert pruner.n_held_out_ == sum(int(0.2 * n) for n in np.bincount(wrong))
    dropped = pruner.explain()["reason"].str.contains("mislabeled")
    share = min(1 - pruner.agreement_, 0.3)
    assert share >= 0.2, "a fifth of the labels is wrong"
    assert dropped.sum() == sum(int(share * n) for n in np.bincount(wrong))
    kept = pruner.select(DIGITS)
    assert np.isin(kept, flipped).mean() < 0.1
    hardest = pruner.set_params(coreset="top").select(DIGITS)
    assert np.isin(hardest, flipped).mean() > 0.4


def test_the_share_that_is_dropped_by_default_has_limits():
    noise = np.random.default_rng(0).integers(10, size=N_ROWS)
    pruner = semi_prune(n_epochs=1, holdout=0.2, keep=10).fit(DIGITS, noise)
    assert pruner.agreement_ < 0.4
    dropped = pruner.explain()["reason"].str.contains("mislabeled").sum()
    assert dropped == sum(int(0.3 * n) for n in np.bincount(noise)), "never more than 0.3"
    unknown = semi_prune(n_epochs=1, holdout=0.0, keep=10).fit(DIGITS, CLASSES)
    dropped = unknown.explain()["reason"].str.contains("mislabeled").sum()
    assert dropped == sum(int(0.2 * n) for n in np.bincount(CLASSES)), "a fifth if nothing is known"


def test_the_default_pair_depends_on_whether_every_label_is_known(fitted):
    auto = clone(fitted).set_params(difficulty="auto", coreset="auto", keep=30, n_epochs=3)
    for y, difficulty, coreset in ((labels(SEEDS), "dual", "dual_beta"), (CLASSES, "aum", "class_ccs")):
        picks = auto.fit(DIGITS, y).select(DIGITS)
        named = clone(auto).set_params(difficulty=difficulty, coreset=coreset).fit(DIGITS, y)
        assert picks.tolist() == named.select(DIGITS).tolist()
        assert set(auto.explain()["stage"]) == {"", coreset}


def test_rare_classes_are_not_taken_for_wrong_labels():
    """CCS drops the hardest rows, which are those of the rare classes; the default does not."""
    y = CLASSES.copy()
    rows = np.concatenate([np.flatnonzero(y == c)[: 4 if c > 4 else 40] for c in range(10)])
    pruner = semi_prune(n_epochs=15, keep=0.3).fit(DIGITS[rows], y[rows])
    kept = np.bincount(y[rows][pruner.select(DIGITS[rows])], minlength=10)
    pruner.set_params(coreset="ccs", mis_ratio=0.3)
    globally = np.bincount(y[rows][pruner.select(DIGITS[rows])], minlength=10)
    assert (kept > 0).all()
    assert kept[5:].sum() > globally[5:].sum()


@pytest.mark.parametrize("n_rows", [2, 3, 5])
@pytest.mark.parametrize("mis_ratio", ["auto", 0.0, 0.99])
def test_tiny_labeled_sets_are_pruned_to_exact_sizes(n_rows, mis_ratio):
    X, y = np.arange(2.0 * n_rows).reshape(n_rows, 2), np.arange(n_rows) % 2
    pruner = SemiPruneFilter(keep=1.0, n_epochs=1, mis_ratio=mis_ratio, random_state=0).fit(X, y)
    assert sorted(pruner.select(X)) == list(range(n_rows)), "keep + mis_ratio > 1: nothing is dropped"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LostClassWarning)
        assert len(pruner.set_params(keep=1).select(X)) == 1


def test_the_names_of_labels_do_not_change_the_picks():
    names = np.array([f"digit {i}" for i in range(10)], dtype=object)
    y = labels(SEEDS)
    named = np.where(y == -1, None, names[y])
    by_number = semi_prune(keep=50).fit(DIGITS, y)
    by_name = semi_prune(keep=50).fit(DIGITS, named)
    assert by_name.classes_ == names.tolist()
    assert by_name.pseudo_labels_.dtype.kind == "U"
    assert (by_name.pseudo_labels_ == names[by_number.pseudo_labels_]).all()
    assert by_name.select(DIGITS).tolist() == by_number.select(DIGITS).tolist()


def test_rows_are_drawn_at_random_until_two_classes_have_labels():
    zeros, ones = np.flatnonzero(CLASSES == 0), np.flatnonzero(CLASSES == 1)
    pruner = semi_prune(keep=30).fit(DIGITS, labels(zeros[:5]))
    assert pruner.pseudo_labels_ is None
    first = pruner.select(DIGITS)
    assert len(first) == 30
    why = pruner.explain()
    assert (why["stage"][why["kept"]] == "random").all()
    assert set(semi_prune(keep=30, random_state=1).fit(DIGITS).select(DIGITS)) != set(first)
    pruner.partial_fit(DIGITS[ones[:5]], CLASSES[ones[:5]])
    assert set(pruner.pseudo_labels_) == {0, 1}
    assert (pruner.explain()["stage"] == "dual_beta").sum() == 30


def test_later_labels_improve_the_pseudo_labels():
    pruner = semi_prune(n_epochs=2).fit(DIGITS, labels(SEEDS[:15]))
    before = (pruner.pseudo_labels_ == CLASSES).mean()
    pruner.partial_fit(DATA.data[N_ROWS : N_ROWS + 300], DATA.target[N_ROWS : N_ROWS + 300])
    assert (pruner.pseudo_labels_ == CLASSES).mean() > before + 0.1, "labeled rows from elsewhere count"
    assert pruner.dynamics_.p_label.shape[1] == N_ROWS, "but only the pool's rows are logged"


def test_copies_are_trained_on_once_and_share_their_score():
    twice = np.r_[DIGITS, DIGITS[:100]]
    pruner = semi_prune(keep=300).fit(twice, np.r_[labels(SEEDS), np.full(100, -1)])
    assert pruner.dynamics_.p_label.shape[1] == N_ROWS
    assert (pruner.pseudo_labels_[N_ROWS:] == pruner.pseudo_labels_[:100]).all()
    once = semi_prune(keep=1.0).fit(DIGITS, labels(SEEDS))
    np.testing.assert_array_equal(once.dynamics_.p_label, pruner.dynamics_.p_label)


def test_a_clone_is_unfitted_and_a_pickle_continues_the_same(fitted):
    fitted.set_params(difficulty="dual", coreset="d2", keep=40)
    again = pickle.loads(pickle.dumps(fitted))
    assert again.select(DIGITS).tolist() == fitted.select(DIGITS).tolist()
    assert not hasattr(clone(fitted), "pseudo_labels_")
    other = pickle.loads(pickle.dumps(fitted))
    for copy in (again, other):
        copy.partial_fit(DIGITS[:3], CLASSES[:3])
    assert again.select(DIGITS).tolist() == other.select(DIGITS).tolist()


@pytest.mark.parametrize(
    ("settings", "y", "error", "message"),
    [
        ({"cold_start": "error"}, None, ValueError, r"at least two classes, got \[\]"),
        (
            {"cold_start": "error"},
            labels(np.flatnonzero(CLASSES == 3)),
            ValueError,
            r"at least two classes, got \[3\]",
        ),
        ({}, np.where(labels(SEEDS) < 0, -1, 0.5), ValueError, r"class labels, got continuous.*0\.5"),
        ({}, labels(SEEDS)[:-1], ValueError, "399"),
        ({"keep": 321}, labels(SEEDS), ValueError, r"keep=321 exceeds the 320 different rows"),
        ({"ssl": StandardScaler()}, labels(SEEDS), ValueError, "'ssl' parameter"),
        ({"proxy": LogisticRegression()}, labels(SEEDS), ValueError, "'proxy' parameter"),
        ({"difficulty": "loss"}, labels(SEEDS), ValueError, "'difficulty' parameter"),
        ({"coreset": "best"}, labels(SEEDS), ValueError, "'coreset' parameter"),
        ({"mis_ratio": 1.0}, labels(SEEDS), ValueError, "'mis_ratio' parameter"),
        ({"holdout": 1.0}, labels(SEEDS), ValueError, "'holdout' parameter"),
        ({"n_epochs": 0}, labels(SEEDS), ValueError, "'n_epochs' parameter"),
    ],
)
def test_errors_name_the_bad_input(settings, y, error, message):
    pruner = semi_prune(**settings)
    with pytest.raises(error, match=message):
        pruner.fit(DIGITS, y)
    assert not hasattr(pruner, "pool_")


def test_a_proxy_that_diverges_is_an_error_and_leaves_the_filter_unfitted():
    pruner = semi_prune(proxy=ProxyClassifier(lr=1e30), n_epochs=8)
    with pytest.raises(ValueError, match=r"a probability is not finite.*learning rate"):
        pruner.fit(DIGITS, labels(SEEDS))
    assert not hasattr(pruner, "pool_")
