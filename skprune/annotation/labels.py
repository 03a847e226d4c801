"""Read the labels that people gave in an annotation tool."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skprune.annotation.answers import Answer
from skprune.annotation.tasks import TOOLS
from skprune.pools import check_pool

_SHOWN = 60  # characters of a text in a message


@dataclass(frozen=True)
class Labels:
    """Texts and the labels that people gave them.

    Attributes
    ----------
    texts : list of str
        The texts that have a label, in the order of the file.
    labels : ndarray of shape (n_labeled,)
        Their labels.
    agreement : ndarray of float, shape (n_labeled,)
        The share of the answers to each text that agree with its label.
    skipped : list of str
        Texts that people have seen and given no label: skipped, discarded, or submitted without an answer.
    disputed : dict of str to dict
        Texts whose answers contradict each other and were not settled, with the number of answers by label.
    unanswered : list of str
        Texts that nobody has answered yet.
    """

    texts: list[str]
    labels: np.ndarray
    agreement: np.ndarray
    skipped: list[str]
    disputed: dict[str, dict[Any, int]]
    unanswered: list[str]

    @property
    def asked(self) -> list[str]:
        """All texts of the files: people have them already, so the next batch should have none of them."""
        return [*self.texts, *self.skipped, *self.disputed, *self.unanswered]

    def __len__(self) -> int:
        return len(self.texts)

    def to_frame(self, text: str = "text", label: str = "label") -> Any:
        """Return the labels as a table, to be written to a file or given to an estimator.

        Parameters
        ----------
        text, label : str
            The names of two columns. A third one is ``agreement``.

        Returns
        -------
        DataFrame of n_labeled rows

        Raises
        ------
        ValueError
            If two columns would have the same name.

        Examples
        --------
        >>> Labels(["fine", "poor"], np.array([1, 0]), np.ones(2), [], {}, []).to_frame()
           text  label  agreement
        0  fine      1        1.0
        1  poor      0        1.0
        """
        import pandas as pd

        columns = {text: self.texts, label: self.labels, "agreement": self.agreement}
        if len(columns) < 3:
            raise ValueError(f"text={text!r} and label={label!r} must differ, also from 'agreement'")
        return pd.DataFrame(columns)

    def for_pool(self, X: Any, *, text: Any = None, on_unknown: str = "error") -> np.ndarray:
        """Return the label of every row of a pool, as ``fit(X, y)`` of a filter takes them.

        Parameters
        ----------
        X : container of n_rows texts
        text : column name, default=None
            The column of texts, if ``X`` has columns.
        on_unknown : {"error", "ignore"}, default="error"
            What happens if a labeled text is not in the pool.

        Returns
        -------
        ndarray of object, shape (n_rows,)
            None for rows without a label. All copies of a text have its label.

        Raises
        ------
        ValueError
            If a labeled text is not in the pool. The message shows the first.

        Examples
        --------
        >>> Labels(["b"], np.array([1]), np.ones(1), [], {}, []).for_pool(["a", "b"]).tolist()
        [None, 1]
        """
        if on_unknown not in ("error", "ignore"):
            raise ValueError(f"on_unknown must be 'error' or 'ignore', got {on_unknown!r}")
        rows = check_pool(X, text=text)
        if not rows.holds_texts:
            raise TypeError("X must hold texts, because labels are found by their texts")
        label_of = dict(zip(self.texts, self.labels.tolist(), strict=True))
        texts = rows.texts.tolist()
        in_pool = set(texts)
        unknown = [labeled for labeled in self.texts if labeled not in in_pool]
        if unknown and on_unknown == "error":
            raise ValueError(
                f"{len(unknown)} labeled texts are not in the pool, the first is {_short(unknown[0])}. They "
                "may be of another project, or the texts have changed; on_unknown='ignore' leaves them out"
            )
        y = np.full(len(texts), None, dtype=object)
        y[:] = [label_of.get(row) for row in texts]
        return y


def read_labels(
    paths: Any,
    *,
    classes: Sequence[Any] | None = None,
    on_conflict: str = "error",
    format: str | None = None,
    text: str = "text",
    question: str | None = None,
) -> Labels:
    """Read labels from the files that Label Studio or Argilla exports.

    Parameters
    ----------
    paths : path-like, or iterable of path-like
        JSON, or JSON lines; also files that :func:`write_tasks` wrote. Label Studio: the export "JSON".
        Argilla 2: what ``dataset.records.to_list(flatten=True)`` returns, written with ``json.dump``.
    classes : sequence, default=None
        The labels that may occur. They are returned as given here: with ``classes=[0, 1]`` the answer "1"
        becomes 1. None: all labels are allowed, and are str.
    on_conflict : {"error", "majority", "skip"}, default="error"
        What happens to a text with answers that contradict each other: from several people, from one person
        who chose several labels, or in several tasks with the same text. "majority" takes the most frequent
        label, and leaves a text out if there is a tie. "skip" leaves it out. Texts left out are in
        ``disputed``.
    format : {"label-studio", "argilla"}, default=None
        None: the content tells.
    text : str, default="text"
        The name of the text, as in :func:`write_tasks`.
    question : str, default=None
        The name of the question. None: the only one that has answers.

    Returns
    -------
    Labels

    Raises
    ------
    ValueError
        If a file is not an export, a task has no text, a label is not among the classes, answers contradict
        each other, or several questions have answers and none is named. The message names the task or text.

    See Also
    --------
    write_tasks : Writes the tasks.

    Notes
    -----
    *Which answers count.* In Label Studio: annotations, without those that were skipped; if one of them is
    marked as ground truth, it alone counts. In Argilla: responses with the status "submitted". Drafts,
    predictions and suggestions never count. If several files hold the same annotation, the last one counts.

    *Rows are known by their texts*, so the order of tasks and their numbers do not matter.

    Argilla's export has no trace of a record that was discarded before anything was chosen, so such a text is
    in ``unanswered``.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> from skprune.annotation import read_labels
    >>> def choice(label):
    ...     return {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
    >>> answers = [{"id": n, "result": [choice(label)]} for n, label in enumerate(["good", "good", "bad"])]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "export.json")
    ...     _ = file.write_text(json.dumps([{"data": {"text": "a fine film"}, "annotations": answers}]))
    ...     labels = read_labels(file, classes=["bad", "good"], on_conflict="majority")
    >>> labels.texts, labels.labels.tolist(), labels.agreement.round(2).tolist()
    (['a fine film'], ['good'], [0.67])
    """
    if on_conflict not in ("error", "majority", "skip"):
        raise ValueError(f"on_conflict must be 'error', 'majority' or 'skip', got {on_conflict!r}")
    if format is not None and format not in TOOLS:
        raise ValueError(f"format must be one of {', '.join(map(repr, TOOLS))}, got {format!r}")
    class_of = None if classes is None else {str(name): name for name in classes}
    files = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    by_text: dict[str, list[Answer]] = {}
    answers: list[Answer] = []
    for path in files:
        texts, more = _read(Path(path).expanduser(), format, text, question, class_of)
        by_text |= {row: [] for row in texts}
        answers += more
    for answer in _newest(answers):
        by_text[answer.text].append(answer)
    labeled: dict[str, tuple[str, float]] = {}
    skipped, disputed, unanswered = [], {}, []
    for row, given in by_text.items():
        counting = [answer for answer in given if not answer.skipped]
        counting = [answer for answer in counting if answer.decides] or counting
        votes = Counter(choice for answer in counting for choice in answer.choices)
        if not given:
            unanswered.append(row)
        elif not votes:
            skipped.append(row)
        elif (winner := _winner(votes, row, on_conflict)) is not None:
            labeled[row] = (winner, votes[winner] / votes.total())
        else:
            disputed[row] = {_as_class(choice, class_of): n for choice, n in votes.most_common()}
    return Labels(
        texts=list(labeled),
        labels=_array_of([_as_class(winner, class_of) for winner, _ in labeled.values()]),
        agreement=np.array([share for _, share in labeled.values()], dtype=np.float64),
        skipped=skipped,
        disputed=disputed,
        unanswered=unanswered,
    )


def _array_of(labels: list[Any]) -> np.ndarray:
    """Return labels as an array that holds them as they are: of objects, if NumPy would change their type."""
    array = np.array(labels)
    if array.ndim == 1 and array.tolist() == labels:
        return array
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


def _read(
    file: Path, format: str | None, text: str, question: str | None, class_of: dict[str, Any] | None
) -> tuple[list[str], list[Answer]]:
    """Return the texts of one file, and the answers to them, whose labels are among the classes."""
    records = _records(file)
    names = [format] if format else [name for name, tool in TOOLS.items() if tool.is_export(records)]
    if not names:
        raise ValueError(
            f"{file} is neither Label Studio's export JSON (not JSON-MIN or CSV) nor holds records of Argilla"
        )
    tool = TOOLS[names[0]]
    try:
        texts = [_text_of(record, number, tool, text, file) for number, record in enumerate(records)]
        answers = list(tool.answers(records, text=text, question=question, where=str(file)))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is not an export of {names[0]}, or is damaged: {error!r}") from error
    if class_of is not None:
        for answer in answers:
            unknown = [choice for choice in answer.choices if choice not in class_of]
            if unknown and not answer.skipped:
                raise ValueError(
                    f"{file}: {_short(answer.text)} has the label {unknown[0]!r}, which is not one of the "
                    f"classes {', '.join(class_of)}"
                )
    return texts, answers


def _text_of(record: dict[str, Any], number: int, tool: Any, text: str, file: Path) -> str:
    found = tool.text_of(record, text)
    if found is None:
        names = ", ".join(tool.names_in(record))
        raise ValueError(f"task {number} of {file} has no text {text!r}; it has {names}")
    return str(found)


def _records(file: Path) -> list[Any]:
    """Return the objects in a file of JSON or JSON lines."""
    try:
        content = file.read_text(encoding="utf-8-sig")
        try:
            records = json.loads(content)
        except ValueError:
            records = [json.loads(line) for line in content.split("\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is neither JSON nor JSON lines: {error}") from error
    records = [records] if isinstance(records, dict) else records
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{file} must hold a list of tasks")
    return records


def _newest(answers: Iterable[Answer]) -> list[Answer]:
    """Return the answers without those that a later export holds in another version."""
    newest = {
        (number if answer.key is None else answer.key, answer.key is None): answer
        for number, answer in enumerate(answers)
    }
    return list(newest.values())


def _winner(votes: Counter[str], row: str, on_conflict: str) -> str | None:
    """Return the label of a text; None if it stays disputed."""
    (winner, most), *others = votes.most_common()
    if not others:
        return winner
    if on_conflict == "error":
        raise ValueError(
            f"the answers to {_short(row)} contradict each other: "
            f"{', '.join(f'{choice} ({n})' for choice, n in votes.most_common())}. "
            "on_conflict='majority' takes the most frequent label, and 'skip' leaves such texts out"
        )
    return winner if on_conflict == "majority" and most > others[0][1] else None


def _as_class(choice: str, class_of: dict[str, Any] | None) -> Any:
    return choice if class_of is None else class_of[choice]


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
