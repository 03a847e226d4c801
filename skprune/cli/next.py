"""``skprune next``: the next rows to label, as tasks for an annotation tool."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from skprune.cli.group import Debug
from skprune.cli.methods import STRATEGIES, class_of, make_filter
from skprune.cli.options import Format, Inputs, Json, Keep, Seed, Set, Text, number
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
            help="Export of the annotation tool, or tasks that people have already. May be repeated.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="File for the tasks, JSON.", show_default=False)
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Number of tasks.")] = 25,
    tool: Annotated[str, typer.Option("--tool", help="label-studio or argilla.")] = "label-studio",
    question: Annotated[
        str | None,
        typer.Option(
            "--question", help="Name of the question. [default: the only one, or label]", show_default=False
        ),
    ] = None,
    on_conflict: Annotated[
        str, typer.Option("--on-conflict", help="Contradictory answers: error, majority or skip.")
    ] = "error",
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
    classes the rows are random. Texts in the files of --labels are never written again.
    """
    for value, name in ((inputs, "INPUTS"), (text, "--text"), (out, "--out")):
        if not value:
            raise typer.BadParameter(f"{name} is missing")
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

    if tool not in TOOLS:
        raise typer.BadParameter(f"{tool!r} is not one of {', '.join(TOOLS)}", param_hint="--tool")

    known = read_labels(labels or [], on_conflict=on_conflict, text=str(text), question=question)
    with as_files(inputs or [], format) as paths:
        texts = read_frame(paths, text, columns=[str(text)])[text].dropna().drop_duplicates()
    outside = ~np.isin(known.texts, texts)
    if len(known) and outside.all():
        raise ValueError("none of the labeled texts is in the pool; --labels may be of another project")
    pool = texts[~texts.isin(known.asked) & (texts.str.strip() != "")].tolist()
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
    n_tasks = write_tasks(
        out,
        rows,
        scores=scores,
        reasons=query.explain()["reason"].to_numpy(dtype=object)[indices],
        suggestions=model.predict(rows) if suggest and is_trained else None,
        format=tool,
        text=str(text),
        question=question or "label",
    )
    result = {
        "tasks": n_tasks,
        "out": out,
        "left": len(pool) - n_tasks,
        "labels": len(known),
        "labels outside of the pool": int(outside.sum()),
        "skipped": len(known.skipped),
        "disputed": len(known.disputed),
        "unanswered": len(known.unanswered),
    }
    if json:
        print_json(result)
        return
    print(f"wrote {n_tasks:,} tasks to {out}; {result['left']:,} texts are left in the pool")
    if not is_trained:
        print("the rows are random: there are no labels of two classes yet")
    counted = ("labels", "labels outside of the pool", "skipped", "disputed", "unanswered")
    print(", ".join(f"{name}: {result[name]:,}" for name in counted))
