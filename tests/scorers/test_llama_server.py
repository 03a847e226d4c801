"""P("yes") from a real llama.cpp server against our own forward pass.

llama-cpp-python compiles for minutes, so no extra installs it. The test runs where ``llama_cpp`` can be
imported, or with an interpreter that has it: ``SKPRUNE_LLAMA_PYTHON=/path/to/python``.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time

import llm_server
import pytest
from scipy.stats import spearmanr

PYTHON = os.environ.get("SKPRUNE_LLAMA_PYTHON") or (
    sys.executable if importlib.util.find_spec("llama_cpp") else None
)


@pytest.fixture(scope="module")
def base_url(smollm2):
    if PYTHON is None:
        pytest.skip("needs llama-cpp-python[server], here or in SKPRUNE_LLAMA_PYTHON")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PYTHON, "-m", "llama_cpp.server", "--model", str(next(smollm2.glob("*.gguf")))]
    options = ["--model_alias", "smollm2", "--logits_all", "True", "--n_ctx", "2048", "--port", str(port)]
    with subprocess.Popen(command + options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port, server)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def _wait_for(port: int, server: subprocess.Popen) -> None:
    for _ in range(600):
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None, "the server ended before it listened"
        time.sleep(0.1)
    raise TimeoutError("the server does not listen")


@pytest.mark.slow
@pytest.mark.network  # the model is fetched once
@pytest.mark.parametrize("normalize", ["vocab", "yes_no"])
def test_a_server_ranks_texts_as_our_own_forward_pass_does(base_url, normalize):
    scores, n_censored = llm_server.compare(base_url, llm_server.sample(40, seed=1), normalize)
    assert spearmanr(scores["ours"], scores["server"]).statistic > 0.85
    assert abs(scores["server"] / scores["ours"] - 1).median() < 0.2
    assert n_censored == 0
