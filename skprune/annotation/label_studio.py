"""Label Studio's JSON: tasks to import, and annotated tasks as it exports them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from skprune.annotation.answers import Answer, the_question


def task(row: str, extras: dict[str, Any], suggestion: Any, *, text: str, question: str) -> dict[str, Any]:
    """Return a task. What is under ``data`` can be shown to people, and sorted by in the Data Manager."""
    content: dict[str, Any] = {"data": {text: row, **extras}}
    if suggestion is not None:
        choice = {
            "from_name": question,
            "to_name": text,
            "type": "choices",
            "value": {"choices": [str(suggestion)]},
        }
        content["predictions"] = [{"model_version": "skprune", "result": [choice]}]
    return content


def is_export(records: list[Any]) -> bool:
    """Return whether these are tasks of Label Studio."""
    return all(isinstance(record.get("data"), dict) for record in records)


def text_of(record: dict[str, Any], text: str) -> str | None:
    """Return the text of a task, None if it has none of this name."""
    found = record["data"].get(text)
    return found if isinstance(found, str) else None


def names_in(record: dict[str, Any]) -> list[str]:
    """Return the names of the values of a task."""
    return list(record["data"])


def answers(records: list[Any], *, text: str, question: str | None, where: str) -> Iterator[Answer]:
    """Yield the annotations of tasks. Predictions and drafts are not answers."""
    found = {part["from_name"] for record in records for made in _made(record) for part in _choices(made)}
    asked = the_question(found, question, where)
    for record in records:
        for made in _made(record):
            chosen = [c for part in _choices(made) if part["from_name"] == asked for c in _values(part)]
            yield Answer(
                text=record["data"][text],
                choices=tuple(chosen),
                skipped=bool(made.get("was_cancelled")),
                decides=bool(made.get("ground_truth")),
                key=None if made.get("id") is None else (record["data"][text], made["id"]),
            )


def _made(record: dict[str, Any]) -> list[dict[str, Any]]:
    return record.get("annotations") or []


def _choices(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for part in made.get("result") or [] if part.get("type") == "choices"]


def _values(part: dict[str, Any]) -> list[str]:
    return [str(choice) for choice in part["value"]["choices"]]
