"""``skprune rethreshold`` gives the files of another size without a new score."""

import json
import os
import shutil
from pathlib import Path

import pytest

from skprune import PerplexityFilter
from skprune.files import prune
from tests.fault_server import FaultServer

PRUNE = ("prune", "pool.jsonl", "-t", "body", "-k", 0.25, "-o", "kept")


def contents(*folders):
    return [Path(folder, "pool.jsonl").read_bytes() for folder in folders]


@pytest.mark.parametrize("keep", ["0.1", "0.6", "200"])
@pytest.mark.parametrize("method", ["perplexity", "random"])
def test_the_files_are_those_of_a_new_job(invoke, method, keep):
    earlier = invoke(*PRUNE, "-m", method)  # without --seed: the seed of the earlier job counts
    assert earlier.exit_code == 0, earlier.stderr
    result = invoke("rethreshold", "kept", "-k", keep, "-o", "other", "--removed", "gone", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["out"] == "other"
    seed = json.loads(Path("kept/.skprune/job.json").read_text())["seed"]
    fresh = invoke(
        *PRUNE[:4], "-k", keep, "-o", "fresh", "--removed", "fresh-gone", "--seed", seed, "-m", method
    )
    assert fresh.exit_code == 0, fresh.stderr
    assert contents("other", "gone") == contents("fresh", "fresh-gone")


@pytest.mark.parametrize("method", ["ask-llm", "active-prune"])
def test_no_text_is_scored_again(invoke, method):
    with FaultServer() as server:
        options = ("--set", "quality=judge", "--set", f"quality__base_url={server.base_url}")
        earlier = invoke(*PRUNE, "-m", method, *options)
        assert earlier.exit_code == 0, earlier.stderr
        n_asked = len(server.requests)
        assert n_asked >= 20
        result = invoke("rethreshold", "kept", "-k", 0.7, "-o", "more", "--explain-kept")
        assert result.exit_code == 0, result.stderr
        assert (
            len(server.requests) - n_asked <= 2
        )  # a probe names the model; no text of the pool is asked about
        bodies = [json.loads(line)["body"] for line in Path("pool.jsonl").read_text().splitlines()]
        later = json.dumps(server.requests[n_asked:])
        assert not any(body in later for body in bodies)
    rows = [json.loads(line) for line in Path("more", "pool.jsonl").read_text().splitlines()]
    assert len(rows) == 210
    assert {"reason", "threshold"} <= rows[0].keys()


def test_scores_may_be_in_a_folder_of_their_own(invoke):
    assert invoke(*PRUNE, "-m", "perplexity", "--memory", "scores").exit_code == 0
    assert not Path("kept/.skprune/scores").exists()
    assert invoke("rethreshold", "kept", "-k", 0.5, "-o", "half").exit_code == 0
    shutil.rmtree("scores")
    result = invoke("rethreshold", "kept", "-k", 0.6, "-o", "more")
    assert result.exit_code == 1
    assert "which held the scores of kept, does not exist" in result.stderr


def test_it_works_from_another_folder(invoke, tmp_path, monkeypatch):
    assert invoke(*PRUNE, "-m", "perplexity", "--seed", 0).exit_code == 0
    monkeypatch.chdir(tmp_path.parent)
    assert invoke("rethreshold", tmp_path / "kept", "-k", 0.5, "-o", tmp_path / "half").exit_code == 0
    assert len((tmp_path / "half" / "pool.jsonl").read_text().splitlines()) == 150


def test_errors_are_one_line(invoke):
    assert invoke(*PRUNE, "-m", "perplexity").exit_code == 0
    for arguments, code, message in (
        (("kept", "-o", "x"), 2, "--keep is missing"),
        (("kept", "-k", 3), 2, "--out is missing"),
        (("-k", 3, "-o", "x"), 2, "EARLIER is missing"),
        (("nowhere", "-k", 3, "-o", "x"), 1, "nowhere is not the folder --out of a finished skprune prune"),
        (("kept", "-k", 1000, "-o", "x"), 1, "keep=1000 exceeds"),
        (("kept", "-k", 1.5, "-o", "x"), 1, "keep"),
        (("kept", "-k", 3, "-o", "kept"), 1, "holds another job"),
    ):
        result = invoke("rethreshold", *arguments)
        assert (result.exit_code, result.stdout) == (code, ""), arguments
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    os.utime("pool.jsonl", ns=(1, 1))
    result = invoke("rethreshold", "kept", "-k", 3, "-o", "y")
    assert "pool.jsonl is not what it was when kept was made; prune again" in result.stderr


def test_a_pipe_cannot_be_read_again(invoke):
    text = Path("lines.txt").read_bytes()
    assert invoke("prune", "-", "-m", "random", "-k", 9, "-o", "kept", input=text).exit_code == 0
    done = invoke("rethreshold", "kept", "-k", 5, "-o", "five")
    assert done.exit_code == 1
    assert "was read from a pipe" in done.stderr


def test_the_library_keeps_no_scores_unless_it_is_asked_to(folder):
    for keep_scores in (False, True):
        out = f"kept-{keep_scores}"
        prune("lines.txt", PerplexityFilter(keep=9, random_state=0), out=out, keep_scores=keep_scores)
        assert Path(out, ".skprune", "scores").exists() == keep_scores
