"""Loading: two models of a kind stay, they can be freed, and a folder cannot make transformers fetch code."""

from __future__ import annotations

import json
import os
import shutil
import threading

import numpy as np
import pytest
import transformers

from skprune import CausalLMScorer, SentenceEncoder, TransformerClassifier, TransformerSeq2Seq
from skprune.hub import clear_models
from skprune.hub.loaded import Loaded
from skprune.language_models.causal.loader import load_causal_lm
from tests.tiny_models import save_tiny_gpt2, save_tiny_t5

TEXTS = ["aa aa", "bb b", "a aaa", "b bb bb"]


def test_two_models_stay_and_all_can_be_freed(tmp_path):
    loads = []
    load = Loaded(lambda source: loads.append(source.name) or object())
    a, b, c = (tmp_path / name for name in "abc")
    first = load(a)
    assert load(b) is load(b)
    assert load(a) is first
    load(c)  # in place of b, which was used before a
    assert load(a) is first
    load(b)
    assert loads == ["a", "b", "c", "b"]
    clear_models()
    load(b)
    assert loads[4:] == ["b"]


def test_threads_load_a_model_once(tmp_path):
    loads = []
    load = Loaded(lambda source: loads.append(source) or object())
    threads = [threading.Thread(target=load, args=(tmp_path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_during_a_load_does_not_block_the_child(tmp_path):
    started, finish = threading.Event(), threading.Event()
    slow = Loaded(lambda source: started.set() or finish.wait(30))
    quick = Loaded(lambda source: 7)
    thread = threading.Thread(target=slow, args=(tmp_path,))
    thread.start()
    started.wait()
    child = os.fork()
    if child == 0:
        os._exit(quick(tmp_path))
    for _ in range(100):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        finish.wait(0.1)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        status = None
    finish.set()
    thread.join()
    assert status is not None
    assert os.waitstatus_to_exitcode(status) == 7


def test_a_causal_model_is_loaded_again_after_it_was_freed(tmp_path):
    folder = save_tiny_gpt2(tmp_path / "gpt2")
    first = load_causal_lm(folder)
    assert load_causal_lm(folder) is first
    clear_models()
    assert load_causal_lm(folder) is not first


@pytest.fixture
def fetched(monkeypatch):
    """Record the kernels that transformers would fetch from the hub."""
    fetched = []
    monkeypatch.setattr(
        transformers.modeling_utils,
        "lazy_import_flash_attention",
        lambda name, **options: fetched.append(name),
    )
    return fetched


def name_a_kernel(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_attn_implementation": "someone/kernel"}))
    return folder


def test_no_kernel_that_a_folder_names_is_fetched(tmp_path, minilm, fetched):
    plain = save_tiny_gpt2(tmp_path / "plain")
    gpt2 = name_a_kernel(save_tiny_gpt2(tmp_path / "gpt2"))
    t5 = name_a_kernel(save_tiny_t5(tmp_path / "t5"))
    encoder = name_a_kernel(shutil.copytree(minilm, tmp_path / "minilm"))
    transformers.AutoModel.from_pretrained(gpt2)
    assert fetched
    fetched.clear()
    options = {"max_length": 9, "precision": "float32"}
    scores = CausalLMScorer(gpt2, **options)(TEXTS)
    np.testing.assert_array_equal(scores, CausalLMScorer(plain, **options)(TEXTS))
    vectors = SentenceEncoder(encoder, precision="float32")(TEXTS)
    np.testing.assert_array_equal(vectors, SentenceEncoder(minilm, precision="float32")(TEXTS))
    quick = {"max_epochs": 1, "min_steps": 1, "random_state": 0}
    for model in (gpt2, encoder):
        TransformerClassifier(model, **quick).fit(TEXTS, [0, 1, 0, 1])
    TransformerSeq2Seq(t5, **quick).fit(TEXTS, TEXTS)
    assert not fetched
    assert load_causal_lm(gpt2, precision="float32").model.config._attn_implementation == "sdpa"
