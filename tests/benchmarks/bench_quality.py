"""Speed of the LLM stage against asking the model one text at a time.

The baseline runs the same prompts through the same model in the same precision, one at a time, as a plain
loop around the model would: logits of all positions, a key-value cache, a softmax over the last position.
The pools are film reviews as they are, reviews chained to the spread of lengths of full reviews, and a pool
that contains every text twice. The script then measures each precision and runs the sanity check.

    python tests/benchmarks/bench_quality.py [--model NAME] [--texts N] [--repeats R] [--threads T]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch

from skprune import QualityScorer
from skprune.datasets import fetch_model, load_movie_snippets
from skprune.language_models.causal.loader import load_causal_lm
from skprune.language_models.causal.model import CausalLM
from skprune.scorers.prompts import Answers, Frame, check_template

TASK = "sentiment analysis of film reviews"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    folder = fetch_model(arguments.model)
    pools = corpora(arguments.texts)
    print(f"{arguments.model}, {arguments.threads} threads, medians of {arguments.repeats} runs, prompts/s")
    print(f"{'texts':<34}{'n':>5}{'tokens':>8}{'one by one':>12}{'skprune':>10}{'ratio':>8}{'quartiles':>16}")
    for name, texts in pools.items():
        against_one_by_one(name, folder, texts, arguments.repeats)
    print(f"\n{'precision, reviews as they are':<34}{'skprune':>10}")
    for precision in ("bfloat16", "float32", "nf4", "int8"):
        scorer = QualityScorer(folder, task=TASK, precision=precision)
        seconds = timed(lambda scorer=scorer: scorer(pools["reviews"]), arguments.repeats)
        rate = len(pools["reviews"]) / statistics.median(seconds)
        print(f"{load_causal_lm(folder, precision=precision).precision:<34}{rate:>10.1f}", flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print(
            "\nsanity check", QualityScorer(folder, task=TASK).sanity_check(pools["reviews"], random_state=0)
        )


def corpora(n: int, seed: int = 0) -> dict[str, list[str]]:
    rng = np.random.default_rng(seed)
    snippets = np.unique(load_movie_snippets().data)
    reviews = rng.choice(snippets, n, replace=False).tolist()
    # The lengths of full reviews are log-normal; so are these, of 1 to 12 snippets and 2.5 on average.
    parts = np.clip(rng.lognormal(0.6, 0.7, n).round().astype(int), 1, 12)
    chained = [" ".join(rng.choice(snippets, k, replace=False)) for k in parts]
    twice = rng.permutation(reviews[: n // 2] * 2).tolist()
    return {"reviews": reviews, "reviews, chained": chained, "reviews, each twice": twice}


def against_one_by_one(name: str, folder: object, texts: list[str], repeats: int) -> None:
    scorer = QualityScorer(folder, task=TASK, precision="bfloat16")
    lm = load_causal_lm(folder, precision="bfloat16")
    frame = Frame(lm, check_template(None, TASK), scorer.max_length, True)
    ratios, baseline, ours = [], [], []
    scorer(texts[:20])
    one_by_one(lm, frame, texts[:5])
    for _ in range(repeats):  # alternate, so that other load on the machine affects both alike
        baseline += timed(lambda: one_by_one(lm, frame, texts), 1)
        ours += timed(lambda: scorer(texts), 1)
        ratios.append(baseline[-1] / ours[-1])
    n_tokens = statistics.mean(map(len, frame.encode(texts)))
    low, _, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    rates = [len(texts) / statistics.median(seconds) for seconds in (baseline, ours)]
    print(
        f"{name:<34}{len(texts):>5}{n_tokens:>8.0f}{rates[0]:>12.1f}{rates[1]:>10.1f}"
        f"{statistics.median(ratios):>8.2f}{f'{low:.2f} to {high:.2f}':>16}",
        flush=True,
    )


def one_by_one(lm: CausalLM, frame: Frame, texts: list[str]) -> list[float]:
    yes = Answers.of(lm.tokenizer).yes
    scores = []
    with torch.inference_mode():
        for text in texts:
            ids = torch.tensor(frame.encode([text]), device=lm.device)
            logits = lm.model(input_ids=ids).logits
            scores.append(logits[0, -1].float().softmax(0)[yes].sum().item())
    return scores


def timed(run: Callable[[], object], repeats: int) -> list[float]:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
