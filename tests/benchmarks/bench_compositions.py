"""What a chain of two filters costs on top of its parts, and a union on top of its parts.

    python tests/benchmarks/bench_compositions.py              # 200,000 texts, some minutes on one core
    python tests/benchmarks/bench_compositions.py --rows 20000

Each figure is a ratio in one run: the composition against its filters, used by hand on the rows that reach
them. Ready scorers are used, so that nothing but the composition differs.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from statistics import median

import numpy as np

from skprune import AskLLMFilter, FilterChain, FilterUnion, KMeansFilter, PerplexityFilter, RandomFilter
from skprune.store import clear_process_store


def length(texts) -> list[float]:
    return [float(len(text)) for text in texts]


def vowels(texts) -> list[float]:
    return [sum(text.count(vowel) for vowel in "aeiou") / len(text) for text in texts]


def cpu_seconds(action) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def texts_of(n_rows: int) -> list[str]:
    rng = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "fox", "dog", "sea", "sky", "old"])
    return [" ".join(row) + f" {i}" for i, row in enumerate(rng.choice(words, size=(n_rows, 8)).tolist())]


def compare(name: str, pool, parts, composition, by_hand, n_repeats: int) -> None:
    """Print the seconds of fit and select: of the parts by hand, and of the composition."""
    alone, composed = {"fit": [], "select": []}, {"fit": [], "select": []}
    for _ in range(n_repeats):
        clear_process_store()
        fit_alone, select_alone = by_hand(pool, parts())
        alone["fit"].append(cpu_seconds(fit_alone))
        alone["select"].append(cpu_seconds(select_alone))
        clear_process_store()
        whole = composition(parts())
        composed["fit"].append(cpu_seconds(partial(whole.fit, pool)))
        composed["select"].append(cpu_seconds(partial(whole.select, pool[:-25])))
    for step in ("fit", "select"):
        ratios = sorted(b / a for a, b in zip(alone[step], composed[step], strict=True))
        seconds = f"parts {median(alone[step]):.2f} s, composed {median(composed[step]):.2f} s"
        print(f"{name}, {step}: {seconds}, ratio {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def chain_by_hand(pool, parts):
    first, second = parts

    def fit():
        second.fit(first.fit(pool).transform(pool))

    def select():
        rest = pool[:-25]
        reached = [rest[row] for row in first.select(rest)]
        second.select(reached)

    return fit, select


def union_by_hand(pool, parts):
    def fit():
        for part in parts:
            part.fit(pool)

    def select():
        for part in parts:
            part.select(pool[:-25])

    return fit, select


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    texts = texts_of(options.rows)
    vectors = np.random.default_rng(0).normal(size=(options.rows // 4, 64))

    def scores():
        return PerplexityFilter(0.5, perplexity=length), AskLLMFilter(0.5, quality=vowels)

    def clusters():
        return RandomFilter(0.1, random_state=0), KMeansFilter(50, algorithm="lloyd", random_state=0)

    def chain(parts):
        return FilterChain(list(zip("ab", parts, strict=True)))

    def union(parts):
        return FilterUnion(list(zip("ab", parts, strict=True)), keep=0.5)

    compare(
        f"chain of two scores, {len(texts):,} texts", texts, scores, chain, chain_by_hand, options.repeats
    )
    compare(
        f"union of two scores, {len(texts):,} texts", texts, scores, union, union_by_hand, options.repeats
    )
    name = f"chain of random rows and k-means, {len(vectors):,} rows of 64 features"
    compare(name, vectors, clusters, chain, chain_by_hand, options.repeats)


if __name__ == "__main__":
    main()
