"""What one person answered about one text, whichever tool asked."""

from __future__ import annotations

from typing import Any, NamedTuple


class Answer(NamedTuple):
    """One annotation of one text.

    Attributes
    ----------
    text : str
    choices : tuple of str
        The labels chosen; empty if the person submitted none.
    skipped : bool
        Whether the person skipped the text. Choices are ignored then.
    decides : bool
        Whether it overrules the other answers.
    key : hashable or None
        Identifies the annotation in all exports; a later export may hold a correction of it.
    """

    text: str
    choices: tuple[str, ...]
    skipped: bool
    decides: bool
    key: Any


def the_question(found: set[str], wanted: str | None, where: str) -> str | None:
    """Return the question to read among those that have answers, or None if nothing is answered yet.

    Raises
    ------
    ValueError
        If there are several, and none is wanted, or the one that is wanted is not among them.
    """
    if wanted is None and len(found) > 1:
        raise ValueError(f"{where} has several questions, {', '.join(sorted(found))}; name one as question=")
    if wanted is not None and found and wanted not in found:
        raise ValueError(
            f"{where} has no answers to question={wanted!r}; it has some to {', '.join(sorted(found))}"
        )
    return next(iter(found), None) if wanted is None else wanted
