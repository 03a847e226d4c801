"""The demo on real models, and filters with an LLM and an encoder that share their scores."""

import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from skprune.datasets import load_movie_snippets

DEMO = Path(__file__).parents[2] / "examples" / "experiments" / "demo.py"

TWO_FILTERS = textwrap.dedent(
    """
    import json, sys
    from skprune import ActivePruneFilter, AnchorFilter
    from skprune.datasets import load_movie_snippets
    memory, llm, encoder = sys.argv[1:]
    data = load_movie_snippets()
    pool, y = data.data[:120], [*data.target[:6].tolist(), *[-1] * 114]
    prune = ActivePruneFilter(keep=0.3, quality=llm, memory=memory, random_state=0).fit(pool, y)
    anchor = AnchorFilter(3, 8, encoder=encoder, memory=memory, random_state=0).fit(pool, y)
    kept = [f.partial_fit(pool[6:12], data.target[6:12]).select(pool).tolist() for f in (prune, anchor)]
    print(json.dumps([kept, prune.n_llm_calls_, anchor.n_encoded_]))
    """
)


def test_a_second_run_with_memory_computes_nothing_and_keeps_the_same_rows(tmp_path, smollm2, minilm):
    def run():
        command = [sys.executable, "-c", TWO_FILTERS, str(tmp_path), str(smollm2), str(minilm)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return json.loads(out.splitlines()[-1])

    kept, llm_calls, encoded = run()
    assert llm_calls >= 11
    assert encoded == len(set(load_movie_snippets().data[:120]))
    assert run() == [kept, 0, 0]


def demo(out):
    """Return the command of a small demo."""
    sizes = "--data movies --pool-size 150 --test-size 40 --rounds 3 --batch 5 --n-seeds 10"
    return [sys.executable, str(DEMO), *sizes.split(), "--out", str(out)]


def picks(out):
    """Return the rows picked in each round, for each run in the folder of results."""
    rounds = {}
    for path in out.glob("runs/*/journal.jsonl"):
        lines = path.read_text().splitlines()[1:]
        rounds[path.parent.name] = [json.loads(line)["picked"] for line in lines]
    return rounds


@pytest.mark.slow
def test_the_demo_prunes_labels_trains_and_continues_after_a_kill(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(demo(whole), check=True, capture_output=True)
    with (whole / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["filter"] for r in rows] == ["none", "random", "activeprune", "anchoral", "proxy"]
    assert all(0 <= float(r["F1 at the end"]) <= 1 and r["labels"] == "25" for r in rows)
    assert (whole / "learning-curves.png").stat().st_size > 10_000

    process = subprocess.Popen(demo(killed), stdout=subprocess.DEVNULL)
    run = next(name for name in picks(whole) if name.startswith("movies-activeprune"))
    journal = killed / "runs" / run / "journal.jsonl"
    deadline = time.monotonic() + 300
    while not (journal.exists() and journal.read_text().count("\n") >= 3):
        assert process.poll() is None, "the demo ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(picks(killed)[run]) < 4
    subprocess.run(demo(killed), check=True, capture_output=True)
    assert picks(killed) == picks(whole)
