"""Seconds that each entropy and the filter need for many short texts.

The information entropy is compared with the usual implementation of the formula: one ``Counter`` per text.

    python tests/benchmarks/bench_entropy.py [--texts N] [--repeats R] [--jobs J] [--model MODEL]

``--model`` names a causal language model and also times the scores that need one, on 64 of the texts
(``smollm2-135m`` is fetched by hash).
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from skprune import (
    CausalLMScorer,
    EntropyIntervalFilter,
    GenerativeEntropy,
    InformationEntropy,
    SemanticEntropy,
)
from skprune.datasets import fetch_model
from skprune.language_models.ngram.normalize import normalize
from skprune.language_models.ngram.tokens import WordTokenizer
from skprune.store import clear_process_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--model")
    arguments = parser.parse_args()
    texts = short_texts(arguments.texts)
    n_tokens = sum(len(text.split()) for text in texts)
    print(f"{len(texts):,} texts, {n_tokens:,} words; {arguments.jobs} processes, 1 thread each")
    print(f"{'what':<46}{'median':>10}{'texts/s':>12}")

    def timed(what: str, function: Callable[[], object], repeats: int = 1, n: int = len(texts)) -> float:
        seconds = median_seconds(function, repeats)
        print(f"{what:<46}{seconds:>8.2f} s{n / seconds:>12,.0f}", flush=True)
        return seconds

    peer = timed("information, one Counter per text", lambda: counters(texts), arguments.repeats)
    information = InformationEntropy(n_jobs=arguments.jobs)
    ours = timed("information", lambda: information(texts), arguments.repeats)
    print(f"{'':<46}{peer / ours:>8.1f} times as fast")
    generative = GenerativeEntropy(n_jobs=arguments.jobs)
    timed("generative: training the n-gram model", lambda: generative.fit(texts))
    timed("generative, n-grams", lambda: generative(texts), arguments.repeats)
    semantic = SemanticEntropy()
    timed("semantic: TF-IDF, SVD and k-means", lambda: semantic.fit(texts))
    timed("semantic: encoding and scoring", lambda: semantic(texts))
    timed("semantic, vectors from the store", lambda: semantic(texts), arguments.repeats)
    clear_process_store()
    pruner = EntropyIntervalFilter(combine="igse", n_jobs=arguments.jobs, random_state=0)
    timed("the filter: fit (n-gram model already trained)", lambda: pruner.fit(texts))
    timed("the filter: select", lambda: pruner.select(texts), arguments.repeats)
    if arguments.model:
        path = Path(arguments.model)
        scorer = CausalLMScorer(path if path.exists() else fetch_model(arguments.model))
        few = texts[:64]
        scorer(few[:1])  # loads the model
        timed("perplexity, causal model", lambda: scorer(few), n=len(few))
        timed("generative, causal model", lambda: GenerativeEntropy(scorer)(few), n=len(few))


def short_texts(n_texts: int, seed: int = 0) -> list[str]:
    """Make texts of 4 to 24 Zipf-distributed words, with capitals and periods."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = np.array(["".join(rng.choice(letters, size)) for size in rng.integers(1, 10, size=20_000)])
    lengths = rng.integers(4, 25, size=n_texts)
    drawn = words[np.minimum(rng.zipf(1.3, size=lengths.sum()), len(words)) - 1]
    ends = np.cumsum(lengths)
    return [" ".join(drawn[end - n : end]).capitalize() + "." for end, n in zip(ends, lengths, strict=True)]


def counters(texts: list[str]) -> np.ndarray:
    tokenizer = WordTokenizer()
    entropies = []
    for text in texts:
        counts = np.array(list(Counter(tokenizer.lines([normalize(text)])[0].split()).values()))
        shares = counts / counts.sum()
        entropies.append(-(shares * np.log2(shares)).sum())
    return np.array(entropies)


def median_seconds(function: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
