"""Argilla's records as JSON: those to import, and those with responses as it exports them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from skprune.annotation.answers import Answer, the_question

_FLAT = ".responses"


def task(row: str, extras: dict[str, Any], suggestion: Any, *, text: str, question: str) -> dict[str, Any]:
    """Return a record as ``rg.Record.from_dict`` reads it."""
    suggested = {question: {"value": str(suggestion), "agent": "skprune"}}
    return {
        "id": hashlib.blake2b(row.encode(), digest_size=16).hexdigest(),
        "fields": {text: row},
        "metadata": extras,
        "suggestions": {} if suggestion is None else suggested,
        "responses": {},
    }


def is_export(records: list[Any]) -> bool:
    """Return whether these are records of Argilla."""
    return all("fields" in record or "_server_id" in record for record in records)


def text_of(record: dict[str, Any], text: str) -> str | None:
    """Return the text of a record, None if it has none of this name."""
    found = record.get("fields", record).get(text)
    return found if isinstance(found, str) else None


def names_in(record: dict[str, Any]) -> list[str]:
    """Return the names of the fields of a record."""
    return list(record.get("fields", record))


def answers(records: list[Any], *, text: str, question: str | None, where: str) -> Iterator[Answer]:
    """Yield the responses of records, nested or flat. Drafts and suggestions are not answers."""
    given = [_responses(record) for record in records]
    asked = the_question({name for responses in given for name in responses}, question, where) or ""
    for number, (record, responses) in enumerate(zip(records, given, strict=True)):
        for place, (value, user, status) in enumerate(responses.get(asked, [])):
            if status not in ("submitted", "discarded", "draft"):
                raise ValueError(
                    f"record {number} of {where} has a response without a status, so that drafts look like "
                    "answers: to_json leaves it out. Write dataset.records.to_list(flatten=True) to a file "
                    "with json.dump instead"
                )
            if status != "draft":
                row = str(text_of(record, text))
                choices = value if isinstance(value, list) else [] if value is None else [value]
                chosen = tuple(str(choice) for choice in choices)
                # Without a user, a later export holds the same response at the same place.
                yield Answer(
                    row, chosen, status == "discarded", False, (row, ("at", place) if user is None else user)
                )


def _responses(record: dict[str, Any]) -> dict[str, list[tuple[Any, Any, Any]]]:
    """Return ``(value, user, status)`` of each response, by question."""
    nested = record.get("responses")
    if isinstance(nested, dict):
        return {
            name: [(given.get("value"), given.get("user_id"), given.get("status")) for given in responses]
            for name, responses in nested.items()
            if responses
        }
    flat = {}
    for key, values in record.items():
        if key.endswith(_FLAT) and values:
            users, statuses = (
                record.get(f"{key}.{part}") or [None] * len(values) for part in ("users", "status")
            )
            flat[key.removesuffix(_FLAT)] = list(zip(values, users, statuses, strict=True))
    return flat
