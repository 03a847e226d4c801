"""n-gram scoring, with one order-5 model and the same tokens on both sides."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from . import inputs
from .cases import Row, case, row
from .measuring import alternate, scaled

N_TRAIN = 100_000
REPEATS = 3


@case()
def query(n: int) -> Iterator[Row]:
    """KenLM's own program reads lines of tokens from a file, and prints one total per line."""
    from .kenlm_query import program

    scorer, lines = _scorer_of_tokens(n)
    run = [str(program()), "-v", "sentence", str(scorer.model)]
    with tempfile.TemporaryDirectory() as folder:
        path, empty = Path(folder) / "lines", Path(folder) / "empty"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        empty.touch()

        def score(source: Path) -> bytes:
            with source.open("rb") as file:
                return subprocess.run(run, stdin=file, capture_output=True, check=True).stdout

        printed = score(path).decode().splitlines()
        totals = np.array([float(line.split()[1]) for line in printed])
        n_tokens = np.array([len(line.split()) + 1 for line in lines])
        assert np.allclose(-totals / n_tokens, scorer(lines), rtol=1e-4), "the two do not agree"
        started, peer, ours = alternate(
            REPEATS, lambda: score(empty), lambda: score(path), lambda: scorer(lines)
        )
    name = "`NGramScorer` of given tokens"
    yield row("tokens", "KenLM's `query`, loading left out", scaled(started, -1, peer), name, ours)
    yield row("tokens", "KenLM's `query`, loading included", peer, name, ours)


@case()
def python_loop(n: int) -> Iterator[Row]:
    """One call of the kenlm package per line."""
    import kenlm

    scorer, lines = _scorer_of_tokens(n)
    model = kenlm.Model(str(scorer.model))
    peer, ours = alternate(REPEATS, lambda: [model.score(line) for line in lines], lambda: scorer(lines))
    yield row("tokens", "`kenlm.Model.score` in a loop", peer, "`NGramScorer` of given tokens", ours)


@case()
def dprune(n: int) -> Iterator[Row]:
    """The library of ActivePrune's authors; its scorer splits at spaces only, and so do we here."""
    import dprune
    from datasets import Dataset

    scorer, lines = _scorer_of_tokens(n)
    table = Dataset.from_dict({"text": lines})
    peer_scorer = dprune.PerplexityScorer(str(scorer.model), "text")
    peer, ours = alternate(REPEATS, lambda: peer_scorer.score(table), lambda: scorer(lines))
    yield row("tokens", "dprune's `PerplexityScorer`", peer, "`NGramScorer` of given tokens", ours)


@case()
def cc_net(n: int) -> Iterator[Row]:
    """The recipe of cc_net, written from its description: one line at a time in Python."""
    from skprune import NGramScorer
    from tests.benchmarks.bench_ngram import cc_net as recipe

    texts = inputs.texts(n)
    scorer = NGramScorer().fit(texts[:N_TRAIN])
    model = scorer.model_.kenlm
    peer, ours = alternate(REPEATS, lambda: recipe(model, texts), lambda: scorer(texts))
    yield row("raw texts", "cc_net's recipe", peer, "`NGramScorer`", ours)


@case()
def datatrove(n: int) -> Iterator[Row]:
    """datatrove's model of perplexities, with a SentencePiece tokenizer made here and not from a hub."""
    import kenlm
    from datatrove.utils.perplexity import KenlmModel
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    from skprune import NGramScorer

    texts = inputs.texts(n)
    with tempfile.TemporaryDirectory() as folder:
        pieces = f"{folder}/pieces"
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts[:10_000]), model_prefix=pieces, vocab_size=4_000, minloglevel=2
        )
        scorer = NGramScorer(tokenizer=f"{pieces}.model").fit(texts[:N_TRAIN])
        peer_scorer = KenlmModel("", "")
        peer_scorer._model = kenlm.Model(str(scorer.model_.path))
        peer_scorer.tokenizer._model = SentencePieceProcessor(model_file=f"{pieces}.model")
        peer, ours = alternate(
            REPEATS, lambda: [peer_scorer.get_perplexity(text) for text in texts], lambda: scorer(texts)
        )
    yield row("raw texts", "datatrove's `KenlmModel`", peer, "`NGramScorer(tokenizer=...)`", ours)


def _scorer_of_tokens(n: int) -> tuple[Any, list[str]]:
    """Return a scorer that takes tokens as they are, and lines of tokens."""
    from skprune import NGramScorer
    from skprune.language_models.ngram.token_pipeline import TokenPipeline

    texts = inputs.texts(n)
    trained = NGramScorer().fit(texts[:N_TRAIN])
    lines = [line.decode() for line in TokenPipeline("cc_net", "words").lines(texts)]
    scorer = NGramScorer(trained.model_.path, normalizer=None, tokenizer="whitespace").fit([])
    scorer.trained_ = trained  # its end would delete the file
    return scorer, [" ".join(line.split()) for line in lines]
