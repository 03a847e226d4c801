"""Names on the hub: a silent hub is not waited for, and the local cache needs no network."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from skprune import ModelLoadError
from skprune.hub import clear_models, names
from skprune.hub.names import HubModel, find_on_hub, reason_of
from skprune.hub.sources import loader_arguments, resolve
from tests.tiny_models import save_tiny_gpt2, save_tiny_t5

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def silent_port():
    """The port of a server that accepts connections and never answers."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(50)
    kept = []

    def accept():
        while True:
            try:
                kept.append(server.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)  # ends the wait in accept
    thread.join()
    server.close()
    for connection in kept:
        connection.close()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Return a function that points the hub's client to an address; the cache is empty."""
    monkeypatch.setattr(names, "PATIENCE", 0.5)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    clear_models()

    def point_to(address):
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    yield point_to
    clear_models()


def cache_model(cache, name, folder):
    """Put a model into the cache in the layout of the hub's client."""
    repository = Path(cache) / f"models--{name.replace('/', '--')}"
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)


def test_a_silent_hub_is_given_up_soon_and_not_asked_again(hub, silent_port):
    hub(f"http://127.0.0.1:{silent_port}")
    start = time.perf_counter()
    with pytest.raises(
        ModelLoadError, match=r"^quality='owner/name' is not a local path, the hub \(http.*does not"
    ):
        find_on_hub("owner/name", None, parameter="quality", gguf=True)
    assert time.perf_counter() - start < 3
    start = time.perf_counter()
    with pytest.raises(
        ModelLoadError, match=r"^model='owner/other' .* the path of a folder that holds the model"
    ):
        find_on_hub("owner/other", None, parameter="model")
    assert time.perf_counter() - start < 0.2


def test_a_hub_that_refuses_connections_is_reported_at_once(hub):
    hub("http://127.0.0.1:9")
    with pytest.raises(
        ModelLoadError, match=r"cannot be reached \(ConnectError\), and the local cache does not"
    ):
        find_on_hub("owner/name", None, parameter="model")


def test_offline_a_missing_model_is_reported_without_a_wait(hub, monkeypatch, silent_port):
    hub(f"http://127.0.0.1:{silent_port}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    start = time.perf_counter()
    with pytest.raises(
        ModelLoadError, match=r"encoder='owner/name' .* HF_HUB_OFFLINE is set, and the local .* unset HF"
    ):
        find_on_hub("owner/name", None, parameter="encoder")
    assert time.perf_counter() - start < 0.2


@pytest.mark.parametrize("mark", ["config.json", "modules.json"])
def test_a_cached_model_needs_no_hub(hub, tmp_path, silent_port, mark):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / mark).write_text("{}")
    cache_model(tmp_path / "cache", "owner/name", tmp_path / "model")
    hub(f"http://127.0.0.1:{silent_port}")
    for revision in (None, "main", COMMIT):
        found = find_on_hub("owner/name", revision, parameter="model")
        assert found == HubModel("owner/name", COMMIT)
        assert loader_arguments(found)[1] == {"revision": COMMIT, "local_files_only": True}
    with pytest.raises(ModelLoadError, match="the local cache does not hold it"):
        find_on_hub("owner/name", "another", parameter="model")


def test_an_impossible_name_is_not_looked_up(hub, silent_port):
    hub(f"http://127.0.0.1:{silent_port}")
    with pytest.raises(
        ModelLoadError,
        match=r"model='two words' .* form owner/name\. Pass .* or the name of a model",
    ):
        find_on_hub("two words", None, parameter="model")


def test_errors_name_the_parameter_of_a_wrong_path(tmp_path):
    with pytest.raises(
        ModelLoadError, match=r"^quality='/no/such' does not exist: .* a GGUF file or the name"
    ):
        resolve("/no/such", parameter="quality", gguf=True)
    with pytest.raises(
        ModelLoadError, match=r"^encoder='.*' must be a folder with a modules.json or a config.json"
    ):
        resolve(tmp_path, parameter="encoder", needs=("modules.json", "config.json"))


def test_a_reason_names_the_cause():
    error = OSError("no model\nmore lines")
    assert reason_of(error) == "no model"
    error.__cause__ = RuntimeError("")
    error.__cause__.__cause__ = TimeoutError("timed out")
    assert reason_of(error) == "no model: TimeoutError: timed out"
    assert reason_of(ValueError()) == "ValueError"


SCRIPT = """
import sys, time
from skprune import *
from skprune.hub import clear_models, names
names.PATIENCE = 1.0
texts, labels = ["aa", "b", "aaa", "bb"], [0, 1, 0, 1]
def report(what, run):
    clear_models()
    start = time.perf_counter()
    try:
        run()
        message = "works"
    except ModelLoadError as error:
        message = str(error)
    print(what, round(time.perf_counter() - start, 1), message, sep="|", flush=True)
missing = {
    "quality": lambda: AskLLMFilter(quality="owner/none").fit(texts),
    "perplexity": lambda: PerplexityFilter(perplexity=CausalLMScorer("owner/none")).fit(texts),
    "encoder": lambda: AnchorFilter(encoder="owner/none").fit(texts),
    "classifier": lambda: TransformerClassifier("owner/none").fit(texts, labels),
    "seq2seq": lambda: TransformerSeq2Seq("owner/none").fit(texts, texts),
}
quick = dict(max_epochs=1, min_steps=1)
cached = {
    "perplexity": lambda: PerplexityFilter(perplexity=CausalLMScorer("owner/gpt2", max_length=9)).fit(texts),
    "encoder": lambda: AnchorFilter(encoder="owner/minilm").fit(texts),
    "classifier": lambda: TransformerClassifier("owner/gpt2", **quick).fit(texts, labels),
    "seq2seq": lambda: TransformerSeq2Seq("owner/t5", **quick).fit(texts, texts),
}
for what, run in {"missing": missing, "cached": cached}[sys.argv[1]].items():
    report(what, run)
"""


@pytest.mark.parametrize("case", ["missing", "cached"])
def test_every_entry_point_with_a_silent_hub(case, silent_port, tmp_path, minilm):
    cache = tmp_path / "hub"
    if case == "cached":
        cache_model(cache, "owner/gpt2", save_tiny_gpt2(tmp_path / "gpt2"))
        cache_model(cache, "owner/t5", save_tiny_t5(tmp_path / "t5"))
        cache_model(cache, "owner/minilm", minilm)
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{silent_port}", "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, case]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    rows = [line.split("|") for line in out.splitlines()]
    assert len(rows) == (5 if case == "missing" else 4)
    for what, seconds, message in rows:
        if case == "cached":
            assert message == "works"
        else:
            parameter = what if what in ("quality", "encoder") else "model"
            assert message.startswith(
                f"{parameter}='owner/none' is not a local path, the hub (http://127.0.0.1:"
            )
            assert "Pass the path of a folder" in message
            assert "HF_HUB_OFFLINE=1" in message
            assert float(seconds) < 10
