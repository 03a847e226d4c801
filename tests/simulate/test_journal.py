"""Journals of the simulator that were written by hand or damaged: refused by line, or resumed correctly."""

import json
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB

from skprune import ActiveLearningSimulator, RandomFilter
from skprune.simulate import StabilizingPredictions
from skprune.strategies import LeastConfidence

X, Y = load_iris(return_X_y=True)


def run_in(memory, **params):
    run = ActiveLearningSimulator(
        GaussianNB(),
        LeastConfidence(),
        RandomFilter(0.5),
        n_instances=5,
        n_rounds=4,
        stopping=StabilizingPredictions(threshold=1.0),
        scoring="accuracy",
        validation_fraction=0.2,
        random_state=0,
        memory=memory,
    )
    return run.set_params(**params).fit(X, Y)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The lines of a finished run, as objects, and the run."""
    memory = tmp_path_factory.mktemp("recorded")
    run = run_in(memory)
    lines = (memory / "journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], run


def resume(tmp_path, lines, **params):
    (tmp_path / "journal.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return run_in(tmp_path, **params)


def encoded(objects):
    return [json.dumps(value).encode() for value in objects]


def check(run):
    """Check that a run is in order: labels counted right, no row twice, none that was held out."""
    rows, curve = run.labeled_indices_, run.learning_curve_
    assert len(set(rows.tolist())) == len(rows) == curve["labels"].iloc[-1]
    assert set(rows.tolist()) <= set(range(150))
    assert curve["round"].tolist() == list(range(len(curve)))
    assert (np.diff(curve["labels"]) > 0).all()
    assert (np.diff(curve["labels"]) <= 5).all()
    assert run.predict(X).shape == (150,)


FAULTS = {
    "negative": (3, {"picked": [-1, 2, 3, 4, 5]}, "picked must name rows of the pool"),
    "beyond the pool": (3, {"picked": [150, 2, 3, 4, 5]}, "picked must name rows of the pool"),
    "huge": (3, {"picked": [10**30, 2, 3, 4, 5]}, "picked must name rows of the pool"),
    "float": (3, {"picked": [1.0, 2, 3, 4, 5]}, "picked must be a list of row numbers"),
    "string": (3, {"picked": ["1", 2, 3, 4, 5]}, "picked must be a list of row numbers"),
    "boolean": (3, {"picked": [True, 2, 3, 4, 5]}, "picked must be a list of row numbers"),
    "empty": (3, {"picked": []}, "picked must be a list of row numbers"),
    "null": (3, {"picked": None}, "picked must be a list of row numbers"),
    "nested": (3, {"picked": [[1, 2]]}, "picked must be a list of row numbers"),
    "labels": (3, {"labels": 3}, "labels must be 15, and is 3"),
    "pool": (3, {"pool": 7}, "pool must be 110, and is 7"),
    "round": (3, {"round": 1}, "round must be 2, and is 1"),
    "llm_calls": (3, {"llm_calls": "many"}, "llm_calls must be a number"),
    "seconds": (3, {"train_seconds": -1.0}, "train_seconds must not be negative"),
    "score": (3, {"accuracy": "high"}, "accuracy must be a number"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_round_that_this_run_cannot_have_played_is_refused_by_its_line(name, recorded, tmp_path):
    number, change, message = FAULTS[name]
    lines = deepcopy(recorded[0])
    lines[number] |= change
    with pytest.raises(ValueError, match=rf"line {number + 1} of .*journal.jsonl is not a round.*{message}"):
        resume(tmp_path, encoded(lines))


@pytest.mark.parametrize("name", ["picked", "labels", "kappa", "accuracy", "select_seconds"])
def test_a_round_without_a_column_is_refused(name, recorded, tmp_path):
    lines = deepcopy(recorded[0])
    del lines[2][name]
    with pytest.raises(ValueError, match=f"line 3 .*it has no {name}"):
        resume(tmp_path, encoded(lines))


def test_rows_picked_twice_and_rows_held_out_are_refused(recorded, tmp_path):
    lines = deepcopy(recorded[0])
    lines[3]["picked"][0] = lines[3]["picked"][1]
    with pytest.raises(ValueError, match=r"line 4 .*each of them once"):
        resume(tmp_path, encoded(lines))
    lines[3]["picked"][0] = lines[1]["picked"][0]
    with pytest.raises(ValueError, match=r"line 4 .*none of an earlier line"):
        resume(tmp_path, encoded(lines))
    repeated = encoded(recorded[0][:3] + recorded[0][2:])
    with pytest.raises(ValueError, match="line 4"):
        resume(tmp_path, repeated)
    with pytest.raises(ValueError, match="line 2"):
        resume(tmp_path, encoded([recorded[0][0], *recorded[0][2:]]))


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"", b"3", b"[]", b"null"])
def test_a_line_without_a_json_object_is_refused(line, recorded, tmp_path):
    lines = encoded(recorded[0])
    for number in (1, 3):
        with pytest.raises(ValueError, match=f"line {number}"):
            resume(tmp_path, [*lines[: number - 1], line, *lines[number:]])


@pytest.mark.parametrize("change", [{"seed": "0"}, {"seed": -1}, {"seed": None}, {"settings": []}])
def test_a_damaged_first_line_is_refused(change, recorded, tmp_path):
    lines = deepcopy(recorded[0])
    lines[0] |= change
    with pytest.raises(ValueError, match=r"is not a journal of a simulator run, see line 1"):
        resume(tmp_path, encoded(lines), random_state=None)


def test_initial_labels_of_one_class_are_refused(recorded, tmp_path):
    lines = deepcopy(recorded[0])
    lines[1]["picked"] = [row for row in lines[1]["picked"] if Y[row] == Y[lines[1]["picked"][0]]]
    lines[1]["labels"] = len(lines[1]["picked"])
    with pytest.raises(ValueError, match=r"line 2 .*only one class"):
        resume(tmp_path, encoded(lines[:2]))


def test_a_character_cut_in_two_by_a_kill_is_removed(recorded, tmp_path):
    lines = encoded(recorded[0])
    whole = b"".join(line + b"\n" for line in lines[:4])
    (tmp_path / "journal.jsonl").write_bytes(whole + lines[4][:30] + "…".encode()[:2])
    run = run_in(tmp_path)
    assert run.labeled_indices_.tolist() == recorded[1].labeled_indices_.tolist()
    assert (tmp_path / "journal.jsonl").read_bytes().startswith(whole)


def test_a_file_of_something_else_is_refused_and_stays(tmp_path):
    (tmp_path / "journal.jsonl").write_text("Dear diary, this line has no end")
    with pytest.raises(ValueError, match=r"is not a journal of a simulator run"):
        run_in(tmp_path)
    assert (tmp_path / "journal.jsonl").read_text() == "Dear diary, this line has no end"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_journal_is_refused_or_resumed_correctly(data, recorded, tmp_path):
    lines = deepcopy(recorded[0])
    for _ in range(data.draw(st.integers(1, 2))):
        number = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["value", "row", "drop", "repeat", "swap", "delete"])):
            case "value":
                lines[number][data.draw(st.sampled_from(sorted(lines[number])))] = data.draw(json_values)
            case "row" if isinstance(lines[number].get("picked"), list) and lines[number]["picked"]:
                lines[number]["picked"][0] = data.draw(st.integers(-2, 152) | json_values)
            case "drop":
                del lines[number][data.draw(st.sampled_from(sorted(lines[number])))]
                if not lines[number]:
                    lines[number] = {"round": 0}
            case "repeat":
                lines.insert(number, lines[number])
            case "swap":
                lines[number], lines[-1] = lines[-1], lines[number]
            case "delete":
                del lines[number]
        if not lines:
            break
    _refused_or_resumed(tmp_path, encoded(lines))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_and_missing_bytes_are_refused_or_harmless(data, recorded, tmp_path):
    content = bytearray(b"\n".join(encoded(recorded[0])) + b"\n")
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))]
    _refused_or_resumed(tmp_path, bytes(content))


def _refused_or_resumed(tmp_path, content):
    if isinstance(content, list):
        content = b"".join(line + b"\n" for line in content)
    (tmp_path / "journal.jsonl").write_bytes(content)
    try:
        run = run_in(tmp_path)
    except ValueError as error:
        message = str(error)
        if "journal.jsonl" not in message and "holds another run" not in message:
            raise
    else:
        check(run)
