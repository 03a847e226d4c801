"""The packages of Label Studio and Argilla accept the tasks, and their own objects come back as labels."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from skprune.annotation import read_labels, write_tasks

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of pydantic, in the packages

TEXTS = ["a good film", "a bad film", "\u201ezwei\n Zeilen\u201c \U0001f3ac"]
CONFIG = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="label" toName="text" choice="single"><Choice value="good"/><Choice value="bad"/></Choices>
</View>
"""


@pytest.fixture
def written(tmp_path):
    def write(format):
        more = {
            "scores": [0.5, 0.25, float("nan")],
            "reasons": ["r"] * 3,
            "suggestions": ["good", "bad", "bad"],
        }
        write_tasks(tmp_path / "tasks.json", TEXTS, format=format, **more)
        return tmp_path / "tasks.json"

    return write


def test_label_studio_accepts_tasks_and_answers(written, tmp_path):
    interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface(CONFIG)
    tasks = json.loads(written("label-studio").read_text(encoding="utf-8"))
    for task in tasks:
        assert interface.validate_task({"data": task["data"]})
        for prediction in task["predictions"]:
            assert interface.validate_prediction(prediction, return_errors=True) == []
    unknown = json.loads(json.dumps(tasks[0]["predictions"][0]).replace("good", "ugly"))
    assert not interface.validate_prediction(unknown)
    # The same results as annotations: what people submit without a change.
    for number, task in enumerate(tasks):
        task["annotations"] = [{"id": number, "was_cancelled": False, **task.pop("predictions")[0]}]
        assert interface.validate_annotation(task["annotations"][0])
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    labels = read_labels(tmp_path / "export.json", classes=["good", "bad"])
    assert (labels.texts, labels.labels.tolist()) == (TEXTS, ["good", "bad", "bad"])


def test_an_answer_that_label_studio_makes_is_read(tmp_path):
    objects = pytest.importorskip("label_studio_sdk.label_interface.objects")
    interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface(CONFIG)
    region = interface.get_control("label").label(["good"])
    made = objects.PredictionValue(result=[region]).model_dump()
    (tmp_path / "export.json").write_text(
        json.dumps([{"data": {"text": TEXTS[0]}, "annotations": [made]}], default=str)
    )
    assert read_labels(tmp_path / "export.json").labels.tolist() == ["good"]


def test_argilla_reads_records_and_its_responses_come_back(written, tmp_path):
    rg = pytest.importorskip("argilla")
    io = pytest.importorskip("argilla.records._io")
    records = io.JsonIO._records_from_json(written("argilla"))
    assert [record.fields["text"] for record in records] == TEXTS
    assert [dict(record.metadata) for record in records[1:]] == [
        {"score": 0.25, "reason": "r"},
        {"reason": "r"},
    ]
    assert [record.suggestions["label"].value for record in records] == ["good", "bad", "bad"]
    people = uuid4(), uuid4()
    for record, statuses in zip(
        records, (("submitted", "submitted"), ("discarded", "submitted"), ("draft", "discarded")), strict=True
    ):
        for person, status in zip(people, statuses, strict=True):
            record.responses.add(rg.Response("label", "good", user_id=person, status=status))
    flat = io.GenericIO.to_list(records, flatten=True)
    (tmp_path / "export.json").write_text(json.dumps(flat))
    labels = read_labels(tmp_path / "export.json")
    assert (labels.texts, labels.skipped) == (TEXTS[:2], TEXTS[2:])
    # Argilla's own to_json drops the status.
    (tmp_path / "nested.json").write_text(json.dumps(io.GenericIO.to_list(records, flatten=False)))
    with pytest.raises(ValueError, match="without a status"):
        read_labels(tmp_path / "nested.json")
