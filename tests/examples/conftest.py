"""Data that the tests of several experiments use."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from skprune.datasets import BOILERPLATE_SECTIONS


@pytest.fixture
def data() -> Any:
    """Two thousand package descriptions, with vectors that tell the section python from the others."""
    found = import_module("_descriptions").Descriptions(
        argparse.Namespace(texts=2_000, max_words=40), BOILERPLATE_SECTIONS
    )
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(len(found.texts), 8)).astype(np.float32)
    vectors[:, 0] += 2 * (found.sections == "python")
    found.vectors = found._look_up(vectors)  # MiniLM would take a minute
    return found
