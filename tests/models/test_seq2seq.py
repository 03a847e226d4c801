"""The fine-tuned encoder–decoder, on a tiny T5 and a tiny BART made here.

The file is long because tests mirror the source: it covers all of skprune/models/seq2seq.py.
"""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tokenizers
import torch
import transformers
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils import check_random_state, get_tags

from skprune import EmptyPoolError, ModelLoadError, PrunedQuery, RandomFilter, TransformerSeq2Seq
from skprune.modal import ActiveLearner
from skprune.models.nets import TrainableNet
from skprune.strategies import BADGE, BERTKM, CAL, IDDS, NSP, Coreset, Entropy, RandomSampling

DIGITS = {
    "one": "die eins",
    "two": "die zwei",
    "three": "die drei",
    "four": "die vier",
    "five": "die fünf",
    "six": "die sechs",
}


def toy_pairs(*sizes: int) -> tuple[list[str], list[str]]:
    """Return sequences of number words, and their translations word by word."""
    words = [words for size in sizes for words in itertools.product(DIGITS, repeat=size)]
    return [" ".join(w) for w in words], [" ".join(DIGITS[word] for word in w) for w in words]


ENGLISH, GERMAN = toy_pairs(1, 2)  # 42 pairs
POOL, REFERENCES = (rows[::7] for rows in toy_pairs(3))  # 31 longer pairs


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def make_tokenizer(folder: Path) -> int:
    """Train a word tokenizer that ends texts like T5's, and return the size of its vocabulary."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.WordLevelTrainer(special_tokens=["<pad>", "</s>", "<unk>"])
    tokenizer.train_from_iterator([*ENGLISH, *GERMAN], trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return tokenizer.get_vocab_size()


@pytest.fixture(scope="module")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a random T5 of 40,000 weights."""
    folder = tmp_path_factory.mktemp("t5")
    config = transformers.T5Config(
        vocab_size=make_tokenizer(folder),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        dropout_rate=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny_bart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a random BART with another start token and a limited number of positions."""
    folder = tmp_path_factory.mktemp("bart")
    config = transformers.BartConfig(
        vocab_size=make_tokenizer(folder),
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=40,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=1,
        decoder_start_token_id=1,
        forced_eos_token_id=1,
        dropout=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BartForConditionalGeneration(config).save_pretrained(folder)
    return folder


def quick(model: Path, **params: Any) -> TransformerSeq2Seq:
    """Return an estimator that learns the toy task in seconds."""
    recipe: dict[str, Any] = {
        "lr": 1e-2,
        "max_epochs": 40,
        "min_steps": 1,
        "max_target_length": 8,
        "precision": "float32",
        "random_state": 0,
    }
    return TransformerSeq2Seq(model, **{**recipe, **params})


@pytest.fixture(scope="module")
def fitted(tiny_t5: Path) -> TransformerSeq2Seq:
    return quick(tiny_t5).fit(ENGLISH, GERMAN)


@pytest.fixture(scope="module")
def unsure(tiny_t5: Path) -> TransformerSeq2Seq:
    """Return an undertrained model, whose beams differ and whose predictions may not end."""
    return quick(tiny_t5, max_epochs=3).fit(ENGLISH, GERMAN)


def test_learns_to_translate(fitted: TransformerSeq2Seq) -> None:
    assert fitted.history_[-1]["train_loss"] < fitted.history_[0]["train_loss"] / 10
    predicted = fitted.predict(ENGLISH)
    assert predicted.dtype == object
    assert np.mean(predicted == GERMAN) > 0.9
    assert fitted.score(ENGLISH, GERMAN) > 80


def test_the_loss_is_cross_entropy_per_token(tiny_t5: Path, unsure: TransformerSeq2Seq) -> None:
    model, tokenizer = unsure.net_.module_.model, unsure.tokenizer_
    again = quick(tiny_t5, max_epochs=1, lr=1e-12, batch_size=100).set_params(patience=1)
    again.net_, again.tokenizer_ = unsure.net_, tokenizer
    again.seed_, again.n_updates_ = 0, 0
    again.partial_fit(ENGLISH, GERMAN)
    source = tokenizer(ENGLISH, padding=True, return_tensors="pt")
    target = tokenizer(GERMAN, padding=True, return_tensors="pt")
    labels = target["input_ids"].masked_fill(target["attention_mask"] == 0, -100)
    with torch.inference_mode():
        expected = model(**source, labels=labels).loss.item()
    assert again.history_[0]["train_loss"] == pytest.approx(expected, abs=1e-4)


def by_hand(model: TransformerSeq2Seq, text: str, num_beams: int) -> tuple[str, float]:
    """Predict and score one text token by token, using only transformers."""
    network, tokenizer = model.net_.module_.model, model.tokenizer_
    source = tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        (sequence,) = network.generate(
            **source, num_beams=num_beams, max_new_tokens=model.max_target_length, do_sample=False
        )
        log_probabilities = []
        for position in range(1, len(sequence)):
            logits = network(**source, decoder_input_ids=sequence[None, :position]).logits[0, -1]
            log_probabilities.append(logits.double().log_softmax(0)[sequence[position]].item())
            if sequence[position] == 1:
                break
    return tokenizer.decode(sequence, skip_special_tokens=True), float(np.mean(log_probabilities))


@pytest.mark.parametrize("num_beams", [1, 3])
def test_predictions_and_scores_match_transformers_one_by_one(
    num_beams: int, unsure: TransformerSeq2Seq
) -> None:
    model = copy.copy(unsure).set_params(num_beams=num_beams)
    texts = [*POOL, "", "one", "unknown words"]
    predicted, scores = model.predict(texts), model.sequence_scores(texts)
    expected = [by_hand(model, text, num_beams) for text in texts]
    assert predicted.tolist() == [text for text, _ in expected]
    assert scores == pytest.approx([score for _, score in expected], abs=1e-5)
    assert scores.dtype == np.float64
    assert (scores <= 0).all()
    assert len(set(scores.round(6))) > 20


def test_a_wider_beam_finds_more_likely_sequences(unsure: TransformerSeq2Seq) -> None:
    greedy, beams = (copy.copy(unsure).set_params(num_beams=n).sequence_scores(POOL) for n in (1, 8))
    assert beams.mean() > greedy.mean()


def test_scores_match_those_of_the_beam_search(unsure: TransformerSeq2Seq) -> None:
    source = unsure.tokenizer_(POOL[:5], padding=True, return_tensors="pt")
    with torch.inference_mode():
        output = unsure.net_.module_.model.generate(
            **source, num_beams=4, max_new_tokens=8, output_scores=True, return_dict_in_generate=True
        )
    assert unsure.sequence_scores(POOL[:5]) == pytest.approx(output.sequences_scores.numpy(), abs=1e-5)


def test_the_end_token_counts_only_if_it_was_generated(fitted: TransformerSeq2Seq) -> None:
    cut = copy.copy(fitted).set_params(max_target_length=3, num_beams=1)
    whole = copy.copy(fitted).set_params(num_beams=1)
    for text in ("one two", "one"):  # five and three tokens, with the end token
        assert cut.sequence_scores([text])[0] == pytest.approx(by_hand(cut, text, 1)[1], abs=1e-6)
    assert cut.predict(["one two", "one"]).tolist() == ["die eins die", "die eins"]
    assert whole.sequence_scores(["one"]) == pytest.approx(cut.sequence_scores(["one"]))


def test_batches_and_order_do_not_change_the_results(
    unsure: TransformerSeq2Seq, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*POOL, *ENGLISH, "one " * 30]
    order = check_random_state(0).permutation(len(texts))
    predicted, scores = unsure.predict(texts), unsure.sequence_scores(texts)
    monkeypatch.setattr("skprune.models.fine_tuning._CHUNK", 20)
    monkeypatch.setattr("skprune.models.fine_tuning._TOKENS_PER_BATCH", {"cpu": 100})
    monkeypatch.setattr("skprune.models.seq2seq._LOGITS_PER_BATCH", {"cpu": 500})
    shuffled = [texts[i] for i in order]
    assert unsure.predict(shuffled).tolist() == predicted[order].tolist()
    assert unsure.sequence_scores(shuffled) == pytest.approx(scores[order], abs=1e-5)


def test_the_seed_decides_the_model_and_global_generators_do_not_change(
    tiny_t5: Path, unsure: TransformerSeq2Seq
) -> None:
    torch.manual_seed(17)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    again = quick(tiny_t5, max_epochs=3).fit(ENGLISH, GERMAN)
    other = quick(tiny_t5, max_epochs=3, random_state=1).fit(ENGLISH, GERMAN)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert np.array_equal(again.sequence_scores(POOL), unsure.sequence_scores(POOL))
    assert not np.array_equal(other.sequence_scores(POOL), unsure.sequence_scores(POOL))


def test_the_prefix_is_put_before_every_source(tiny_t5: Path, unsure: TransformerSeq2Seq) -> None:
    prefixed = copy.copy(unsure).set_params(prefix="two ")
    assert np.array_equal(
        prefixed.sequence_scores(["one"] * 2), unsure.sequence_scores(["two one"] * 2), equal_nan=False
    )
    trained = quick(tiny_t5, max_epochs=3, prefix="two ").fit(ENGLISH, GERMAN)
    by_us = quick(tiny_t5, max_epochs=3).fit([f"two {text}" for text in ENGLISH], GERMAN)
    assert np.array_equal(trained.sequence_scores(["one"]), by_us.sequence_scores(["two one"]))


def test_long_texts_are_cut(tiny_t5: Path, fitted: TransformerSeq2Seq) -> None:
    short = copy.copy(fitted).set_params(max_source_length=3)
    assert short.predict(["one two three four"]).tolist() == fitted.predict(["one two"]).tolist()


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
def test_containers(container: Any, tiny_t5: Path) -> None:
    model = quick(tiny_t5, max_epochs=1).fit(container(ENGLISH), container(GERMAN))
    expected = quick(tiny_t5, max_epochs=1).fit(ENGLISH, GERMAN)
    assert np.array_equal(model.sequence_scores(container(POOL)), expected.sequence_scores(POOL))
    assert np.array_equal(model.predict(container(POOL)), expected.predict(POOL))


def test_predictions_for_no_texts_are_empty(fitted: TransformerSeq2Seq) -> None:
    assert fitted.predict([]).shape == (0,)
    assert fitted.sequence_scores([]).shape == (0,)


def test_params_stay_as_given_and_a_clone_is_unfitted(tiny_t5: Path, fitted: TransformerSeq2Seq) -> None:
    assert fitted.get_params() == quick(tiny_t5).get_params()
    unfitted = clone(fitted)
    assert unfitted.get_params() == fitted.get_params()
    assert not hasattr(unfitted, "net_")


def test_a_pickle_holds_the_weights_once_and_needs_no_model_folder(
    fitted: TransformerSeq2Seq,
) -> None:
    content = pickle.dumps(fitted)
    n_bytes = 4 * sum(p.numel() for p in fitted.net_.module_.parameters())
    assert len(content) < n_bytes + 100_000  # no optimizer and no second copy
    again = pickle.loads(content).set_params(model="gone")
    assert np.array_equal(again.sequence_scores(POOL), fitted.sequence_scores(POOL))
    assert again.partial_fit(ENGLISH, GERMAN).n_updates_ == 1


def test_partial_fit_continues_and_fit_starts_anew(tiny_t5: Path, unsure: TransformerSeq2Seq) -> None:
    model = quick(tiny_t5, max_epochs=3).partial_fit(ENGLISH, GERMAN)
    assert np.array_equal(model.sequence_scores(POOL), unsure.sequence_scores(POOL))
    first = model.history_[0]["train_loss"]
    for update in (1, 2):
        model.partial_fit(ENGLISH, GERMAN)
        assert model.n_updates_ == update
        assert model.history_[0]["train_loss"] < first
    model.fit(ENGLISH, GERMAN)
    assert model.n_updates_ == 0
    assert np.array_equal(model.sequence_scores(POOL), unsure.sequence_scores(POOL))


def test_an_interrupted_update_leaves_the_model_unchanged(
    tiny_t5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = quick(tiny_t5, max_epochs=2).fit(ENGLISH, GERMAN)
    expected = model.sequence_scores(POOL)
    steps = iter(range(2))
    train_step = TrainableNet.train_step

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return train_step(*args, **kwargs)

    monkeypatch.setattr(TrainableNet, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(ENGLISH, GERMAN)
    assert np.array_equal(model.sequence_scores(POOL), expected)


def test_early_stopping_watches_held_out_pairs(tiny_t5: Path) -> None:
    model = quick(tiny_t5, lr=1e-12, max_epochs=9, patience=2, validation_fraction=0.25)
    model.fit(ENGLISH, GERMAN)
    assert len(model.history_) == 3
    assert model.n_steps_ == 6  # 31 of the 42 pairs, in batches of 16
    assert "valid_loss" in model.history_[0]


def test_label_smoothing_lowers_the_confidence(tiny_t5: Path) -> None:
    scores = [
        quick(tiny_t5, max_epochs=8, label_smoothing=share).fit(ENGLISH, GERMAN).sequence_scores(ENGLISH)
        for share in (0.0, 0.5)
    ]
    assert scores[1].mean() < scores[0].mean() - 0.2


def test_bfloat16_learns_like_float32(tiny_t5: Path) -> None:
    model = quick(tiny_t5, precision="bfloat16", max_epochs=10).fit(ENGLISH, GERMAN)
    exact = quick(tiny_t5, max_epochs=10).fit(ENGLISH, GERMAN)
    assert model.net_.module_.compute_dtype is torch.bfloat16
    assert model.history_[-1]["train_loss"] == pytest.approx(exact.history_[-1]["train_loss"], rel=0.2)
    assert np.isfinite(model.sequence_scores(POOL)).all()
    assert {p.dtype for p in model.net_.module_.parameters()} == {torch.float32}


def test_another_architecture(tiny_bart: Path) -> None:
    model = quick(tiny_bart, max_source_length=40, max_epochs=10).fit(ENGLISH, GERMAN)
    assert model.history_[-1]["train_loss"] < model.history_[0]["train_loss"] - 0.5
    expected = [by_hand(model, text, 4) for text in POOL[:9]]
    assert model.predict(POOL[:9]).tolist() == [text for text, _ in expected]
    assert model.sequence_scores(POOL[:9]) == pytest.approx([score for _, score in expected], abs=1e-5)
    with pytest.raises(ValueError, match="max_source_length=41 exceeds the model's 40 positions"):
        quick(tiny_bart, max_source_length=41).fit(ENGLISH, GERMAN)


def test_grid_search(tiny_t5: Path) -> None:
    grid = {"lr": [1e-9, 1e-2], "max_epochs": [6]}
    search = GridSearchCV(quick(tiny_t5, num_beams=1, metric="rouge_l"), grid, cv=2).fit(ENGLISH, GERMAN)
    assert search.best_params_["lr"] == 1e-2


def test_metrics_distinguish_good_from_bad(fitted: TransformerSeq2Seq) -> None:
    for metric, best in (("sacrebleu", 100), ("rouge_l", 1)):
        model = copy.copy(fitted).set_params(metric=metric)
        predicted = model.predict(POOL)
        assert model.score(POOL, predicted) == pytest.approx(best)
        assert model.score(POOL, ["nothing of the kind at all"] * len(POOL)) < 0.05 * best


@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_a_loop_of_active_learning(container: Any, tiny_t5: Path) -> None:
    texts, labels = container(POOL + ENGLISH), container(REFERENCES + GERMAN)
    take = (lambda rows, i: rows.iloc[i]) if container is pd.Series else lambda rows, i: np.array(rows)[i]
    query = PrunedQuery(RandomFilter(keep=0.5, random_state=0), NSP(random_state=0))
    known = np.arange(0, 40, 5)
    learner = ActiveLearner(quick(tiny_t5, max_epochs=4), query, take(texts, known), take(labels, known))
    for _ in range(2):
        pool = np.setdiff1d(np.arange(len(texts)), known)
        indices, rows, metrics = learner.query(
            container(take(texts, pool)), n_instances=3, return_metrics=True
        )
        assert metrics == pytest.approx(1 - np.exp(learner.estimator.sequence_scores(rows)), abs=1e-5)
        assert len(query.subpool_) == (len(pool) + 1) // 2
        learner.teach(rows, take(labels, pool[indices]))
        known = np.concatenate([known, pool[indices]])
    assert len(known) == len(set(known.tolist())) == 14
    again = quick(tiny_t5, max_epochs=4).fit(take(texts, known), take(labels, known))
    assert np.array_equal(learner.predict(POOL), again.predict(POOL))


@pytest.mark.parametrize("strategy", [IDDS, RandomSampling])
def test_strategies_without_scores_work_too(strategy: type, tiny_t5: Path) -> None:
    query = PrunedQuery(RandomFilter(keep=0.5, random_state=0), strategy(random_state=0))
    learner = ActiveLearner(quick(tiny_t5, max_epochs=2), query, ENGLISH[:8], GERMAN[:8])
    indices, rows = learner.query(POOL, n_instances=4)
    assert rows == [POOL[i] for i in indices]
    assert set(indices) <= set(query.subpool_)
    learner.teach(rows, [REFERENCES[i] for i in indices])
    assert len(learner.X_training) == 12


@pytest.mark.parametrize(
    ("strategy", "lacks"),
    [
        (Entropy, "predict_proba"),
        (BADGE, "predict_proba"),
        (CAL, "predict_proba"),
        (Coreset, "penultimate features"),
        (BERTKM, "penultimate features"),
    ],
)
def test_strategies_for_classifiers_name_the_missing_method(
    strategy: type, lacks: str, fitted: TransformerSeq2Seq
) -> None:
    with pytest.raises(
        TypeError, match=f"{strategy.__name__} needs {lacks}, which TransformerSeq2Seq does not"
    ):
        strategy()(fitted, POOL)


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        ([], [], EmptyPoolError, "X has no rows"),
        (["a", "b"], ["c"], ValueError, "y has 1 texts for 2 texts of X"),
        (["a", None], ["c", "d"], ValueError, r"X\[1\] is None"),
        (["a", "b"], ["c", np.nan], ValueError, r"y\[1\] is NaN"),
        (["a", "b"], ["c", 3], TypeError, r"y\[1\] is int"),
        (["a", "b"], [0, 1], ValueError, "y must hold texts"),
        (["a", "b"], ["c", "\ud800"], ValueError, r"y\[1\] holds a lone surrogate"),
        (["a", "b"], None, ValueError, "y is None"),
        ("a text", ["b"], TypeError, "X is one str"),
        (["a", "b"], "ab", TypeError, "y is one str"),
    ],
)
def test_bad_pairs_are_refused(
    X: Any, y: Any, error: type[Exception], message: str, tiny_t5: Path, fitted: TransformerSeq2Seq
) -> None:
    model = quick(tiny_t5)
    for method in (model.fit, model.partial_fit, fitted.partial_fit, fitted.score):
        with pytest.raises(error, match=message):
            method(X, y)


@pytest.mark.parametrize(
    "params",
    [
        {"lr": 0.0},
        {"prefix": None},
        {"max_target_length": 1},
        {"num_beams": 0},
        {"metric": "comet"},
        {"label_smoothing": 1.0},
        {"device": "abacus"},
        {"precision": "int8"},
        {"random_state": -1},
    ],
)
def test_parameters_out_of_range_are_named(params: dict[str, Any], tiny_t5: Path) -> None:
    with pytest.raises(ValueError, match=next(iter(params))):
        quick(tiny_t5, **params).fit(ENGLISH, GERMAN)


def test_not_fitted(tiny_t5: Path) -> None:
    for call in (quick(tiny_t5).predict, quick(tiny_t5).sequence_scores):
        with pytest.raises(NotFittedError):
            call(POOL)
    with pytest.raises(NotFittedError):
        quick(tiny_t5).score(POOL, REFERENCES)


def test_errors_name_model_folders_that_do_not_load(tiny_t5: Path, minilm: Path, tmp_path: Path) -> None:
    truncated = tmp_path / "truncated"
    truncated.mkdir()
    for file in tiny_t5.iterdir():
        (truncated / file.name).write_bytes(file.read_bytes()[: 10_000 if file.suffix != ".json" else None])
    for folder in (truncated, tmp_path / "missing", minilm):
        with pytest.raises(ModelLoadError, match=folder.name):
            quick(folder).fit(ENGLISH, GERMAN)


def test_tags_declare_texts_as_input(tiny_t5: Path) -> None:
    tags = get_tags(quick(tiny_t5))
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array


@pytest.mark.gpu
def test_on_a_gpu(tiny_t5: Path) -> None:
    model = quick(tiny_t5, device="cuda").fit(ENGLISH, GERMAN)
    assert np.mean(model.predict(ENGLISH) == GERMAN) > 0.9
