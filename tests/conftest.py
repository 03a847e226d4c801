"""What several test files share: models from the pinned archives, and quiet, repeatable libraries."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import settings

from skprune.datasets import fetch_model

# No test may reach a hub by accident: a wrong path then fails at once, and says so.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Threads that spin while they wait slow torch down several times over on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The same examples every run, and no failure because a machine is slow.
settings.register_profile("skprune", deadline=None, derandomize=True)
settings.load_profile("skprune")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """Folder with the GGUF file of SmolLM2-135M-Instruct."""
    return fetch_model("smollm2-135m")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of all-MiniLM-L6-v2, for sentence-transformers and transformers."""
    return fetch_model("minilm")


@pytest.fixture(scope="session")
def forkserver() -> multiprocessing.context.BaseContext:
    """Where a test starts processes of its own: they have numpy, pandas and scikit-learn imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["skprune.store"])
    return context
