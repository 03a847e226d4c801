"""The fine-tuned transformer, with real MiniLM weights.

The file is long because tests mirror the source: it covers all of skprune/models/classifier.py.
"""

from __future__ import annotations

import copy
import itertools
import math
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

import skprune
from skprune import ModelLoadError, TransformerClassifier
from skprune.modal import ActiveLearner
from skprune.models.fine_tuning import learning_rate_factor
from skprune.models.nets import TrainableNet, _load_encoder, load_encoder
from skprune.strategies import BADGE, CAL, Entropy

WORDS = {
    "cooking": ["soup", "bread", "sauce", "oven", "salt", "butter", "onions", "cake", "pasta", "garlic"],
    "space": ["rocket", "orbit", "moon", "telescope", "galaxy", "comet", "planet", "shuttle", "Mars", "star"],
    "sport": [
        "football",
        "referee",
        "tennis",
        "goal",
        "marathon",
        "coach",
        "league",
        "racket",
        "team",
        "boxer",
    ],
}
FRAMES = ["we talked about the {} and the {}", "a {} or a {}", "she wrote of her {} and his {}"]


def toy_texts(words: slice) -> tuple[list[str], list[str]]:
    """Return sentences on three topics; only the nouns show the topic."""
    rows = [
        (frame.format(*pair), topic)
        for topic, nouns in WORDS.items()
        for frame, pair in zip(itertools.cycle(FRAMES), itertools.combinations(nouns[words], 2), strict=False)
    ]
    return [text for text, _ in rows], [topic for _, topic in rows]


TRAIN, TOPICS = toy_texts(slice(0, 5))  # 30 texts
TEST, TEST_TOPICS = toy_texts(slice(5, 10))  # 30 texts with other nouns


def quick(model: Path, **params: Any) -> TransformerClassifier:
    """Return a classifier that learns the toy task in two seconds."""
    recipe: dict[str, Any] = {
        "lr": 3e-4,
        "head_lr": 3e-3,
        "batch_size": 10,
        "max_epochs": 4,
        "min_steps": 1,
        "dropout": 0.0,
        "frozen_layers": 4,
        "random_state": 0,
    }
    return TransformerClassifier(model, **{**recipe, **params})


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def fitted(minilm: Path) -> TransformerClassifier:
    return quick(minilm).fit(TRAIN, TOPICS)


def test_learns_topics_from_other_words(fitted: TransformerClassifier) -> None:
    assert fitted.score(TEST, TEST_TOPICS) > 0.8
    assert fitted.classes_.tolist() == ["cooking", "space", "sport"]
    assert fitted.history_[-1]["train_loss"] < fitted.history_[0]["train_loss"] / 2


def test_probabilities_are_the_softmax_of_the_head(fitted: TransformerClassifier) -> None:
    proba, features = fitted.predict_proba(TEST), fitted.penultimate(TEST)
    assert proba.shape == (30, 3)
    assert proba.sum(axis=1) == pytest.approx(1)
    assert features.dtype == np.float32
    assert features.shape == (30, 384)
    head = fitted.net_.module_.head
    logits = features @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    odds = np.exp(logits)
    assert proba == pytest.approx(odds / odds.sum(axis=1, keepdims=True), abs=1e-4)
    assert fitted.predict(TEST).tolist() == fitted.classes_[proba.argmax(axis=1)].tolist()
    assert fitted.proba_from_penultimate(features) == pytest.approx(proba, abs=1e-6)


@pytest.mark.parametrize("strategy", [BADGE, CAL])
def test_strategies_that_need_features_and_probabilities_encode_each_row_once(
    strategy: type, fitted: TransformerClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = SimpleNamespace(
        predict_proba=fitted.predict_proba, penultimate=fitted.penultimate, X_training=TRAIN
    )
    indices, metrics = strategy(random_state=0)(apart, TEST, n_instances=6)

    rows = []
    infer = TransformerClassifier._infer
    monkeypatch.setattr(
        TransformerClassifier, "_infer", lambda self, X, *args: (rows.extend(X), infer(self, X, *args))[1]
    )
    learner = SimpleNamespace(query_strategy=None, estimator=fitted, X_training=TRAIN)  # as in modAL
    found = strategy(random_state=0)(learner, TEST, n_instances=6)
    assert found[0].tolist() == indices.tolist()
    assert found[1] == pytest.approx(metrics, abs=1e-5)
    assert sorted(rows) == sorted([*TEST, *TRAIN] if strategy is CAL else TEST)


def test_the_seed_decides_the_model_and_global_generators_do_not_change(
    minilm: Path, fitted: TransformerClassifier
) -> None:
    torch.manual_seed(17)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    again = quick(minilm).fit(TRAIN, TOPICS)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert np.array_equal(again.predict_proba(TEST), fitted.predict_proba(TEST))


def test_other_seeds_and_none_give_other_models(minilm: Path) -> None:
    probabilities = [
        quick(minilm, random_state=seed, max_epochs=1).fit(TRAIN, TOPICS).predict_proba(TEST)
        for seed in (0, 1, None, None)
    ]
    for one, other in itertools.combinations(probabilities, 2):
        assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    "container",
    [
        tuple,
        np.array,
        lambda t: np.array(t, dtype=object),
        lambda t: pd.Series(t, index=range(50, 50 + len(t))),
        lambda t: pd.DataFrame({"text": t}),
    ],
    ids=["tuple", "U", "object", "Series", "DataFrame"],
)
def test_containers(container: Any, minilm: Path) -> None:
    texts = container(TRAIN[::5])
    labels = container(TOPICS[::5])
    model = quick(minilm, max_epochs=1).fit(texts, labels)
    expected = quick(minilm, max_epochs=1).fit(TRAIN[::5], TOPICS[::5])
    assert np.array_equal(model.predict_proba(texts), expected.predict_proba(TRAIN[::5]))


@pytest.mark.parametrize(
    "labels", [np.array([7, -3] * 4), [True, False] * 4, pd.Categorical(["b", "a"] * 4), [2.0, 1.0] * 4]
)
def test_predictions_have_the_type_of_the_labels(labels: Any, minilm: Path) -> None:
    model = quick(minilm, max_epochs=1).fit(TRAIN[:8], labels)
    assert model.classes_.tolist() == sorted(set(labels))
    assert set(model.predict(TEST)) <= set(labels)
    assert model.classes_.dtype == np.asarray(labels).dtype


def test_predictions_for_no_texts_are_empty(fitted: TransformerClassifier) -> None:
    assert fitted.predict_proba([]).shape == (0, 3)
    assert fitted.predict([]).shape == (0,)
    assert fitted.penultimate([]).shape == (0, 384)


@pytest.mark.parametrize(("dtype", "tolerance"), [(None, 1e-5), (torch.bfloat16, 0.03)])
def test_probabilities_do_not_depend_on_the_batch(
    dtype: torch.dtype | None, tolerance: float, fitted: TransformerClassifier
) -> None:
    model = copy.deepcopy(fitted)
    model.net_.module_.compute_dtype = dtype
    company = [*TEST[::3], "a rocket " * 40, "", "salt"]
    together = model.predict_proba(company)
    alone = np.vstack([model.predict_proba([text]) for text in company])
    assert together == pytest.approx(alone, abs=tolerance)


def test_bfloat16_ranks_like_float32(minilm: Path, fitted: TransformerClassifier) -> None:
    mixed = [f"{a} near the {b}" for a in WORDS["space"] for b in WORDS["sport"]]
    by_precision = {}
    model = copy.deepcopy(fitted)
    for dtype in (None, torch.bfloat16):
        model.net_.module_.compute_dtype = dtype
        by_precision[dtype] = pd.Series(model.predict_proba(mixed)[:, 1])
    assert by_precision[None].corr(by_precision[torch.bfloat16], method="spearman") > 0.98
    assert by_precision[torch.bfloat16].nunique() == len(set(mixed))


def test_chunks_change_no_probabilities(
    fitted: TransformerClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fitted.predict_proba(TEST)
    monkeypatch.setattr("skprune.models.fine_tuning._CHUNK", 7)
    assert fitted.predict_proba(TEST) == pytest.approx(expected, abs=0.03)


def test_params_stay_as_given_and_a_clone_is_unfitted(minilm: Path, fitted: TransformerClassifier) -> None:
    assert fitted.get_params() == quick(minilm).get_params()
    unfitted = clone(fitted)
    assert unfitted.get_params() == fitted.get_params()
    assert not hasattr(unfitted, "net_")


def test_a_pickle_loads_in_another_process_without_the_model_folder(
    fitted: TransformerClassifier, tmp_path: Path
) -> None:
    content = pickle.dumps(fitted)
    n_bytes = 4 * sum(p.numel() for p in fitted.net_.module_.parameters())
    assert len(content) < 1.05 * n_bytes  # the weights once and no optimizer
    (tmp_path / "model.pkl").write_bytes(content)
    script = (
        "import pickle, sys, numpy, torch; torch.set_num_threads(1)\n"
        "model = pickle.load(open('model.pkl', 'rb')); model.model = 'gone'\n"
        "numpy.save('proba.npy', model.predict_proba(sys.argv[1:]))"
    )
    path = os.pathsep.join([str(Path(skprune.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, "-c", script, *TEST],
        cwd=tmp_path,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert np.load(tmp_path / "proba.npy") == pytest.approx(fitted.predict_proba(TEST), abs=1e-5)


def test_grid_search_and_cross_validation(minilm: Path) -> None:
    search = GridSearchCV(quick(minilm), {"lr": [1e-9, 3e-4], "max_length": [16]}, cv=2)
    search.set_params(estimator__head_lr=None).fit(TRAIN, TOPICS)
    assert search.best_params_["lr"] == 3e-4
    assert search.predict(TEST[:2]).shape == (2,)
    assert cross_val_score(quick(minilm), TRAIN, TOPICS, cv=2).mean() > 0.6


def test_last_step_of_a_pipeline(minilm: Path, fitted: TransformerClassifier) -> None:
    upper = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = make_pipeline(upper, quick(minilm)).fit([text.upper() for text in TRAIN], TOPICS)
    assert np.array_equal(pipeline.predict(TEST), fitted.predict(TEST))


def test_teaching_starts_from_the_pretrained_weights(minilm: Path, fitted: TransformerClassifier) -> None:
    first, rest = slice(0, 30, 5), [i for i in range(30) if i % 5]
    learner = ActiveLearner(quick(minilm), Entropy(random_state=0), TRAIN[first], TOPICS[first])
    indices, rows = learner.query(TEST, n_instances=2)
    assert rows == [TEST[i] for i in indices]
    learner.teach([TRAIN[i] for i in rest], [TOPICS[i] for i in rest])
    again = quick(minilm).fit(learner.X_training, learner.y_training)
    assert np.array_equal(learner.predict_proba(TEST), again.predict_proba(TEST))


def test_class_weights_raise_the_probability_of_a_rare_class(minilm: Path) -> None:
    texts, labels = TRAIN[:12], TOPICS[:12]  # ten on cooking, two on space
    mean_of_rare = [
        quick(minilm, max_epochs=2, class_weight=w).fit(texts, labels).predict_proba(TEST)[:, 1].mean()
        for w in (None, "balanced", {"cooking": 1, "space": 50})
    ]
    assert mean_of_rare[0] + 0.05 < mean_of_rare[1] < mean_of_rare[2]


def test_epochs_are_added_until_min_steps(minilm: Path) -> None:
    steps: list[int] = []
    model = quick(minilm, batch_size=4, max_epochs=1, min_steps=5)
    with pytest.MonkeyPatch.context() as patch:
        train_step = TrainableNet.train_step
        patch.setattr(
            TrainableNet, "train_step", lambda *args, **kw: steps.append(1) or train_step(*args, **kw)
        )
        model.fit(TRAIN[7:15], TOPICS[7:15])
    assert model.n_steps_ == len(steps) == 6  # two batches per epoch
    assert [epoch["epoch"] for epoch in model.history_] == [1, 2, 3]


@pytest.mark.parametrize(
    ("params", "n_epochs"),
    [
        ({"patience": 2}, 3),
        ({"patience": 2, "min_steps": 5}, 5),
        ({"patience": None}, 7),
        ({"patience": 2, "validation_fraction": 0.5}, 3),
    ],
)
def test_training_stops_on_a_plateau(params: dict[str, Any], n_epochs: int, minilm: Path) -> None:
    model = quick(minilm, lr=1e-12, head_lr=1e-12, batch_size=8, max_epochs=7, **params)
    model.fit(TRAIN[7:15], TOPICS[7:15])
    assert len(model.history_) == n_epochs
    assert ("valid_loss" in model.history_[0]) == ("validation_fraction" in params)


def test_the_best_epoch_is_kept(minilm: Path) -> None:
    wild = {"lr": 5e-3, "head_lr": 0.5, "max_epochs": 6}
    stopped = quick(minilm, patience=6, **wild).fit(TRAIN, TOPICS)
    losses = [epoch["train_loss"] for epoch in stopped.history_]
    best = int(np.argmin(losses)) + 1
    assert best < 6
    until_best = quick(minilm, patience=None, **{**wild, "max_epochs": best}).fit(TRAIN, TOPICS)
    assert np.array_equal(stopped.predict_proba(TEST), until_best.predict_proba(TEST))


def test_an_interrupt_is_not_taken_for_an_early_stop(minilm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainableNet, "train_step", interrupted)
    model = quick(minilm)
    with pytest.raises(KeyboardInterrupt):
        model.fit(TRAIN, TOPICS)
    with pytest.raises(NotFittedError):
        model.predict(TEST)


def test_frozen_layers_keep_their_weights(minilm: Path, fitted: TransformerClassifier) -> None:
    pretrained = load_encoder(minilm).model.base_model.state_dict()
    tuned = fitted.net_.module_.encoder.state_dict()
    changed = {name for name in tuned if not torch.equal(tuned[name], pretrained[name])}
    assert {name.split(".")[2] for name in changed} == {"4", "5"}
    with pytest.raises(ValueError, match="frozen_layers=7 exceeds the 6 layers"):
        quick(minilm, frozen_layers=7).fit(TRAIN, TOPICS)


def test_all_weights_change_if_no_layer_is_frozen(minilm: Path) -> None:
    model = TransformerClassifier(minilm, max_epochs=1, min_steps=2, random_state=0).fit(TRAIN, TOPICS)
    pretrained = load_encoder(minilm).model.base_model
    tuned = model.net_.module_.encoder
    assert not torch.equal(
        tuned.embeddings.word_embeddings.weight, pretrained.embeddings.word_embeddings.weight
    )
    assert model.n_steps_ == 2


def test_the_recipe_of_active_prune(minilm: Path) -> None:
    recipe = {"lr": 2e-5, "batch_size": 16, "max_epochs": 5, "patience": None, "weight_decay": 0.028}
    schedule = {"schedule": "linear", "warmup": 0.1, "max_grad_norm": 0.28}
    model = quick(minilm, pooling="model", head_lr=None, **recipe, **schedule).fit(TRAIN, TOPICS)
    assert model.n_steps_ == 10
    assert model.penultimate(TEST).shape == (30, 384)
    assert np.abs(model.penultimate(TEST)).max() <= 1  # BERT's pooler ends in a tanh


def test_learning_rate_rises_then_falls() -> None:
    linear = learning_rate_factor("linear", 2, 10)
    assert [round(linear(step), 3) for step in (0, 1, 2, 6, 9)] == [0.333, 0.667, 1.0, 0.5, 0.125]
    constant = learning_rate_factor("constant", 2, 10)
    assert [constant(step) for step in (2, 9)] == [1.0, 1.0]


@pytest.fixture(scope="module")
def tiny_roberta(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a random RoBERTa without a head, whose head has two layers without weights."""
    folder = tmp_path_factory.mktemp("roberta")
    config = transformers.RobertaConfig(
        vocab_size=30522,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        pad_token_id=0,
        max_position_embeddings=66,
    )
    transformers.RobertaModel(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(minilm).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pooling", ["mean", "model"])
def test_another_architecture(pooling: str, tiny_roberta: Path) -> None:
    params = {"pooling": pooling, "frozen_layers": 0, "max_length": 64}
    models = [quick(tiny_roberta, random_state=s, **params).fit(TRAIN, TOPICS) for s in (0, 1, 0)]
    assert models[0].penultimate(TEST).shape == (30, 32)
    probabilities = [model.predict_proba(TEST) for model in models]
    assert np.array_equal(probabilities[0], probabilities[2])
    assert not np.array_equal(probabilities[0], probabilities[1])


def test_a_layer_before_the_head_is_drawn_from_the_seed(tiny_roberta: Path) -> None:
    pretrained = load_encoder(tiny_roberta)
    drawn = []
    for seed in (0, 1, 0):
        torch.manual_seed(seed)
        drawn.append(pretrained.build(2, "model", None).encoder.classifier.dense.weight)
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    assert drawn[0].std().item() == pytest.approx(0.02, rel=0.1)


def test_weights_are_read_once_and_again_when_the_folder_changes(minilm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "minilm"
    shutil.copytree(minilm, folder)
    first = load_encoder(folder)
    assert load_encoder(str(folder)) is first
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert load_encoder(folder) is not first


def test_loading_restores_the_verbosity_of_transformers(tiny_roberta: Path) -> None:
    transformers.utils.logging.set_verbosity_info()
    try:
        _load_encoder.load(tiny_roberta)
        assert transformers.utils.logging.get_verbosity() == transformers.logging.INFO
        assert transformers.utils.logging.is_progress_bar_enabled()
    finally:
        transformers.utils.logging.set_verbosity_warning()


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        (["a", None], ValueError, r"X\[1\] is None"),
        ([math.nan, "a"], ValueError, r"X\[0\] is NaN"),
        (["a", b"b"], TypeError, r"X\[1\] is bytes"),
        (["a", "\ud800"], ValueError, r"X\[1\] holds a lone surrogate"),
        ("a text", TypeError, "one str"),
    ],
)
def test_errors_name_rows_that_are_not_texts(
    texts: Any, error: type[Exception], message: str, minilm: Path, fitted: TransformerClassifier
) -> None:
    with pytest.raises(error, match=message):
        quick(minilm).fit(texts, [0, 1])
    with pytest.raises(error, match=message):
        fitted.predict(texts)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["one"] * 30, r"y must hold at least two classes, got \['one'\]"),
        (TOPICS[:-1], "y has 29 labels for 30 texts"),
        ([None, *TOPICS[1:]], r"y\[0\] is missing"),
        ([1.0, math.nan] * 15, r"y\[1\] is missing"),
        (np.linspace(0, 1, 30), "Unknown label type: continuous"),
        (np.zeros((30, 2)), "1d array"),
    ],
)
def test_bad_labels_are_refused(labels: Any, message: str, minilm: Path) -> None:
    with pytest.raises(ValueError, match=message):
        quick(minilm).fit(TRAIN, labels)


@pytest.mark.parametrize(
    "params",
    [
        {"lr": 0.0},
        {"pooling": "max"},
        {"max_length": 513},
        {"device": "abacus"},
        {"precision": "int8"},
        {"patience": 0},
        {"validation_fraction": 1.0},
        {"frozen_layers": -1},
        {"class_weight": "heavy"},
        {"random_state": -1},
    ],
)
def test_parameters_out_of_range_are_named(params: dict[str, Any], minilm: Path) -> None:
    with pytest.raises(ValueError, match=next(iter(params))):
        quick(minilm, **params).fit(TRAIN, TOPICS)


def test_not_fitted(minilm: Path) -> None:
    for method in ("predict", "predict_proba", "penultimate"):
        with pytest.raises(NotFittedError):
            getattr(quick(minilm), method)(TEST)


def test_errors_name_model_folders_that_do_not_load(minilm: Path, tmp_path: Path) -> None:
    truncated, pickled, empty = (tmp_path / name for name in ("truncated", "pickled", "empty"))
    for folder in (truncated, pickled):
        shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (truncated / "model.safetensors").write_bytes((minilm / "model.safetensors").read_bytes()[:100_000])
    torch.save({"classifier.bias": torch.zeros(2)}, pickled / "pytorch_model.bin")
    empty.mkdir()
    for folder in (truncated, pickled, empty, tmp_path / "missing", minilm / "model.safetensors"):
        with pytest.raises(ModelLoadError, match=folder.name):
            quick(folder).fit(TRAIN, TOPICS)


def test_tags_declare_texts_as_input(minilm: Path) -> None:
    tags = get_tags(quick(minilm))
    assert tags.estimator_type == "classifier"
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array


@pytest.mark.gpu
def test_on_a_gpu(minilm: Path, fitted: TransformerClassifier) -> None:
    model = quick(minilm, device="cuda").fit(TRAIN, TOPICS)
    assert model.score(TEST, TEST_TOPICS) > 0.8
    assert pickle.loads(pickle.dumps(model)).predict_proba(TEST) == pytest.approx(
        model.predict_proba(TEST), abs=0.02
    )


def test_a_class_of_one_text_is_trained_on_and_not_held_out(minilm: Path) -> None:
    texts, topics = [*TRAIN, "a text of its own"], [*TOPICS, "alone"]
    model = quick(minilm, validation_fraction=0.25, max_epochs=1).fit(texts, topics)
    assert "alone" in model.classes_
