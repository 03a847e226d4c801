"""A small pool in a folder that the commands run in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

#: For processes in another directory.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
WORDS = ["a", "bird", "cat", "dog", "green", "hills", "old", "ran", "sat", "the", "trees", "while"]


def make_texts(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(4, 12))) for _ in range(n)]


@pytest.fixture
def texts():
    return make_texts(300)


@pytest.fixture
def folder(tmp_path, monkeypatch, texts):
    """The working directory, with the same texts as pool.jsonl and as lines.txt."""
    monkeypatch.chdir(tmp_path)
    rows = [{"id": f"doc-{i}", "body": text} for i, text in enumerate(texts)]
    Path("pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("lines.txt").write_text("".join(text + "\n" for text in texts))
    return tmp_path


@pytest.fixture
def run(folder):
    """Run the command as a process of its own."""

    def run(*args, blocked=None, **options):
        options = {"cwd": folder, "env": ENVIRONMENT, "capture_output": True, "timeout": 120} | options
        return subprocess.run(_command(args, blocked), **options)

    return run


@pytest.fixture
def start(folder):
    """Start the command as a process of its own, with pipes."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return lambda *args: subprocess.Popen(_command(args), cwd=folder, env=ENVIRONMENT, **pipes)


def _command(args, blocked=None):
    """Return the command line, or one in which a package cannot be imported."""
    start = ["-m", "skprune"]
    if blocked is not None:
        start = ["-c", f"import sys; sys.modules[{blocked!r}] = None; from skprune.cli import main; main()"]
    return [sys.executable, *start, *map(str, args)]


@pytest.fixture
def invoke(folder):
    """Run the command in this process."""
    from typer.testing import CliRunner

    from skprune.cli.app import app

    return lambda *args, **options: CliRunner().invoke(app, [str(arg) for arg in args], **options)
