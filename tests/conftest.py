"""Shared fixtures: small real models, and settings that make other libraries quiet and repeatable."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# No test may contact a model hub by accident. Offline, a wrong path fails at once with a clear error.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Without this, tokenizers warns in every process that is forked after its first use.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# By default, waiting threads spin, which makes torch several times slower on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# The matrices of tests are small, and the threads of OpenBLAS spin too. It reads this when NumPy is imported,
# and so do the processes that tests start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Hypothesis: the same examples in every run, and no failures on a slow machine.
settings.register_profile("skprune", deadline=None, derandomize=True)
settings.load_profile("skprune")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """Return the folder with the GGUF file of SmolLM2-135M-Instruct."""
    from skprune.datasets import fetch_model

    return fetch_model("smollm2-135m")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Return the folder of all-MiniLM-L6-v2, for sentence-transformers and transformers."""
    from skprune.datasets import fetch_model

    return fetch_model("minilm")


@pytest.fixture(scope="session")
def forkserver() -> multiprocessing.context.BaseContext:
    """Return a context for new processes that already have numpy, pandas and scikit-learn imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["skprune.store"])
    return context


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Return a dask cluster of two worker processes."""
    distributed = pytest.importorskip("distributed")
    settings = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": ":0"}
    with distributed.LocalCluster(n_workers=2, **settings) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster: Any) -> Iterator[Any]:
    """Return a client of the cluster, which dask uses until the tests of the file are done."""
    from distributed import Client

    with Client(cluster) as client:
        yield client
