"""Tasks for annotation tools, and the labels that come back."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from skprune import PerplexityFilter
from skprune.annotation import read_labels, write_tasks

FORMATS = ("label-studio", "argilla")
TEXTS = ["a good film", "a bad film", "ein \u201ealter\u201c Film,\n  zwei Zeilen \U0001f3ac"]


def chosen(*labels, question="label"):
    return {
        "from_name": question,
        "to_name": "text",
        "type": "choices",
        "value": {"choices": list(labels)},
    }


def annotation(*labels, **more):
    return {"result": [chosen(*labels)] if labels else [], "was_cancelled": False, **more}


def task(text, *annotations, **more):
    return {"data": {"text": text}, "annotations": list(annotations), "predictions": [], **more}


def record(text, *responses, question="label"):
    """A record as Argilla's to_list(flatten=True) gives it; a response is (value, user, status)."""
    values, users, statuses = zip(*responses, strict=True) if responses else ((), (), ())
    flat = {"id": text[:3], "_server_id": "s", "status": "pending", "text": text}
    return flat | {
        f"{question}.responses": list(values),
        f"{question}.responses.users": list(users),
        f"{question}.responses.status": list(statuses),
    }


@pytest.fixture
def export(tmp_path):
    def export(*records, name="export.json"):
        path = tmp_path / name
        path.write_text(json.dumps(list(records)), encoding="utf-8")
        return path

    return export


# ---------------------------------------------------------------- tasks


def test_a_task_of_label_studio_holds_text_score_reason_and_suggestion(tmp_path):
    file = tmp_path / "tasks.json"
    reasons = pd.Series(["rare", "sure", "sure"], dtype="category")
    n_tasks = write_tasks(
        file, pd.Series(TEXTS), scores=[0.5, np.nan, np.inf], reasons=reasons, suggestions=[1, 0, 1]
    )
    tasks = json.loads(file.read_text(encoding="utf-8"))
    assert n_tasks == len(tasks) == 3
    assert tasks[0]["data"] == {"text": TEXTS[0], "score": 0.5, "reason": "rare"}
    assert [part["data"]["text"] for part in tasks] == TEXTS
    assert "score" not in tasks[1]["data"]
    assert "score" not in tasks[2]["data"]
    assert tasks[1]["predictions"][0]["result"] == [chosen("0")]


def test_a_record_of_argilla_is_identified_by_its_text(tmp_path):
    for name, texts in (("a.json", TEXTS), ("b.json", TEXTS[::-1])):
        write_tasks(tmp_path / name, texts, format="argilla", text="review", scores=range(3))
    records, again = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert records[0]["fields"] == {"review": TEXTS[0]}
    assert records[0]["metadata"] == {"score": 0.0}
    assert [r["id"] for r in records] == [r["id"] for r in again[::-1]]
    assert len({r["id"] for r in records}) == 3


@pytest.mark.parametrize("format", FORMATS)
def test_copies_are_one_task_and_the_order_stays(tmp_path, format):
    texts = ["b", "a", "b", "c", "a"]
    assert write_tasks(tmp_path / "tasks.json", texts, scores=range(5), format=format) == 3
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    held = [part["data"] if "data" in part else part["fields"] | part["metadata"] for part in tasks]
    assert [(part["text"], part["score"]) for part in held] == [("b", 0.0), ("a", 1.0), ("c", 3.0)]


def test_bad_input_writes_nothing(tmp_path):
    file = tmp_path / "tasks.json"
    file.write_text("older")
    for options, message in (
        ({"scores": [1.0]}, "scores must hold one value for each of the 3 texts"),
        ({"reasons": [["a"], ["b"], ["c"]]}, "reasons must hold one value"),
        ({"format": "prodigy"}, "format must be one of 'label-studio', 'argilla'"),
        ({"text": "score"}, "name of another value"),
    ):
        with pytest.raises(ValueError, match=message):
            write_tasks(file, TEXTS, **options)
    with pytest.raises(ValueError, match=r"texts\[1\] is None"):
        write_tasks(file, ["a", None])
    assert file.read_text() == "older"
    assert list(tmp_path.iterdir()) == [file]


# ---------------------------------------------------------------- labels


def both(*rows):
    """The same answers as exports of both tools; an answer is (label or None, user, "skip" or "")."""
    tasks, records = [], []
    for text, *answers in rows:
        made = [
            annotation(*([label] if label else []), was_cancelled=how == "skip", completed_by=user)
            for label, user, how in answers
        ]
        tasks.append(task(text, *made))
        given = [(label, user, "discarded" if how == "skip" else "submitted") for label, user, how in answers]
        records.append(record(text, *given))
    return {"label-studio": tasks, "argilla": records}


ROWS = (
    ("one", ("good", 1, ""), ("good", 2, "")),
    ("two", ("bad", 1, ""), ("good", 2, ""), ("bad", 3, "")),
    ("tie", ("bad", 1, ""), ("good", 2, "")),
    ("seen", ("bad", 1, "skip"), ("good", 2, "skip")),
    ("half", ("bad", 1, "skip"), ("good", 2, "")),
    ("open",),
)


@pytest.mark.parametrize("format", FORMATS)
def test_the_rules_for_several_people(export, format):
    file = export(*both(*ROWS)[format])
    labels = read_labels(file, on_conflict="majority")
    assert labels.texts == ["one", "two", "half"]
    assert labels.labels.tolist() == ["good", "bad", "good"]
    assert labels.agreement.tolist() == pytest.approx([1, 2 / 3, 1])
    assert labels.skipped == ["seen"]
    assert labels.unanswered == ["open"]
    assert sorted(labels.asked) == sorted(row[0] for row in ROWS)
    assert labels.disputed == {"tie": {"bad": 1, "good": 1}}
    careful = read_labels(file, on_conflict="skip")
    assert careful.texts == ["one", "half"]
    assert set(careful.disputed) == {"two", "tie"}
    with pytest.raises(ValueError, match=r"answers to 'two' contradict each other: bad \(2\), good \(1\)"):
        read_labels(file)


@pytest.mark.parametrize("format", FORMATS)
def test_the_order_of_the_tasks_does_not_matter(export, format):
    records = both(*ROWS)[format]
    found = [
        read_labels(export(*some), on_conflict="majority").for_pool(["two", "x", "one", "two", "half"])
        for some in (records, records[::-1])
    ]
    assert found[0].tolist() == found[1].tolist() == ["bad", None, "good", "bad", "good"]


@pytest.mark.parametrize("format", FORMATS)
def test_labels_outside_of_the_classes_are_refused(export, format):
    file = export(*both(("one", ("2", 1, "")), ("two", ("0", 1, "")), ("no", ("9", 1, "skip")))[format])
    with pytest.raises(ValueError, match="'one' has the label '2', which is not one of the classes 0, 1"):
        read_labels(file, classes=[0, 1])
    labels = read_labels(file, classes=[0, 2])
    assert labels.labels.tolist() == [2, 0]
    assert labels.labels.dtype.kind == "i"


def test_unknown_texts_are_refused_or_ignored(export):
    labels = read_labels(export(*both(("one", ("good", 1, "")), ("two", ("bad", 1, "")))["argilla"]))
    with pytest.raises(ValueError, match="1 labeled texts are not in the pool, the first is 'two'"):
        labels.for_pool(["one", "three"])
    assert labels.for_pool(["one", "three"], on_unknown="ignore").tolist() == ["good", None]
    frame = pd.DataFrame({"body": ["two", "one"], "id": ["a", "b"]})
    assert labels.for_pool(frame, text="body").tolist() == ["bad", "good"]
    with pytest.raises(TypeError, match="must hold texts"):
        labels.for_pool(np.ones((2, 2)))


def test_copies_of_a_task_are_one_text(export):
    file = export(task("one", annotation("good")), task("one", annotation("bad")), task("one"))
    with pytest.raises(ValueError, match="contradict"):
        read_labels(file)
    assert read_labels(file, on_conflict="skip").disputed == {"one": {"good": 1, "bad": 1}}


def test_several_choices_of_one_person_contradict_each_other(export):
    file = export(task("one", annotation("good", "bad"), annotation("good")))
    with pytest.raises(ValueError, match="contradict"):
        read_labels(file)
    labels = read_labels(file, on_conflict="majority")
    assert labels.labels.tolist() == ["good"]
    assert labels.agreement.tolist() == pytest.approx([2 / 3])
    several = record("one", (["good", "bad"], 1, "submitted"))
    assert read_labels(export(several), on_conflict="majority").disputed == {"one": {"good": 1, "bad": 1}}


def test_ground_truth_overrules_the_other_answers(export):
    file = export(task("one", annotation("good"), annotation("good"), annotation("bad", ground_truth=True)))
    assert read_labels(file).labels.tolist() == ["bad"]


def test_predictions_drafts_and_empty_answers_are_not_labels(export):
    suggested = task("one", annotation()) | {
        "predictions": [annotation("good")],
        "drafts": [annotation("good")],
    }
    labels = read_labels(export(suggested, task("two")))
    assert (labels.texts, labels.skipped) == ([], ["one"])
    drafts = record("one", ("good", 1, "draft")) | {"label.suggestion": "bad"}
    labels = read_labels(export(drafts))
    assert (len(labels), labels.skipped, labels.disputed) == (0, [], {})


def test_one_of_several_questions_is_read_by_its_name(export):
    made = {"result": [chosen("good"), chosen("long", question="length")]}
    argilla = record("one", ("good", 1, "submitted")) | record(
        "one", ("long", 1, "submitted"), question="length"
    )
    for file in (export(task("one", made), name="a.json"), export(argilla, name="b.json")):
        with pytest.raises(ValueError, match="several questions, label, length"):
            read_labels(file)
        assert read_labels(file, question="length").labels.tolist() == ["long"]
        with pytest.raises(ValueError, match="no answers to question='topic'"):
            read_labels(file, question="topic")


def test_a_later_export_corrects_an_earlier_one(export):
    tasks = [export(task("one", annotation(kind, id=7)), name=f"{kind}.json") for kind in ("good", "bad")]
    assert read_labels(tasks).labels.tolist() == ["bad"]
    records = [export(record("one", (kind, 1, "submitted")), name=f"{kind}.json") for kind in ("good", "bad")]
    assert read_labels(records).labels.tolist() == ["bad"]


@pytest.mark.parametrize("users", [None, [None] * 3])
def test_responses_without_a_user_count_one_by_one(export, users):
    def made(*kinds):
        flat = record("one", *[(kind, None, "submitted") for kind in kinds])
        return flat | {"label.responses.users": users}

    labels = read_labels(export(made("good", "bad", "good")), on_conflict="majority")
    assert (labels.labels.tolist(), labels.agreement.tolist()) == (["good"], [pytest.approx(2 / 3)])
    exports = [export(made(*kinds), name=f"{kinds[0]}.json") for kinds in (["good"] * 3, ["bad"] * 3)]
    assert read_labels(exports).labels.tolist() == ["bad"]  # the later export holds the same responses


@pytest.mark.parametrize("format", FORMATS)
def test_tasks_that_were_written_are_unanswered(tmp_path, format):
    write_tasks(tmp_path / "tasks.json", TEXTS, suggestions=["good"] * 3, format=format)
    labels = read_labels(tmp_path / "tasks.json")
    assert (len(labels), labels.unanswered, labels.asked) == (0, TEXTS, TEXTS)


def test_json_lines_are_read_too(tmp_path):
    file = tmp_path / "export.jsonl"
    rows = both(*ROWS[:1], ("x\u2028y", ("bad", 1, "")))["argilla"]
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    assert read_labels(file).texts == ["one", "x\u2028y"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "neither JSON nor JSON lines"),
        ("[1, 2]", "must hold a list of tasks"),
        ('[{"text": "a"}]', "neither Label Studio's export JSON .* nor holds records of Argilla"),
        ('[{"text": "a", "annotation_id": 1, "label": "x"}]', "not JSON-MIN"),
        (
            '[{"data": {"body": "a"}, "annotations": []}]',
            "task 0 of .* has no text 'text'; it has body",
        ),
        ('[{"data": {"text": "a"}, "annotations": [{"result": [{"type": "choices"}]}]}]', "or is damaged"),
        ('[{"data": {"text": "a"}, "annotations": [3]}]', "or is damaged"),
        ('[{"fields": {"body": "a"}, "responses": {}}]', "task 0 of .* has no text 'text'; it has body"),
        (
            '[{"fields": {"text": "a"}, "responses": {"label": [{"value": "x", "user_id": "u"}]}}]',
            r"without a status.*to_list\(flatten=True\)",
        ),
    ],
)
def test_files_that_are_not_exports_are_refused(tmp_path, content, message):
    file = tmp_path / "export.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_labels(file)


def test_wrong_options_are_refused(export):
    file = export(task("one", annotation("good")))
    with pytest.raises(ValueError, match="on_conflict must be"):
        read_labels(file, on_conflict="first")
    with pytest.raises(ValueError, match="format must be one of"):
        read_labels(file, format="csv")
    with pytest.raises(FileNotFoundError):
        read_labels("nowhere.json")


def test_labels_go_into_a_filter(export):
    labels = read_labels(export(*both(("aa", ("good", 1, "")))["label-studio"]))
    pool = ["a", "aa", "aaa", "aaaa"]
    shortest = PerplexityFilter(keep=2, perplexity=lambda texts: [len(text) for text in texts])
    assert shortest.fit(pool, labels.for_pool(pool)).transform(pool) == ["a", "aaa"]


@pytest.mark.parametrize("format", FORMATS)
def test_other_columns_travel_along(tmp_path, format):
    file = tmp_path / "tasks.json"
    extra = pd.DataFrame({"id": [7, 8], "lang": ["en", None]}, index=[3, 4])
    write_tasks(file, ["one", "two"], scores=[0.5, 0.4], extra=extra, format=format)
    place = "data" if format == "label-studio" else "metadata"
    one, two = (row[place] for row in json.loads(file.read_text()))
    assert (one["id"], one["lang"], one["score"]) == (7, "en", 0.5)
    assert two["id"] == 8
    assert "lang" not in two
    with pytest.raises(ValueError, match=r"extra\['id'\] must hold one value for each of the 1 texts"):
        write_tasks(file, ["one"], extra=extra)
    with pytest.raises(ValueError, match="extra has 'score' is the name of another value"):
        write_tasks(file, ["one"], extra={"score": [1]})
    with pytest.raises(ValueError, match="text='id' is the name of another value"):
        write_tasks(file, ["one", "two"], extra=extra, text="id")


def test_classes_keep_their_types(export):
    rows = [task("one", annotation("1")), task("two", annotation("b"))]
    labels = read_labels(export(*rows), classes=[1, "b"])
    assert labels.labels.tolist() == [1, "b"]


def test_a_byte_order_mark_is_skipped_and_other_encodings_are_refused(tmp_path):
    content = json.dumps([task("one", annotation("good"))])
    file = tmp_path / "export.json"
    file.write_text(content, encoding="utf-8-sig")
    assert read_labels(file).texts == ["one"]
    file.write_text(content, encoding="utf-16")
    with pytest.raises(ValueError, match=r"export\.json is neither JSON nor JSON lines"):
        read_labels(file)


def test_a_missing_suggestion_is_not_shown_and_scores_are_numbers(tmp_path):
    file = tmp_path / "tasks.json"
    write_tasks(file, ["one", "two"], suggestions=[np.nan, 1.0])
    assert ["predictions" in row for row in json.loads(file.read_text())] == [False, True]
    with pytest.raises(ValueError, match="scores must be numbers"):
        write_tasks(file, ["one"], scores=["high"])
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
        write_tasks(tmp_path / "nowhere" / "tasks.json", ["one"])
