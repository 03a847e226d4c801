"""The commands beside ``prune``: each gives what the library gives."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skprune import AnchorFilter, NGramScorer, PerplexityFilter, report
from skprune.files import read_frame, sample_texts
from skprune.store import open_store
from tests.tiny_models import save_tiny_gpt2


def read(path):
    if path.endswith(".parquet"):
        return pd.read_parquet(path)
    return pd.read_csv(path) if path.endswith(".csv") else pd.read_json(path, lines=True)


@pytest.mark.parametrize("out", ["scores.parquet", "scores.csv", "scores.jsonl"])
def test_scores_are_those_of_the_filter(invoke, texts, out):
    result = invoke("score", "pool.jsonl", "-t", "body", "-m", "perplexity", "--seed", 0, "-o", out)
    assert result.exit_code == 0, result.stderr
    table = read(out)
    expected = PerplexityFilter(random_state=0).fit(texts).explain()
    assert list(table.columns) == ["file", "row", "kept", "rank", "log10_perplexity", "threshold", "reason"]
    assert table["row"].tolist() == list(range(300))
    assert table["kept"].tolist() == expected["kept"].tolist()
    np.testing.assert_allclose(table["log10_perplexity"], expected["log10_perplexity"])
    assert table["reason"].tolist() == expected["reason"].tolist()
    assert sorted(path.name for path in Path().iterdir()) == sorted(["lines.txt", "pool.jsonl", out])


def test_scores_with_ids_to_a_pipe(invoke, texts):
    Path("more.jsonl").write_text('{"id": "extra", "body": null}\n')
    inputs = ("pool.jsonl", "more.jsonl", "-t", "body", "--id", "id")
    done = invoke("score", *inputs, "-m", "random", "-o", "-", "--on-missing", "drop", "-k", 10)
    assert done.exit_code == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in rows] == ["extra"] + [f"doc-{i}" for i in range(300)]
    assert rows[0]["reason"] == "missing"
    assert sum(row["kept"] for row in rows) == 10
    done = invoke("score", *inputs, "-m", "random", "-o", "-")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "more.jsonl, line 1 (row 0, id 'extra'): 'body' is missing" in done.stderr


def test_explain_counts_the_reasons_of_removed_rows(invoke):
    options = ("-t", "body", "-m", "perplexity", "-k", 60, "-o", "kept", "--removed", "gone")
    summary = json.loads(invoke("prune", "pool.jsonl", *options, "--json").stdout)
    result = invoke("explain", "gone", "-t", "body", "--examples", 2, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["rows"] == summary["removed"]
    rows = read("gone/pool.jsonl")
    for entry in found["reasons"]:
        group = rows[rows["reason"] == entry["reason"]]
        assert entry["rows"] == summary["reasons"][entry["reason"]] == len(group)
        assert entry["log10_perplexity"] == pytest.approx(group["log10_perplexity"].median())
        nearest = group.loc[(group["log10_perplexity"] - group["threshold"]).abs().nsmallest(2).index]
        assert entry["examples"] == nearest["body"].tolist()
    table = invoke("explain", "gone", "-t", "body", "-n", 2).stdout
    assert "perplexity too high" in table
    assert found["reasons"][0]["examples"][0][:100] in table


def test_explain_reads_scores_and_columns_that_were_renamed(invoke):
    rows = [{"text": f"some words {i}", "reason": "mine", "rank": i} for i in range(20)]
    Path("own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ("own.jsonl", "-t", "text", "-m", "perplexity", "-o")
    assert invoke("prune", *command, "k", "--removed", "g").exit_code == 0
    found = json.loads(invoke("explain", "g", "--json").stdout)
    assert [entry["reason"] for entry in found["reasons"]] == ["perplexity too high"]
    assert set(found["reasons"][0]) == {"reason", "rows", "log10_perplexity", "threshold"}
    assert invoke("score", *command, "scores.csv").exit_code == 0
    found = json.loads(invoke("explain", "scores.csv", "--json").stdout)
    assert sum(entry["rows"] for entry in found["reasons"]) == found["rows"] == 20
    assert found["reasons"][0]["log10_perplexity"] > 0


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_explain_of_one_row(invoke, texts, kind):
    rows = pd.DataFrame({"id": [f"doc-{row}" for row in range(300)], "body": texts, "file": "mine", "row": 7})
    if kind == "csv":
        rows.to_csv("own.csv", index=False)
    else:
        rows.to_json("own.jsonl", orient="records", lines=True)
    command = (f"own.{kind}", "-t", "body", "-m", "perplexity", "--seed", 0)
    assert invoke("prune", *command, "-o", "kept", "--removed", "gone").exit_code == 0
    explained = PerplexityFilter(random_state=0).fit(texts).explain()
    gone = int(np.flatnonzero(~explained["kept"])[5])
    result = invoke("explain", "gone", "--row", f"own.{kind}:{gone}", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["id"], found["body"], found["reason"]) == (
        f"doc-{gone}",
        texts[gone],
        explained["reason"][gone],
    )
    assert float(found["log10_perplexity"]) == pytest.approx(explained["log10_perplexity"][gone])
    assert (
        json.loads(invoke("explain", "gone", "--row", f"doc-{gone}", "--id", "id", "--json").stdout) == found
    )
    shown = invoke("explain", "gone", "--row", f"own.{kind}:{gone}").stdout
    assert shown.startswith(f"own.{kind}:{gone}: perplexity too high\n")
    assert texts[gone] in shown
    kept = int(np.flatnonzero(explained["kept"])[0])
    wrong = invoke("explain", "gone", "--row", f"own.{kind}:{kept}")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "if it is a row of the pool, it was kept" in wrong.stderr
    assert invoke("score", *command, "-o", "scores.csv").exit_code == 0
    of_kept = json.loads(invoke("explain", "scores.csv", "--row", f"own.{kind}:{kept}", "--json").stdout)
    assert of_kept["reason"] == explained["reason"][kept]
    for options, message in (
        (("--row", "doc-1"), "'doc-1' is not FILE:NUMBER"),
        (("--row", "doc-1", "--id", "name"), "no column 'name'; their columns are id, body"),
    ):
        assert message in invoke("explain", "gone", *options).stderr


def test_a_report_is_that_of_the_library(invoke, texts):
    rows = [{"body": text, "source": "ab"[row % 2]} for row, text in enumerate(texts)]
    Path("own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ("report", "own.jsonl", "-t", "body", "-m", "perplexity", "-k", 30, "--seed", 0)
    result = invoke(*command, "--groups", "source", "-o", "page.html", "--json")
    assert result.exit_code == 0, result.stderr
    filter = PerplexityFilter(keep=30, random_state=0).fit(texts)
    expected = report(filter, groups={"source": [row["source"] for row in rows]}).figures
    assert json.loads(result.stdout)["summary"] == expected["summary"]
    assert json.loads(Path("page.json").read_text())["groups"] == expected["groups"]
    shown = next(text for text in texts if text in Path("page.html").read_text())
    assert invoke(*command, "-o", "page.html", "--sensitive").stdout.startswith("kept ")
    assert shown not in Path("page.html").read_text()
    assert "no column 'topic'" in invoke(*command, "-o", "p.html", "--groups", "topic").stderr


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_report_takes_labels(invoke, texts, kind):
    stars = [row // 10 % 2 if row % 10 == 0 else None for row in range(300)]
    rows = pd.DataFrame({"body": texts, "stars": pd.array(stars, dtype="Int64")})
    if kind == "csv":
        rows.to_csv("own.csv", index=False)
    else:
        rows.to_json("own.jsonl", orient="records", lines=True)
    command = (
        "report",
        f"own.{kind}",
        "-t",
        "body",
        "-m",
        "anchor",
        "-k",
        30,
        "--seed",
        0,
        "-o",
        "page.html",
    )
    result = invoke(*command, "--label", "stars", "--groups", "stars", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    filter = AnchorFilter(keep=30, random_state=0).fit(texts, [np.nan if s is None else s for s in stars])
    assert json.loads(result.stdout)["summary"] == report(filter).figures["summary"]
    assert "no column 'stras'" in invoke(*command, "-l", "stras").stderr


def test_another_size_asks_no_scorer_again(invoke):
    command = ("prune", "pool.jsonl", "-t", "body", "-m", "perplexity", "--memory", "scores")
    assert invoke(*command, "-k", 30, "-o", "a").exit_code == 0
    table = invoke("cache", "info", "scores", "--json").stdout
    assert invoke(*command, "-k", 60, "-o", "b").exit_code == 0
    assert invoke("cache", "info", "scores", "--json").stdout == table
    assert len(Path("b/pool.jsonl").read_text().splitlines()) == 60


def test_cache_shows_and_clears(invoke):
    scored = ("score", "pool.jsonl", "-t", "body", "-m", "perplexity", "-o", "s.csv", "--memory", "scores")
    assert invoke(*scored).exit_code == 0
    table = json.loads(invoke("cache", "info", "scores", "--json").stdout)
    with open_store("scores") as store:
        assert table == json.loads(store.info().to_json(orient="records"))
    n_values = table[0]["values"]
    assert n_values > 200
    assert f"{n_values:,}" in invoke("cache", "info", "scores").stdout
    refused = invoke("cache", "clear", "scores")
    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    assert invoke("cache", "clear", "scores", "--fingerprint", "other", "-y").exit_code == 1
    cleared = invoke("cache", "clear", "scores", "--fingerprint", table[0]["fingerprint"], "--yes")
    assert cleared.stdout == f"deleted {n_values:,} values in scores\n"
    assert json.loads(invoke("cache", "info", "scores", "--json").stdout) == []
    assert invoke("cache", "info", "nowhere").exit_code == 1
    assert not Path("nowhere").exists()


def test_a_trained_model_scores_as_one_fitted_in_python(invoke, texts):
    result = invoke("train-lm", "lines.txt", "-o", "model.bin", "--order", 3, "--json")
    assert result.exit_code == 0, result.stderr
    fitted = NGramScorer(order=3).fit(texts)
    assert json.loads(result.stdout) == {
        "out": "model.bin",
        "order": 3,
        "texts": fitted.n_train_texts_,
        "bytes": Path("model.bin").stat().st_size,
    }
    np.testing.assert_array_equal(NGramScorer("model.bin")(texts), fitted(texts))
    score = ("score", "pool.jsonl", "-t", "body", "-m", "perplexity", "-s", "perplexity=model.bin")
    assert invoke(*score, "-o", "scores.csv").exit_code == 0
    np.testing.assert_allclose(read("scores.csv")["log10_perplexity"], fitted(texts))


def test_train_lm_takes_the_sample_of_the_library(invoke, texts):
    options = ("--n-train", 50, "-s", "tokenizer=whitespace")
    assert invoke("train-lm", "pool.jsonl", "-t", "body", "-o", "m.bin", *options).exit_code == 0
    fitted = NGramScorer(max_train_texts=50, tokenizer="whitespace").fit(texts)
    np.testing.assert_array_equal(NGramScorer("m.bin", tokenizer="whitespace")(texts), fitted(texts))
    Path("m.bin").write_text("earlier")
    failed = invoke("train-lm", "pool.jsonl", "-t", "body", "-o", "m.bin", "-s", "tokenizer=nowhere.model")
    assert failed.exit_code == 1
    assert Path("m.bin").read_text() == "earlier"


def test_doctor(invoke, monkeypatch):
    result = invoke("doctor", "--json")
    assert result.exit_code == 0, result.stderr
    checks = {check["what"]: check for check in json.loads(result.stdout)}
    assert checks["n-gram models"]["ok"] is True
    assert checks["extra ngram"]["found"] == "installed: n-gram models (perplexity)"
    assert checks["Hugging Face hub"]["found"].startswith(
        "HF_HUB_OFFLINE is set"
    )  # tests/conftest.py sets it
    assert "n-gram models" in invoke("doctor").stdout


def test_doctor_without_kenlm_names_the_extra(run):
    done = run("doctor", blocked="kenlm", text=True)
    assert done.returncode == 0
    assert "pip install 'skprune[ngram]'" in done.stdout
    assert "a compiler is at" in done.stdout or "needs a C++ compiler" in done.stdout


def test_doctor_tells_what_is_wrong_with_a_model(invoke, tmp_path):
    save_tiny_gpt2(tmp_path / "model", n_positions=1024)
    cases = [(tmp_path / "model", "no single token for 'yes'"), ("no/model", "does not hold it")]
    for model, message in cases:
        result = invoke("doctor", "pool.jsonl", "-t", "body", "--model", model, "--json")
        check = json.loads(result.stdout)[-1]
        assert (result.exit_code, check["ok"]) == (1, False)
        assert message in check["found"]


@pytest.mark.slow
def test_doctor_tests_a_model(invoke, smollm2):
    result = invoke("doctor", "lines.txt", "--model", smollm2, "--json")
    check = json.loads(result.stdout)[-1]
    assert "of 200 texts against their shuffled words" in check["found"]
    assert check["ok"] == check["found"].startswith("passed")
    assert result.exit_code == (0 if check["ok"] else 1)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("score", "pool.jsonl", "-m", "random", "-o", "scores.txt"), 2, "does not end in one of .parquet"),
        (("score", "pool.jsonl", "-t", "body", "-m", "ups", "-o", "s.csv"), 1, "needs the pool in memory"),
        (("explain", "pool.jsonl"), 1, "pool.jsonl: no reasons; give the folder of --removed"),
        (("explain", "lines.txt"), 1, "lines.txt: no reasons; give the folder of --removed"),
        (("explain", "pool.jsonl", "-n", 3), 2, "--examples needs --text"),
        (("explain",), 2, "INPUTS is missing"),
        (("train-lm", "pool.jsonl", "-t", "body"), 2, "--out is missing"),
        (("train-lm", "pool.jsonl", "-t", "body", "-o", "."), 2, "is a folder"),
        (("train-lm", "pool.jsonl", "-o", "m.bin", "-s", "beta=1"), 2, "NGramScorer has no parameter 'beta'"),
        (("doctor", "--model", "some/model"), 2, "--model needs INPUTS"),
        (("cache", "info"), 2, "PATH"),
    ],
)
def test_errors_are_one_line_with_an_exit_code(invoke, args, code, message):
    result = invoke(*args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_library_functions_read_what_the_commands_read(folder, texts):
    frame = read_frame(["pool.jsonl"], "body", columns=["body"])
    assert frame["body"].tolist() == texts
    frame.to_parquet("pool.parquet")
    pd.testing.assert_frame_equal(read_frame("pool.parquet").astype(object), frame.astype(object))
    sample = sample_texts("pool.jsonl", 20, text="body", random_state=1)
    assert len(sample) == 20
    assert set(sample) <= set(texts)
    assert sample_texts("pool.jsonl", 1000, text="body") != texts
    assert sorted(sample_texts("pool.jsonl", 1000, text="body")) == sorted(texts)
    with pytest.raises(ValueError, match=r"pool.jsonl has no column 'label'; its columns are 'id', 'body'"):
        read_frame("pool.jsonl", "body", columns=["label"])


@pytest.mark.parametrize(
    ("command", "out"),
    [
        (("prune", "-m", "random", "-k", 0.5), "out"),
        (("score", "-m", "random"), "out.csv"),
        (("report", "-m", "random"), "out.html"),
        (
            ("simulate", "-l", "kind", "-k", 0.5, "--methods", "random", "--rounds", 1, "--seeds", 1),
            "out.csv",
        ),
    ],
)
def test_rows_without_a_text_are_an_error_whose_remedy_works(invoke, texts, command, out):
    rows = {"body": [None, *texts[1:]], "kind": ["ab"[row % 2] for row in range(len(texts))]}
    pd.DataFrame(rows).to_csv("gaps.csv", index=False)
    run = (command[0], "gaps.csv", "-t", "body", *command[1:], "-o", out)
    result = invoke(*run)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "row 0" in result.stderr
    assert "--on-missing drop" in result.stderr
    assert "on_missing" not in result.stderr
    result = invoke(*run, "--on-missing", "drop")
    assert result.exit_code == 0, result.stderr
    assert Path(out).exists()


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_explain_of_kept_rows_names_the_folder_that_has_reasons(invoke, texts, kind):
    rows = pd.DataFrame({"body": texts, "id": range(len(texts))})
    if kind == "jsonl":
        rows.to_json("own.jsonl", orient="records", lines=True)
    else:
        getattr(rows, f"to_{kind}")(f"own.{kind}", index=False)
    command = ("prune", f"own.{kind}", "-t", "body", "-m", "random", "-k", 20, "-o", "kept")
    assert invoke(*command, "--removed", "gone").exit_code == 0
    result = invoke("explain", "kept")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "kept: no reasons; give the folder of --removed" in result.stderr
    assert "no column 'topic'; their columns are" in invoke("explain", "gone", "-t", "topic").stderr
