"""Overhead of asking a server, against bare calls of the openai client.

A server in another process answers after a fixed latency, so what differs is the client: sixteen coroutines
that share one AsyncOpenAI and keep nothing, and QualityScorer, which reads, checks and orders the answers.
The two alternate within the same minute.

    python tests/benchmarks/bench_server.py [--texts N] [--repeats R] [--latency SECONDS]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import openai

from skprune import QualityScorer

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.fault_server import FaultServer

TOGETHER = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 0.05, 0.2])
    arguments = parser.parse_args()
    print(f"{'latency, s':>10}{'openai, /s':>12}{'skprune, /s':>12}{'ratio':>8}{'quartiles':>16}{'limit':>8}")
    for latency in arguments.latency:
        compare(latency, arguments.texts, arguments.repeats)


def compare(latency: float, n_texts: int, repeats: int) -> None:
    texts = [f"This is text number {i}, which is neither long nor short." for i in range(n_texts)]
    context = multiprocessing.get_context("spawn")
    addresses = context.SimpleQueue()
    process = context.Process(target=serve, args=(latency, addresses), daemon=True)
    process.start()
    base_url = addresses.get()
    scorer = QualityScorer(base_url=base_url, max_concurrency=TOGETHER)
    scorer(texts[:20])
    prompt = "word " * 130  # the length of the scorer's prompts
    bare, ours = [], []
    for _ in range(repeats):
        bare.append(n_texts / timed(lambda: asyncio.run(ask(base_url, [prompt + text for text in texts]))))
        ours.append(n_texts / timed(lambda: scorer(texts)))
    low, middle, high = np.quantile(np.divide(ours, bare), [0.25, 0.5, 0.75])
    limit = f"{TOGETHER / latency:.0f}" if latency else "none"
    print(
        f"{latency:>10}{statistics.median(bare):>12.0f}{statistics.median(ours):>12.0f}{middle:>8.2f}"
        f"{f'{low:.2f} to {high:.2f}':>16}{limit:>8}",
        flush=True,
    )
    process.terminate()
    process.join()


def serve(latency: float, addresses) -> None:
    with FaultServer(latency=latency) as server:
        addresses.put(server.base_url)
        time.sleep(3600)


async def ask(base_url: str, prompts: list[str]) -> list[float]:
    """Ask all prompts through the client's own method, and read the first log probability."""
    client = openai.AsyncOpenAI(base_url=base_url, api_key="none")
    together = asyncio.Semaphore(TOGETHER)

    async def one(prompt: str) -> float:
        async with together:
            answer = await client.chat.completions.create(
                model="judge",
                messages=[{"role": "user", "content": prompt}],
                max_tokens=1,
                temperature=0,
                logprobs=True,
                top_logprobs=20,
            )
        return answer.choices[0].logprobs.content[0].top_logprobs[0].logprob

    async with client:
        return await asyncio.gather(*(one(prompt) for prompt in prompts))


def timed(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
