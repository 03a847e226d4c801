"""``skprune next``: the next rows to label, as tasks for an annotation tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from skprune.cli.group import Debug
from skprune.cli.labels import counts, print_counts
from skprune.cli.methods import STRATEGIES, class_of, make_filter
from skprune.cli.options import (
    Classes,
    Format,
    Id,
    Inputs,
    Json,
    Keep,
    OnConflict,
    Question,
    Seed,
    Set,
    Text,
    named_classes,
    number,
)
from skprune.cli.output import print_json
from skprune.cli.pipes import as_files
from skprune.cli.values import assignments


def next(
    inputs: Inputs = None,
    text: Text = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels",
            "-l",
            metavar="FILE",
            help="Export of the annotation tool, or tasks that people have already; repeat the option for "
            "several files.",
            show_default=False,
        ),
    ] = None,
    classes: Classes = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="File for the tasks, JSON.", show_default=False)
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Number of tasks.")] = 25,
    id: Id = None,
    tool: Annotated[str, typer.Option("--tool", help="label-studio or argilla.")] = "label-studio",
    question: Question = None,
    on_conflict: OnConflict = "error",
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Show people what the model predicts.", show_default=False)
    ] = False,
    method: Annotated[
        str, typer.Option("--method", "-m", help="Filter in front of the query strategy.")
    ] = "proxy",
    strategy: Annotated[str, typer.Option("--strategy", help="Query strategy.")] = "entropy",
    keep: Keep = None,
    seed: Seed = 0,
    set: Set = None,
    format: Format = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the rows that people should label next as tasks for Label Studio or Argilla.

    Example: skprune next pool.csv -t body --labels export.json -n 50 -o tasks.json

    The model is a logistic regression on TF-IDF vectors, trained on the labels so far. Without labels of two
    classes the usual filter and strategy draw random rows. Texts in the files of --labels are never written
    again. With --id, each task has the value of that column.
    """
    for value, name in ((inputs, "INPUTS"), (text, "--text"), (out, "--out")):
        if not value:
            raise typer.BadParameter(f"{name} is missing")
    allowed = named_classes(classes)
    parameters: dict[str, Any] = {"random_state": seed}
    if keep is not None:
        parameters["keep"] = number(keep)
    filter = make_filter(method, parameters | assignments(set or []))
    query_strategy = class_of(strategy, STRATEGIES, "--strategy")(random_state=seed)

    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from skprune import PrunedQuery, read_labels, write_tasks
    from skprune.annotation.tasks import TOOLS
    from skprune.files import read_frame
    from skprune.files.paths import find_files

    if tool not in TOOLS:
        raise typer.BadParameter(f"{tool!r} is not one of {', '.join(TOOLS)}", param_hint="--tool")

    known = read_labels(
        labels or [], classes=allowed, on_conflict=on_conflict, text=str(text), question=question
    )
    with as_files(inputs or [], format) as paths:
        used = {path.resolve() for path in (*find_files(paths).values(), *map(Path, labels or []))}
        if Path(str(out)).resolve() in used:
            raise typer.BadParameter(
                f"{out} is one of the inputs, and would be lost; name another file", param_hint="--out"
            )
        try:
            frame = read_frame(paths, text, columns=[str(text), *([] if id is None else [id])])
        except (TypeError, ValueError) as error:
            if labels and len(paths) > 1:
                remedy = "if this file holds labels, put --labels before its name too"
                raise ValueError(f"{error}; {remedy}") from error
            raise
    column = frame[text]
    texts = column[column.notna() & (column.str.strip() != "")]
    n_without_text = len(column) - len(texts)
    texts = texts.drop_duplicates()
    outside = ~np.isin(known.texts, texts)
    if len(known) and outside.all():
        raise ValueError("none of the labeled texts is in the pool; --labels may be of another project")
    texts = texts[~texts.isin(known.asked)]
    pool = texts.tolist()
    if not pool:
        raise ValueError("no text of the pool is left: people have all of them")
    if keep is None and isinstance(size := filter.get_params().get("keep"), int) and size > len(pool):
        filter.set_params(keep=1.0)
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=1000))
    query = PrunedQuery(filter, query_strategy).fit(pool)
    is_trained = len(np.unique(known.labels)) > 1
    if is_trained:
        model.fit(known.texts, known.labels)
        query.tell(known.texts, known.labels, learner=model)
    indices, scores = query(model, pool, n_instances=min(n, len(pool)))
    rows = [pool[row] for row in indices]
    reasons = query.explain()["reason"].to_numpy(dtype=object)[indices]
    n_tasks = write_tasks(
        out,
        rows,
        scores=scores,
        reasons=reasons,
        suggestions=model.predict(rows) if suggest and is_trained else None,
        extra=None if id is None else {id: frame.loc[texts.index[indices], id].tolist()},
        format=tool,
        text=str(text),
        question=question or "label",
    )
    result = {
        "tasks": n_tasks,
        "out": out,
        "left": len(pool) - n_tasks,
        "rows without a text": n_without_text,
        "labels outside of the pool": int(outside.sum()),
        **counts(known, allowed),
    }
    if json:
        print_json(result)
        return
    print(f"wrote {n_tasks:,} tasks to {out}; {result['left']:,} texts are left in the pool")
    if n_without_text:
        print(f"{n_without_text:,} rows without a text left out")
    if not is_trained:
        by_filter = not all("random" in reason for reason in reasons)
        print(_without_model(method if by_filter else None, strategy if np.any(scores) else None))
    print_counts(result)


def _without_model(filter: str | None, strategy: str | None) -> str:
    """Say what picked the rows before there is a model; None stands for a random draw."""
    if filter is None and strategy is None:
        picked = "the rows are random"
    elif filter is None:
        picked = f"the filter is random, and the strategy {strategy} picked among its rows"
    elif strategy is None:
        picked = f"the strategy is random, and picked among the rows of the filter {filter}"
    else:
        picked = f"the strategy {strategy} picked among the rows of the filter {filter}"
    return f"{picked}: there are no labels of two classes yet"
