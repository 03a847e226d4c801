"""FixMatchClassifier and its views, on real digits and posts."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_digits

from skprune import FixMatchClassifier, ProxyClassifier, TfidfEncoder
from skprune.datasets import load_newsgroups
from skprune.filters.semi_prune.nets import FixMatchBatches, FixMatchModule, FixMatchNet, Rows
from skprune.filters.semi_prune.views import ImageViews, TextViews, VectorViews, altered

DATA = load_digits()
DIGITS, IMAGES, CLASSES = (part[:500] for part in (DATA.data, DATA.images, DATA.target))
QUICK = {"min_steps": 60, "max_epochs": 1, "batch_size": 32, "mu": 4, "random_state": 0}


def few_labels(per_class, y=CLASSES):
    """Return −1 for all rows except the first of each class."""
    few = np.full(len(y), -1)
    for c in np.unique(y):
        rows = np.flatnonzero(y == c)[:per_class]
        few[rows] = c
    return few


def generator():
    return torch.Generator().manual_seed(0)


# ---------------------------------------------------------------------- learning


def test_unlabeled_images_improve_on_the_labels_alone():
    """Compared with the same net trained on the labeled rows alone, three per class."""
    y = few_labels(3)
    free = y == -1
    views = ImageViews(flip=False)
    model = FixMatchClassifier(views=views, **QUICK | {"lr": 3e-3, "min_steps": 120}).fit(IMAGES, y)
    alone = ProxyClassifier("conv", max_epochs=120, lr=3e-3, random_state=0).fit(IMAGES[~free], y[~free])
    assert model.score(IMAGES[free], CLASSES[free]) > alone.score(IMAGES[free], CLASSES[free])
    assert model.n_steps_ >= 120
    assert any("Conv" in type(part).__name__ for part in model.module_)


def test_it_learns_from_vector_views():
    """Noisy views add little here: the labeled rows alone teach as much."""
    y = few_labels(3)
    model = FixMatchClassifier(**QUICK).fit(DIGITS, y)
    assert model.score(DIGITS[y == -1], CLASSES[y == -1]) > 0.7
    assert model.n_steps_ >= 60


def test_it_learns_from_text_views():
    posts = load_newsgroups("train")
    rows = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(posts.target, (0, 7))))[:240]
    texts, topics = [posts.data[i][:600] for i in rows], posts.target[rows]
    y = few_labels(20, topics)
    model = FixMatchClassifier(views=TextViews(TfidfEncoder(30), n_variants=2), **QUICK).fit(texts, y)
    right = model.predict(texts)[y == -1] == topics[y == -1]
    assert right.mean() > 0.75, "chance is a half"
    assert model.predict_proba(texts[:3]).shape == (3, 2)


def test_the_loss_matches_the_formula_of_fixmatch():
    """L_sup + λ_u · mean of 1[max p_weak ≥ τ] · CE(argmax p_weak, p_strong), written out."""
    rng = np.random.default_rng(0)
    labeled, weak, strong = (torch.tensor(rng.normal(0, 3, (n, 4))) for n in (5, 12, 12))
    y = rng.integers(4, size=5)
    net = FixMatchNet(torch.nn.Identity(), threshold=0.7, lambda_u=0.5)
    loss = net.get_loss((labeled, weak, strong), torch.tensor(y)).item()

    def log_p(logits):
        logits = logits.numpy()
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    supervised = -np.mean([log_p(labeled)[i, y[i]] for i in range(5)])
    p_weak = np.exp(log_p(weak))
    sure = [i for i in range(12) if p_weak[i].max() >= 0.7]
    assert 0 < len(sure) < 12
    consistency = -sum(log_p(strong)[i, p_weak[i].argmax()] for i in sure) / 12
    assert loss == pytest.approx(supervised + 0.5 * consistency)


def test_weak_views_have_no_gradient():
    module = FixMatchModule(torch.nn.Linear(3, 2), n_labeled=2)
    rows = torch.randn(2 + 2 * 4, 3, generator=generator(), requires_grad=True)
    labeled, weak, strong = module(rows)
    assert [len(part) for part in (labeled, weak, strong)] == [2, 4, 4]
    assert not weak.requires_grad
    (labeled.sum() + strong.sum()).backward()
    moved = rows.grad.abs().sum(dim=1) > 0
    assert moved.tolist() == [True] * 2 + [False] * 4 + [True] * 4


def test_an_epoch_shows_every_row_once_and_repeats_labeled_rows():
    X = np.arange(50, dtype=np.float64).reshape(50, 1)
    y = np.where(np.arange(50) < 6, np.arange(50) % 2, -1)
    views = VectorViews(weak_noise=0.0, strong_noise=0.0, dropout=0.0).fit(X)
    batches = FixMatchBatches(Rows(views, X, y), batch_size=4, mu=3, rng=np.random.default_rng(0))
    scale, mean = views.scaler_.scale_, views.scaler_.mean_
    labeled, shown = [], []
    for rows, codes in batches:
        numbers = (rows.numpy().ravel() * scale + mean).round().astype(int)
        weak, strong = np.split(numbers[4:], 2)
        assert (weak == strong).all(), "two views of the same rows"
        assert (y[numbers[:4]] == codes.numpy()).all()
        labeled += numbers[:4].tolist()
        shown += weak.tolist()
    assert sorted(shown) == list(range(50))
    assert len(batches) == 5
    assert set(np.bincount(labeled)) == {3, 4}, "20 places for six rows"


@pytest.mark.parametrize("X", [DIGITS, IMAGES], ids=["rows", "images"])
def test_the_seed_decides_the_model(X):
    y = few_labels(3)
    quick = QUICK | {"min_steps": 5}
    before = torch.get_rng_state()
    first, same = (FixMatchClassifier(**quick).fit(X, y).predict_proba(X) for _ in range(2))
    other = FixMatchClassifier(**quick | {"random_state": 1}).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3
    assert torch.equal(torch.get_rng_state(), before)


def test_a_pickle_predicts_the_same_and_a_clone_is_unfitted():
    model = FixMatchClassifier(**QUICK | {"min_steps": 5}).fit(DIGITS, few_labels(3))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(DIGITS), model.predict_proba(DIGITS))
    assert not hasattr(clone(model), "module_")


def test_labels_of_any_kind_and_sparse_rows_are_accepted():
    names = np.array([f"digit {i}" for i in range(10)], dtype=object)
    y = few_labels(5)
    named = np.where(y == -1, None, names[y])
    model = FixMatchClassifier(**QUICK).fit(sp.csr_array(DIGITS), named)
    assert model.classes_.tolist() == names.tolist()
    assert (model.predict(sp.csr_array(DIGITS)) == names[CLASSES]).mean() > 0.6


@pytest.mark.parametrize(
    ("settings", "X", "y", "message"),
    [
        ({}, DIGITS, np.full(500, -1), r"at least two classes, got \[\]"),
        ({}, DIGITS, np.where(CLASSES == 4, 4, -1), r"at least two classes, got \[4\]"),
        ({}, DIGITS, few_labels(2)[:-1], "499"),
        ({}, DIGITS, np.where(CLASSES == 4, 0.5, -1), "class labels, got continuous"),
        ({}, np.where(DIGITS > 15, np.inf, DIGITS), few_labels(2), "infinity"),
        ({"views": "strong"}, DIGITS, few_labels(2), "'views' parameter"),
        ({"threshold": 1.5}, DIGITS, few_labels(2), "'threshold' parameter"),
        ({"mu": 0}, DIGITS, few_labels(2), "'mu' parameter"),
        ({"lambda_u": -1.0}, DIGITS, few_labels(2), "'lambda_u' parameter"),
    ],
)
def test_errors_name_the_bad_input(settings, X, y, message):
    with pytest.raises(ValueError, match=message):
        FixMatchClassifier(**settings).fit(X, y)


def test_text_views_need_texts():
    with pytest.raises(TypeError, match="X must hold texts"):
        FixMatchClassifier(views=TextViews(), **QUICK).fit(DIGITS, few_labels(2))


# ---------------------------------------------------------------------- views


def test_vector_views_add_noise_and_set_features_to_their_mean():
    views = VectorViews(weak_noise=0.1, strong_noise=0.0, dropout=0.25).fit(DIGITS)
    rows = np.arange(500)
    plain = views.plain(views.load(DIGITS), rows)
    assert plain.dtype == torch.float32
    np.testing.assert_allclose(plain.mean(dim=0), 0.0, atol=1e-5)
    assert plain.square().mean().item() == pytest.approx(1.0, rel=1e-4)
    noise = views.weak(DIGITS, rows, generator()) - plain
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)
    strong = views.strong(DIGITS, rows, generator())
    varies = plain.std(dim=0) > 0
    left_out = (strong != plain)[:, varies]
    assert left_out.float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert (strong[:, varies][left_out] == 0).all(), "the mean, after centering"
    sparse = VectorViews().fit(sp.csr_array(DIGITS))
    np.testing.assert_allclose(sparse.plain(sp.csr_array(DIGITS), rows), plain, atol=1e-4)


def test_images_have_one_of_three_axis_orders():
    rows = np.arange(30)
    gray = ImageViews().fit(IMAGES).plain(IMAGES, rows)
    assert gray.shape == (30, 1, 8, 8)
    whole = ImageViews().fit(IMAGES).plain(IMAGES, np.arange(500))
    assert whole.mean().item() == pytest.approx(0.0, abs=1e-4)
    assert whole.std().item() == pytest.approx(1.0, rel=1e-3)
    last, first = np.repeat(IMAGES[..., None], 3, axis=3), np.repeat(IMAGES[:, None], 3, axis=1)
    a, b = (ImageViews().fit(X).plain(X, rows) for X in (last, first))
    assert a.shape == (30, 3, 8, 8)
    assert torch.equal(a, b)
    torch.testing.assert_close(a[:, :1], gray)


def test_a_weak_image_is_shifted_by_whole_pixels_and_may_be_mirrored():
    views = ImageViews(shift=0.25).fit(IMAGES)
    plain = views.plain(IMAGES, np.arange(40)).numpy()[:, 0]
    weak = views.weak(IMAGES, np.arange(40), generator()).numpy()[:, 0]
    drawn = set()
    for before, after in zip(plain, weak, strict=True):
        padded = np.pad(before, 2, mode="edge")
        found = [
            (dy, dx, mirrored)
            for dy in range(5)
            for dx in range(5)
            for mirrored, shifted in enumerate(
                (padded[dy : dy + 8, dx : dx + 8], padded[dy : dy + 8, dx : dx + 8][:, ::-1])
            )
            if np.allclose(shifted, after, atol=1e-4)
        ]
        assert found, "no shift of at most two pixels gives this view"
        drawn |= set(found[:1])
    assert len(drawn) > 10
    still = ImageViews(flip=False, shift=0.0).fit(IMAGES)
    np.testing.assert_allclose(still.weak(IMAGES, np.arange(40), generator())[:, 0], plain, atol=1e-5)


def test_a_strong_image_has_a_square_at_the_mean_and_keeps_its_range():
    views = ImageViews(flip=False, n_operations=0).fit(IMAGES)
    rows = np.arange(200)
    plain, strong = views.plain(IMAGES, rows), views.strong(IMAGES, rows, generator())
    cut = ~torch.isclose(strong, plain, atol=1e-4)
    assert (strong[cut].abs() < 1e-6).all(), "0 is the mean, after standardizing"
    for hole in cut[:, 0].numpy():
        if hole.any():
            height, width = (np.ptp(axis) + 1 for axis in np.nonzero(hole))
            assert max(height, width) <= 5, "at most half the side"
    assert 0.02 < cut.float().mean() < 0.15
    changed = ImageViews().fit(IMAGES).strong(IMAGES, rows, generator())
    assert (changed - plain).abs().mean() > 0.3
    assert changed.min() >= plain.min() - 1e-4
    assert changed.max() <= plain.max() + 1e-4


def test_constant_images_give_finite_views():
    X = np.full((4, 6, 6), 7.0)
    views = ImageViews().fit(X)
    for view in (views.plain(X, np.arange(4)), views.weak(X, np.arange(4), generator())):
        assert torch.isfinite(view).all()


def test_text_views_encode_every_variant_once():
    posts = [text[:300] for text in load_newsgroups("train").data[:40]]
    seen = []

    def encoder(texts):
        seen.extend(texts)
        return np.array([[len(t), t.count(" "), t.count("e")] for t in texts], dtype=float)

    views = TextViews(encoder, n_variants=3).fit(posts)
    seen.clear()
    store = views.load(posts, np.random.default_rng(0))
    assert len(seen) == 40 * (1 + 2 + 3)
    words = [sum(len(t.split()) for t in seen[start : start + 40]) for start in range(0, 240, 40)]
    assert words[0] > max(words[1:3]) > 0.85 * words[0], "a tenth of the words is dropped"
    assert 0.5 * words[0] < min(words[3:]) <= max(words[3:]) < 0.7 * words[0], "and four tenths"
    seen.clear()
    rows = np.arange(40)
    for view, variants in ((views.weak, store[1:3]), (views.strong, store[3:])):
        scaled = torch.stack([views.views_.plain(v, rows) for v in variants])
        shown = view(store, rows, generator())
        which = (scaled == shown).all(dim=2)
        assert which.any(dim=0).all(), "each row is one of its own variants"
        assert which.any(dim=1).all(), "and every variant is drawn"
    assert not seen
    assert len(views.load(posts)) == 1, "for prediction only the texts are encoded"


def test_text_views_fit_an_unfitted_encoder():
    posts = load_newsgroups("train").data[:60]
    views = TextViews(TfidfEncoder(8)).fit(posts)
    assert views.plain(views.load(posts[:5]), np.arange(5)).shape == (5, 8)


@given(
    st.text(alphabet="ab \n", max_size=40),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 100),
)
def test_an_altered_text_keeps_some_of_its_words(text, dropout, swaps, seed):
    words = text.split()
    left = altered(text, dropout, swaps, np.random.default_rng(seed)).split()
    pool = words.copy()
    for word in left:
        pool.remove(word)
    assert (len(left) > 0) == (len(words) > 0)
    if dropout == 0:
        assert sorted(left) == sorted(words)
        if swaps == 0:
            assert left == words


def test_numeric_labels_stay_numeric_beside_none():
    y = [*load_digits().target[:60], *[None] * 60]
    model = FixMatchClassifier(**QUICK).fit(DIGITS[:120], y)
    assert model.classes_.dtype.kind == "i"
    assert model.score(DIGITS[:60], load_digits().target[:60]) > 0.5
