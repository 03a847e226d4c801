"""Write rows as tasks for an annotation tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from skprune._atomic import replacing
from skprune.annotation import argilla, label_studio
from skprune.pools import check_texts

TOOLS = {"label-studio": label_studio, "argilla": argilla}


def write_tasks(
    path: Any,
    texts: Any,
    *,
    scores: Any = None,
    reasons: Any = None,
    suggestions: Any = None,
    extra: Any = None,
    format: str = "label-studio",
    text: str = "text",
    question: str = "label",
) -> int:
    """Write texts to a file that Label Studio or Argilla imports as tasks.

    Parameters
    ----------
    path : path-like
        The file to write. An existing one is replaced as a whole.
    texts : sequence of str, shape (n_rows,)
        In the order in which people should see them, for instance the rows that a query returned. Copies of a
        text are one task.
    scores : array-like of float, shape (n_rows,), default=None
        Numbers to sort the tasks by, such as the metrics of a query strategy. A row whose number is NaN or
        infinite gets none.
    reasons : sequence of str, shape (n_rows,), default=None
        Why each row is asked about, such as the column ``reason`` of :meth:`skprune.PrunedQuery.explain`.
    suggestions : sequence of shape (n_rows,), default=None
        Labels to show as suggestions, such as predictions of the model. People tend to confirm what they are
        shown.
    extra : DataFrame, or dict of sequences, of n_rows rows, default=None
        Other values that travel with each text, such as an id or a language, by name. Missing ones are left
        out.
    format : {"label-studio", "argilla"}, default="label-studio"
        Label Studio: a JSON list of tasks, with scores and reasons under ``data`` beside the text.
        Argilla 2: a JSON list of records for ``dataset.records.from_json``, with scores and reasons under
        ``metadata``.
    text : str, default="text"
        The name of the text: ``$text`` in the labeling configuration of Label Studio, the name of the field
        in Argilla.
    question : str, default="label"
        The name of the question: that of the ``Choices`` tag in Label Studio, that of the ``LabelQuestion``
        in Argilla. Only suggestions use it.

    Returns
    -------
    int
        Number of tasks.

    Raises
    ------
    ValueError
        If a sequence has another length than ``texts``, or two values of a task have one name.

    See Also
    --------
    read_labels : The way back.

    Notes
    -----
    In Argilla a record is identified by a hash of its text, so that a text that is logged twice stays one
    record. Label Studio makes a new task each time that a file is imported.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skprune.annotation import write_tasks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "tasks.json")
    ...     n_tasks = write_tasks(file, ["a fine film"], scores=[0.5], reasons=["kept: random draw"])
    ...     print(n_tasks, file.read_text().strip())
    1 [
    {"data": {"text": "a fine film", "score": 0.5, "reason": "kept: random draw"}}
    ]
    """
    if format not in TOOLS:
        raise ValueError(f"format must be one of {', '.join(map(repr, TOOLS))}, got {format!r}")
    others = {} if extra is None else {str(name): extra[name] for name in extra}
    for name, what in ((text, "text="), *((other, "extra has ") for other in others)):
        if name in {"score", "reason", *(others if what == "text=" else [text])}:
            raise ValueError(f"{what}{name!r} is the name of another value of a task; choose another name")
    rows = check_texts(texts)
    others = {name: _column(values, f"extra[{name!r}]", len(rows)) for name, values in others.items()}
    columns = zip(
        _column(scores, "scores", len(rows), numbers=True),
        _column(reasons, "reasons", len(rows)),
        _column(suggestions, "suggestions", len(rows)),
        strict=True,
    )
    lines: dict[str, str] = {}
    for number, (row, (score, reason, suggestion)) in enumerate(zip(rows, columns, strict=True)):
        extras = {"score": _finite(score), "reason": None if reason is None else str(reason)}
        extras |= {name: values[number] for name, values in others.items()}
        extras = {name: value for name, value in extras.items() if value is not None and value == value}
        suggested = None if suggestion != suggestion else suggestion  # NaN
        task = TOOLS[format].task(row, extras, suggested, text=text, question=question)
        lines.setdefault(row, json.dumps(task, ensure_ascii=False))
    with replacing(Path(path).expanduser()) as file:
        file.write(("[\n" + ",\n".join(lines.values()) + "\n]\n").encode())
    return len(lines)


def _column(values: Any, name: str, n_rows: int, *, numbers: bool = False) -> list[Any]:
    """Return one value per row, None for all of them if there are none."""
    if values is None:
        return [None] * n_rows
    if numbers:
        try:
            values = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be numbers: {error}") from error
    column = np.asarray(values).tolist()
    if np.ndim(values) != 1 or len(column) != n_rows:
        raise ValueError(f"{name} must hold one value for each of the {n_rows} texts")
    return column


def _finite(score: Any) -> float | None:
    """Return a number that JSON has, else None."""
    return None if score is None or not np.isfinite(score) else score
