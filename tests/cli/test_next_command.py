"""``skprune next`` writes tasks until the pool is empty, and learns from the labels in between."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skprune import read_labels
from skprune.files import read_frame
from tests.annotation.test_annotation import annotation, record

COMMAND = ("next", "pool.csv", "-t", "body")


@pytest.fixture(autouse=True)
def pool(folder, texts):
    kinds = np.where(np.random.default_rng(0).random(len(texts)) < 0.2, "rare", "common")
    bodies = [f"{text} {kind}" for text, kind in zip(texts, kinds, strict=True)]
    pd.DataFrame({"body": [*bodies, bodies[0], None, " "], "id": range(len(texts) + 3)}).to_csv(
        "pool.csv", index=False
    )
    return dict(zip(bodies, kinds, strict=True))


def answered(tasks, pool, name, tool):
    """Answer tasks as people would in a tool, and write what it exports."""
    records = json.loads(Path(tasks).read_text())
    if tool == "label-studio":
        export = [{**task, "annotations": [annotation(pool[task["data"]["body"]])]} for task in records]
    else:
        rows = [task["fields"]["body"] for task in records]
        export = [record(row, (pool[row], "u", "submitted")) for row in rows]
        export = [{"body" if key == "text" else key: value for key, value in row.items()} for row in export]
    Path(name).write_text(json.dumps(export))


@pytest.mark.parametrize("tool", ["label-studio", "argilla"])
def test_rounds_until_the_pool_is_empty(invoke, pool, tool):
    exports, handed, rare = [], [], []
    for number in range(20):
        files = [part for export in exports for part in ("--labels", export)]
        result = invoke(*COMMAND, *files, "-n", 60, "-o", "tasks.json", "--tool", tool, "--json")
        if number == len(pool) // 60 + (len(pool) % 60 > 0):
            assert result.exit_code == 1
            assert "no text of the pool is left" in result.stderr
            break
        assert result.exit_code == 0, result.stderr
        found = json.loads(result.stdout)
        assert found["labels"] == len(handed)
        rows = read_labels("tasks.json", text="body").unanswered
        assert found["tasks"] == len(rows)
        handed += rows
        rare.append(np.mean([pool[row] == "rare" for row in rows]))
        exports.append(f"export-{number}.json")
        answered("tasks.json", pool, exports[-1], tool)
    assert sorted(handed) == sorted(pool)
    assert max(rare[1:3]) > rare[-1]  # the model has learned what it is unsure of


def test_tasks_carry_scores_reasons_and_suggestions(invoke, pool):
    assert invoke(*COMMAND, "-n", 40, "-o", "first.json").exit_code == 0
    answered("first.json", pool, "export.json", "label-studio")
    options = ("--labels", "export.json", "-n", 5, "-o", "tasks.json", "--suggest")
    result = invoke(*COMMAND, *options)
    assert result.exit_code == 0, result.stderr
    assert "labels: 40" in result.stdout
    tasks = json.loads(Path("tasks.json").read_text())
    assert {"body", "score", "reason"} == tasks[0]["data"].keys()
    assert all("picked by the strategy" in task["data"]["reason"] for task in tasks)
    assert {task["predictions"][0]["result"][0]["value"]["choices"][0] for task in tasks} <= {
        "rare",
        "common",
    }
    assert invoke(*COMMAND, *options[:-3], "-o", "again.json", "--suggest").exit_code == 0
    assert Path("again.json").read_bytes() == Path("tasks.json").read_bytes()


def test_tasks_that_people_have_are_not_written_again(invoke, pool):
    for files in ((), ("a.json",), ("a.json", "b.json")):
        known = [part for file in files for part in ("--labels", file)]
        result = invoke(*COMMAND, *known, "-n", 30, "-o", f"{'abc'[len(files)]}.json")
        assert result.exit_code == 0, result.stderr
        assert "the rows are random" in result.stdout
    rows = read_labels(["a.json", "b.json", "c.json"], text="body").unanswered
    assert len(rows) == len(set(rows)) == 90


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("next", "-t", "body", "-o", "x"), 2, "INPUTS is missing"),
        (("next", "pool.csv", "-o", "x"), 2, "--text is missing"),
        ((*COMMAND,), 2, "--out is missing"),
        ((*COMMAND, "-o", "x", "--tool", "prodigy"), 2, "'prodigy' is not one of label-studio, argilla"),
        ((*COMMAND, "-o", "x", "-m", "best"), 2, "'best' is not one of"),
        ((*COMMAND, "-o", "x", "--labels", "pool.csv"), 1, "neither JSON nor JSON lines"),
        ((*COMMAND, "-o", "x", "--labels", "other.json"), 1, "none of the labeled texts is in the pool"),
        ((*COMMAND, "-o", "x", "--labels", "torn.json"), 1, "contradict each other"),
        ((*COMMAND, "-o", "x", "--labels", "torn.json"), 1, "--on-conflict majority takes the most frequent"),
    ],
)
def test_errors_are_one_line(invoke, pool, args, code, message):
    body = next(iter(pool))
    for name, text, kinds in (("other", "not there", ["rare"]), ("torn", body, ["rare", "common"])):
        tasks = [{"data": {"body": text}, "annotations": [annotation(kind) for kind in kinds]}]
        Path(f"{name}.json").write_text(json.dumps(tasks))
    result = invoke(*args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("x").exists()


def test_labels_are_counted_by_class_and_others_refused(invoke, pool):
    assert invoke(*COMMAND, "-n", 40, "-o", "first.json").exit_code == 0
    answered("first.json", pool, "export.json", "label-studio")
    kinds = [pool[row] for row in read_labels("first.json", text="body").unanswered]
    options = (*COMMAND, "--labels", "export.json", "-o", "tasks.json")
    result = invoke(*options, "--classes", "rare, common,other", "--json")
    assert result.exit_code == 0, result.stderr
    counts = {"rare": kinds.count("rare"), "common": kinds.count("common"), "other": 0}
    assert json.loads(result.stdout)["classes"] == counts
    assert f"classes: common: {counts['common']}, rare: {counts['rare']}\n" in invoke(*options).stdout
    Path("tasks.json").unlink()
    wrong = invoke(*options, "--classes", "rare,comon")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "the label 'common', which is not one of the classes rare, comon" in wrong.stderr
    assert not Path("tasks.json").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "the rows are random: there are"),
        (("--strategy", "typi-clust"), "the filter is random, and the strategy typi-clust picked among its"),
        (("-m", "perplexity"), "the strategy is random, and picked among the rows of the filter perplexity"),
        (
            ("-m", "perplexity", "--strategy", "typi-clust"),
            "the strategy typi-clust picked among the rows of the filter perplexity",
        ),
    ],
)
def test_it_tells_what_picked_the_rows_without_a_model(invoke, options, words):
    result = invoke(*COMMAND, "-n", 5, "-o", "tasks.json", *options)
    assert result.exit_code == 0, result.stderr
    assert words in result.stdout
    assert "2 rows without a text left out" in result.stdout  # an empty cell, and a blank one


def test_a_second_export_without_the_option_is_an_error_with_a_remedy(invoke, pool):
    assert invoke(*COMMAND, "-n", 5, "-o", "first.json").exit_code == 0
    result = invoke(*COMMAND, "--labels", "first.json", "first.json", "-o", "x")
    assert result.exit_code == 1
    assert "first.json" in result.stderr
    assert "put --labels before its name too" in result.stderr


@pytest.mark.parametrize("out", ["pool.csv", "export.json", "./pool.csv"])
def test_an_input_is_never_replaced(invoke, pool, out):
    assert invoke(*COMMAND, "-n", 5, "-o", "tasks.json").exit_code == 0
    answered("tasks.json", pool, "export.json", "label-studio")
    before = {name: Path(name).read_bytes() for name in ("pool.csv", "export.json")}
    result = invoke(*COMMAND, "--labels", "export.json", "-o", out)
    assert result.exit_code == 2
    assert "is one of the inputs" in result.stderr
    assert {name: Path(name).read_bytes() for name in before} == before


@pytest.fixture
def exported(invoke, pool):
    """Forty labels, in an export, and the texts that have them by their ids."""
    assert invoke(*COMMAND, "-n", 40, "-o", "first.json", "--id", "id").exit_code == 0
    answered("first.json", pool, "export.json", "label-studio")
    return {task["data"]["id"]: task["data"]["body"] for task in json.loads(Path("first.json").read_text())}


def test_tasks_carry_the_ids_of_their_rows(exported):
    ids = pd.read_csv("pool.csv", dtype=str).drop_duplicates("body").set_index("id")["body"]
    assert len(exported) == 40
    assert ids[list(exported)].tolist() == list(exported.values())


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_export_becomes_a_table_that_other_commands_read(invoke, pool, exported, suffix):
    result = invoke("labels", "export.json", "-t", "body", "-o", f"labeled.{suffix}")
    assert result.exit_code == 0, result.stderr
    assert f"wrote 40 labeled rows to labeled.{suffix}\nlabels: 40, skipped: 0" in result.stdout
    frame = read_frame(f"labeled.{suffix}", "body")
    assert frame["body"].tolist() == list(exported.values())
    assert frame["label"].tolist() == [pool[text] for text in frame["body"]]
    near = ("prune", "pool.csv", "-t", "body", "-k", 30, "-m", "proxy", "-l", "label", "-o", "near")
    result = invoke(*near, "--labeled", f"labeled.{suffix}", "--on-missing", "drop")
    assert result.exit_code == 0, result.stderr


def test_labeled_rows_of_the_pool_have_all_its_columns(invoke, pool, exported):
    command = ("labels", "export.json", "-t", "body", "--pool", "pool.csv", "-o", "labeled.csv")
    result = invoke(*command, "--json")
    assert result.exit_code == 0, result.stderr
    frame = pd.read_csv("labeled.csv", dtype=str)
    assert list(frame) == ["body", "id", "label"]
    assert json.loads(result.stdout)["rows"] == len(frame) == 40 + frame["body"].duplicated().sum()
    assert set(exported.items()) <= set(zip(frame["id"], frame["body"], strict=True))
    assert frame["label"].tolist() == [pool[text] for text in frame["body"]]
    piped = invoke(*command[:-1], "-")
    assert [json.loads(line)["id"] for line in piped.stdout.splitlines()] == frame["id"].tolist()


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("labels", "-t", "body", "-o", "x.csv"), 2, "EXPORTS is missing"),
        (("labels", "export.json", "-t", "body", "-o", "x.txt"), 2, "does not end in one of .parquet, .csv"),
        (("labels", "export.json", "-o", "x.csv"), 2, "--text is missing"),
        (("labels", "first.json", "-t", "body", "-o", "x.csv"), 1, "no text of first.json has a label"),
        (("labels", "export.json", "-t", "body", "-o", "x.csv", "-l", "body"), 1, "must differ, also from"),
        (
            ("labels", "export.json", "-t", "body", "-o", "x.csv", "--pool", "pool.csv", "-l", "id"),
            2,
            "the pool has a column 'id'; choose another name",
        ),
        (
            ("labels", "export.json", "-t", "body", "-o", "x.csv", "--pool", "other.csv"),
            1,
            "none of the labeled texts is in other.csv",
        ),
        (
            ("labels", "export.json", "-t", "body", "-o", "x.csv", "--classes", "rare"),
            1,
            "not one of the classes rare",
        ),
    ],
)
def test_errors_about_exports_are_one_line(invoke, exported, args, code, message):
    Path("other.csv").write_text("body,n\nnot there,1\n")
    result = invoke(*args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("x.csv").exists()
