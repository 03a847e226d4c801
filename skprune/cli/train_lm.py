"""``skprune train-lm``: an n-gram model of some texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skprune.cli.group import Debug
from skprune.cli.options import Format, Inputs, Json, Text, Verbose
from skprune.cli.output import print_json
from skprune.cli.pipes import as_files
from skprune.cli.values import assignments


def train_lm(
    inputs: Inputs = None,
    text: Text = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File for the model, a KenLM binary.", show_default=False),
    ] = None,
    order: Annotated[int, typer.Option("--order", help="Length of the longest n-grams, 2 to 6.")] = 5,
    n_train: Annotated[int, typer.Option("--n-train", min=1, help="Most texts to train on.")] = 100_000,
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME=VALUE",
            help="A parameter of NGramScorer: --set tokenizer=whitespace. Whoever scores with the model must "
            "set the same: -s perplexity=model.bin -s perplexity__tokenizer=whitespace.",
            show_default=False,
        ),
    ] = None,
    format: Format = None,
    json: Json = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Train an n-gram model on clean texts, to measure the perplexity of others.

    Example: skprune train-lm clean/ -t body -o model.bin && skprune prune pool/ -t body -m perplexity
    --set perplexity=model.bin -o kept
    """
    if not inputs:
        raise typer.BadParameter("INPUTS is missing")
    if out is None:
        raise typer.BadParameter("--out is missing")
    if out.is_dir():
        raise typer.BadParameter(f"{str(out)!r} is a folder; name a file", param_hint="--out")
    parameters = assignments(set or [])

    from skprune import NGramScorer
    from skprune.files import train_ngram

    known = NGramScorer().get_params().keys() - {"model", "max_train_texts"}  # options of this command
    for name in parameters:
        if name not in known:
            names = ", ".join(sorted(known))
            raise typer.BadParameter(
                f"NGramScorer has no parameter {name!r}; it has {names}", param_hint="--set"
            )
    scorer = NGramScorer(order=order, verbose=int(verbose)).set_params(**parameters)
    with as_files(inputs, format) as paths:
        fitted = train_ngram(paths, scorer, text=text, out=out, n_train=n_train, verbose=int(verbose))
    n_texts, n_bytes = fitted.n_train_texts_, out.stat().st_size
    if json:
        print_json({"out": str(out), "order": fitted.order, "texts": n_texts, "bytes": n_bytes})
    else:
        print(f"trained on {n_texts:,} texts; {n_bytes / 1e6:,.1f} MB in {out}")
