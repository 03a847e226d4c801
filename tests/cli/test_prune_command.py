"""``skprune prune`` gives what ``skprune.files.prune`` gives, and fails in one line."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pandas as pd
import pytest

import skprune
from skprune import NGramScorer, PerplexityFilter, RandomFilter
from skprune.cli.methods import make_filter
from skprune.files import PruneSummary, prune
from tests.cli.conftest import ENVIRONMENT

PERPLEXITY = ("prune", "pool.jsonl", "-t", "body", "-m", "perplexity", "--seed", 0)


def lines(path):
    return Path(path).read_text().splitlines()


def test_the_files_are_those_of_the_library(invoke):
    result = invoke(*PERPLEXITY, "--keep", "0.25", "-o", "kept", "--removed", "gone")
    assert result.exit_code == 0, result.stderr
    prune(
        "pool.jsonl", PerplexityFilter(keep=0.25, random_state=0), text="body", out="kept2", removed="gone2"
    )
    for name in ("kept", "gone"):
        assert Path(name, "pool.jsonl").read_bytes() == Path(f"{name}2", "pool.jsonl").read_bytes()
    assert "kept 75 of 300 rows (25.0%)" in result.stdout
    assert "perplexity too high" in result.stdout
    assert result.stderr == ""


def test_json_has_the_fields_of_the_summary(invoke):
    summary = json.loads(invoke(*PERPLEXITY, "-k", "30", "-o", "kept", "--json").stdout)
    assert list(summary) == list(PruneSummary.__dataclass_fields__)
    assert (summary["rows"], summary["kept"], summary["removed"]) == (300, 30, 270)
    assert sum(summary["reasons"].values()) == 300
    assert summary["out"] == "kept"
    assert summary["removed_to"] is None


def test_nested_parameters_reach_the_scorer(invoke):
    options = ("--set", "perplexity__order=2", "-s", "perplexity__normalizer=null")
    assert invoke(*PERPLEXITY, "-o", "kept", *options).exit_code == 0
    filter = PerplexityFilter(perplexity=NGramScorer(order=2, normalizer=None), random_state=0)
    prune("pool.jsonl", filter, text="body", out="kept2")
    assert lines("kept/pool.jsonl") == lines("kept2/pool.jsonl")


def test_options_of_a_file_yield_to_those_of_the_command_line(invoke):
    Path("job.toml").write_text(
        'inputs = "pool.jsonl"\ntext = "body"\nmethod = "active-prune"\nkeep = 20\nout = "kept"\n'
        'on-missing = "drop"\n[set]\nquality = "null"\nreweighting = "null"\n'
    )
    result = invoke("prune", "--config", "job.toml", "-k", 40, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["kept"] == 40


def test_a_dry_run_prints_a_config_that_means_the_same_and_writes_nothing(invoke):
    options = ("-k", "0.1", "-o", "kept", "--removed", "gone", "-s", "perplexity__order=3", "--explain-kept")
    before = sorted(os.listdir())
    result = invoke(*PERPLEXITY, *options, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert sorted(os.listdir()) == before
    assert "# 300 rows; about 0 texts for an LLM" in result.stdout
    config = tomllib.loads(result.stdout)
    assert config["set"] == {"perplexity__order": 3}
    assert (config["keep"], config["removed"], config["explain_kept"]) == (0.1, "gone", True)
    Path("job.toml").write_text(result.stdout)
    again = invoke("prune", "--config", "job.toml", "--dry-run")
    assert tomllib.loads(again.stdout) == config
    assert invoke("prune", "--config", "job.toml").exit_code == 0
    assert len(lines("kept/pool.jsonl")) == 30


def test_a_dry_run_as_json(invoke):
    found = json.loads(invoke(*PERPLEXITY, "--dry-run", "--json").stdout)
    assert found["config"]["method"] == "perplexity"
    assert set(found["estimate"]) == {"rows", "missing", "llm_calls", "seconds", "memory", "probed"}
    assert found["estimate"]["rows"] == 300
    assert found["estimate"]["seconds"] > 0
    assert found["estimate"]["memory"] > 1e7


@pytest.mark.parametrize(("name", "source"), [("jsonl", "pool.jsonl"), ("txt", "lines.txt")])
def test_pipes(run, name, source):
    options = ("--seed", 0, "-k", 10, *(("-t", "body") if name == "jsonl" else ()))
    done = run("prune", "-", "-m", "random", "-o", "-", *options, input=Path(source).read_bytes())
    assert done.returncode == 0, done.stderr
    assert b"kept 10 of 300 rows" in done.stderr
    prune(source, RandomFilter(keep=10, random_state=0), text="body", out="kept")
    assert done.stdout == Path("kept", source).read_bytes()


def test_several_files_of_lines_to_one_pipe(invoke):
    Path("_a.txt").write_text("".join(line + "\n" for line in lines("lines.txt")[:100]))
    done = invoke("prune", "_a.txt", "lines.txt", "-m", "random", "-o", "-", "-k", 20, "--json")
    assert len(done.stdout.splitlines()) == json.loads(done.stderr)["kept"] >= 20
    done = invoke("prune", "_a.txt", "pool.jsonl", "-m", "random", "-o", "-")
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_piped_pool_can_be_resumed(invoke):
    command = ("prune", "-", "-m", "perplexity", "-o", "kept", "-k", 10)
    first = invoke(*command, input=Path("lines.txt").read_bytes())
    again = invoke(*command, input=Path("lines.txt").read_bytes())
    other = invoke(*command, input=Path("lines.txt").read_bytes()[::-1])
    assert (first.exit_code, again.exit_code, other.exit_code) == (0, 0, 1), again.stderr
    assert "holds another job" in other.stderr
    assert len(lines("kept/stdin.txt")) == 10


def test_a_reader_that_leaves_early_is_not_a_traceback(start):
    Path("big.txt").write_text("".join(f"a line of text {i}\n" for i in range(50_000)))
    writer = start("prune", "big.txt", "-m", "random", "-k", "1.0", "-o", "-")
    reader = subprocess.run([sys.executable, "-c", "input()"], stdin=writer.stdout, timeout=60)
    writer.stdout.close()
    assert reader.returncode == 0
    assert writer.stderr.read() == b""
    assert writer.wait(60) == 1
    writer.stderr.close()


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("prune", "pool.jsonl", "-t", "nothing", "-m", "random", "-o", "x"), 1, "no column 'nothing'"),
        (("prune", "nowhere", "-m", "random", "-o", "x"), 1, "'nowhere' does not exist"),
        (("prune", "pool.jsonl", "-t", "body", "-m", "k-means", "-o", "x"), 1, "vectors of all rows"),
        (("prune", "pool.jsonl", "-t", "body", "-m", "ups", "-o", "x"), 1, "needs the pool in memory"),
        (("prune", "pool.jsonl", "-t", "body", "-m", "random", "-k", 500, "-o", "x"), 1, "keep=500 exceeds"),
        (("prune", "pool.jsonl", "-t", "body", "-m", "random", "-k", "-1", "-o", "x"), 1, "'keep' parameter"),
        (("prune", "pool.jsonl", "-t", "body", "-m", "best", "-o", "x"), 2, "active-prune, "),
        (("prune", "pool.jsonl", "-t", "body", "-o", "x"), 2, "--method is missing"),
        (("prune", "pool.jsonl", "-m", "random"), 2, "--out is missing"),
        (("prune", "-m", "random", "-o", "x"), 2, "INPUTS is missing"),
        (
            ("prune", "pool.jsonl", "-m", "random", "-o", "x", "--set", "beta=1"),
            2,
            "it has keep, random_state, text",
        ),
        (("prune", "pool.jsonl", "-m", "random", "-o", "x", "--set", "beta"), 2, "'beta' is not name=value"),
        (("prune", "pool.jsonl", "-m", "random", "-k", "lots", "-o", "x"), 2, "neither a share nor a count"),
        (("prune", "pool.jsonl", "-m", "random", "-c", "none.toml"), 2, "'none.toml' does not exist"),
        (("prune", "-", "pool.jsonl", "-m", "random", "-o", "x"), 2, "cannot be combined"),
        (("prune", "-", "-m", "random", "-o", "x", "--format", "pdf"), 2, "'pdf' is not one of jsonl"),
        (("prune", "pool.jsonl", "--nonsense"), 2, "--nonsense"),
        (("prnue",), 2, "'prune'"),
    ],
)
def test_errors_are_one_line_with_an_exit_code(invoke, args, code, message):
    result = invoke(*args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("x", "pool.jsonl").exists()


def test_unknown_keys_of_a_config_are_named(invoke):
    Path("job.toml").write_text("kep = 0.1\n")
    result = invoke(*PERPLEXITY, "-c", "job.toml", "-o", "x")
    assert result.exit_code == 2
    assert "unknown key 'kep'; known are" in result.stderr
    Path("job.toml").write_text("kep = \n")
    assert "is not TOML" in invoke(*PERPLEXITY, "-c", "job.toml", "-o", "x").stderr


def test_debug_shows_the_traceback(invoke):
    done = invoke(*PERPLEXITY, "-k", 5000, "-o", "x", "--debug")
    assert done.exit_code == 1
    assert "Traceback" in done.stderr
    assert "keep=5000 exceeds" in done.stderr


def test_an_interrupted_job_exits_with_130_and_resumes(folder):
    """The script stops in the middle of scoring until it is interrupted, as a slow model would."""
    script = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from skprune import PerplexityFilter
from skprune.scorers.ngram import NGramScorer
PerplexityFilter._batch_size = 100
score, calls = NGramScorer.__call__, []
def slow(self, texts):
    calls.append(len(texts))
    if sys.argv[1] == "stop" and len(calls) == 2:
        print("scoring", flush=True)
        time.sleep(60)
    return score(self, texts)
NGramScorer.__call__ = slow
from skprune.cli.app import app
command = "prune pool.jsonl -t body -m perplexity -k 20 -o kept --removed gone"
try:
    app(command.split(), prog_name="skprune")
finally:
    print(sum(calls), flush=True)
"""
    environment = ENVIRONMENT
    options = {"cwd": folder, "env": environment, "text": True}
    stopped = subprocess.Popen(
        [sys.executable, "-c", script, "stop"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )
    assert stopped.stdout.readline() == "scoring\n"
    time.sleep(0.2)
    stopped.send_signal(signal.SIGINT)
    _, errors = stopped.communicate(timeout=60)
    assert stopped.returncode == 130
    assert errors == "The same command resumes the job.\nskprune: interrupted\n"
    resumed = subprocess.run([sys.executable, "-c", script, "go"], capture_output=True, timeout=60, **options)
    assert resumed.returncode == 0, resumed.stderr
    n_distinct = len(set(lines("lines.txt")))
    assert resumed.stdout.splitlines()[-1] == str(n_distinct - 100)  # the first batch was kept
    assert len(lines("kept/pool.jsonl")) + len(lines("gone/pool.jsonl")) == 300


@pytest.mark.parametrize(
    ("blocked", "args", "extra"),
    [
        ("typer", (), "cli"),
        ("rich", (), "cli"),
        ("pyarrow", ("prune", "pool.jsonl", "-t", "body", "-m", "random", "-o", "x"), "files"),
    ],
)
def test_a_missing_package_is_told_with_its_extra(run, blocked, args, extra):
    done = run(*args, blocked=blocked, text=True)
    assert done.returncode == 1
    assert f"needs {blocked}: pip install 'skprune[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_import_and_help_stay_light(run):
    code = (
        "import sys, skprune; print([m for m in ('typer', 'rich', 'numpy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert done.stdout == "[]\n"
    for command in ((), ("prune",)):
        done = run(*command, "--help", text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Example" in done.stdout or "example" in done.stdout


def test_version(invoke):
    assert invoke("--version").stdout == skprune.__version__ + "\n"


def test_groups_are_guaranteed_rows(invoke, texts):
    rows = [{"body": text, "lang": "de" if i % 60 == 0 else "en"} for i, text in enumerate(texts)]
    Path("languages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ("prune", "languages.jsonl", "-t", "body", "-m", "random", "--seed", 0, "-k", 20)
    quotas = ("--group-column", "lang", "--min-per-group", 4)
    result = invoke(*command, *quotas, "-o", "kept", "--removed", "gone")
    assert result.exit_code == 0, result.stderr
    kept = [json.loads(line)["lang"] for line in lines("kept/languages.jsonl")]
    assert (len(kept), kept.count("de")) == (20, 4)
    assert json.loads(lines("gone/languages.jsonl")[0])["group"] in ("de", "en")
    more = invoke("rethreshold", "kept", "-k", 40, "-o", "more")
    assert more.exit_code == 0, more.stderr
    kept = [json.loads(line)["lang"] for line in lines("more/languages.jsonl")]
    assert (len(kept), kept.count("de") >= 4) == (40, True)
    planned = invoke(*command, *quotas, "-o", "other", "--dry-run")
    assert tomllib.loads(planned.stdout)["min_per_group"] == 4
    equal = invoke(*command, "--group-column", "lang", "--balance", "equal", "-o", "equal")
    assert equal.exit_code == 0, equal.stderr
    kept = [json.loads(line)["lang"] for line in lines("equal/languages.jsonl")]
    assert (kept.count("de"), kept.count("en")) == (5, 15)  # there are five
    for options, message in (
        (("--min-per-group", 4), "--min-per-group needs --group-column"),
        (("--group-column", "lang"), "--group-column needs --min-per-group or --balance"),
    ):
        wrong = invoke(*command, *options, "-o", "x")
        assert (wrong.exit_code, wrong.stdout) == (2, "")
        assert message in wrong.stderr


@pytest.fixture
def labels(folder, texts):
    """The pool as CSV with a column of labels, most of them empty, and a file of labeled rows."""
    stars = [str(row % 2) if row % 15 == 0 else "" for row in range(len(texts))]
    pd.DataFrame({"body": texts, "stars": stars}).to_csv("pool.csv", index=False)
    other = pd.DataFrame({"body": ["a green bird", "the old dog", "trees"], "stars": ["1", "0", ""]})
    other.to_csv("labeled.csv", index=False)
    return other.iloc[:2].astype({"stars": float})


@pytest.mark.parametrize("method", ["anchor", "seals", "proxy"])
@pytest.mark.parametrize("source", ["column", "file"])
def test_labels_are_those_of_the_library(invoke, labels, method, source):
    command = ("prune", "pool.csv", "-t", "body", "-m", method, "-k", 40, "--seed", 0, "--label", "stars")
    options = ("--labeled", "labeled.csv") if source == "file" else ()
    result = invoke(*command, *options, "-o", "kept", "--removed", "gone")
    assert (result.exit_code, result.stderr) == (0, "")
    given = {"labeled": labels} if source == "file" else {}
    filter = make_filter(method, {"keep": 40, "random_state": 0})
    expected = {"text": "body", "label": "stars", **given}
    prune("pool.csv", filter, out="kept2", removed="gone2", **expected)
    for name in ("kept", "gone"):
        assert Path(name, "pool.csv").read_bytes() == Path(f"{name}2", "pool.csv").read_bytes()
    kept = pd.read_csv("kept/pool.csv", dtype=str)
    if source == "column":
        assert kept["stars"].isna().all()  # labeled rows need no annotator
    more = invoke("rethreshold", "kept", "-k", 60, "-o", "more")
    assert more.exit_code == 0, more.stderr
    prune("pool.csv", filter.set_params(keep=60), out="more2", **expected)
    assert lines("more/pool.csv") == lines("more2/pool.csv")
    scores = invoke("score", *command[1:], *options, "-o", "scores.csv")
    assert scores.exit_code == 0, scores.stderr
    assert pd.read_csv("scores.csv")["kept"].sum() == len(kept)


def test_labels_of_a_file_that_changed_are_refused(invoke, labels):
    command = ("prune", "pool.csv", "-t", "body", "-m", "anchor", "-k", 40, "--label", "stars")
    assert invoke(*command, "--labeled", "labeled.csv", "-o", "kept").exit_code == 0
    labels.assign(stars=[0, 1]).to_csv("labeled.csv", index=False)
    result = invoke("rethreshold", "kept", "-k", 60, "-o", "more")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "labeled.csv is not what it was" in result.stderr


@pytest.mark.filterwarnings("default")  # as in a process of its own
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            ("-m", "proxy"),
            0,
            "warning: proxy knows no labels, so the rows it keeps are random; --label",
        ),
        (("-m", "seals"), 0, "the rows it keeps are the neighbors of a few rows of the pool; --label names"),
        (("-m", "anchor", "-s", "cold_start=random"), 0, "the rows it keeps are random"),
        (("-m", "random"), 0, ""),
        (("-m", "anchor", "--label", "source"), 1, "pool.csv has no column 'source', which label= names"),
        (("-m", "anchor", "--labeled", "labeled.csv"), 2, "--label, the column of labels in --labeled, is"),
        (("-m", "anchor", "-l", "stars", "--labeled", "none.csv"), 1, "'none.csv' does not exist"),
        (("-m", "anchor", "-l", "stars", "--labeled", "empty.csv"), 1, "no row of empty.csv has a label"),
    ],
)
def test_missing_labels_are_told(invoke, labels, options, code, message):
    Path("empty.csv").write_text("body,stars\nfine,\n")
    result = invoke("prune", "pool.csv", "-t", "body", "-k", 40, *options, "-o", "x")
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stderr.count("\n") == bool(message)
