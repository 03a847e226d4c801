"""Progress bars appear where somebody watches, and only when the work takes long."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import time

import pytest

from skprune import _progress
from skprune._progress import Progress


def test_nothing_is_shown_outside_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(_progress, "DELAY", 0.05)
    with Progress("scoring", 3) as progress:
        time.sleep(0.1)
        progress.update(3)
    assert capsys.readouterr() == ("", "")


def test_verbose_shows_the_bar_everywhere_and_leaves_it(capsys):
    with Progress("scoring", 3, verbose=1) as progress:
        progress.update(3)
    assert "scoring: 100%" in capsys.readouterr().err


def on_a_terminal(code, **environment):
    """Return what a script writes to a terminal."""
    head = "from skprune import _progress; from skprune._progress import Progress; import time\n"
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-c", head + code], stderr=theirs, env={**os.environ, **environment}
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 10_000):
            written += chunk
    except OSError:  # Linux reports the end of the other side in this way
        pass
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


LONG = """
_progress.DELAY = _progress._TICK = 0.05
with Progress("loading a model"):
    time.sleep(0.5)
with Progress("scoring", 2) as progress:
    time.sleep(0.5)
    progress.update()
"""


def test_long_work_shows_its_progress_on_a_terminal_even_within_one_step():
    written = on_a_terminal(LONG)
    assert "loading a model [00:00]" in written
    assert "scoring:   0%" in written
    assert "scoring:  50%" in written
    assert "\n" not in written  # the bars are erased


def test_short_work_shows_nothing_on_a_terminal():
    assert on_a_terminal("with Progress('scoring', 1) as progress: progress.update()") == ""


def test_bars_can_be_turned_off():
    assert on_a_terminal(LONG, TQDM_DISABLE="1") == ""


def test_an_error_closes_the_bar(capsys):
    with pytest.raises(KeyError), Progress("scoring", 2, verbose=1) as progress:
        raise KeyError
    assert not progress._ticker.is_alive()
