"""Overhead of asking a server, against bare calls of the openai client.

A server in another process answers after a fixed latency, so what differs is the client. Sixteen coroutines
share one AsyncOpenAI and keep nothing: "create" calls ``chat.completions.create``, as people do, and "post"
its method without typed requests and answers, the least that the client can do. QualityScorer uses "post",
and checks, orders and scores the answers. The three alternate within the same minute.

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
REQUEST = {"model": "judge", "max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 0.05, 0.2])
    arguments = parser.parse_args()
    print(f"{'latency, s':>10}{'create, /s':>12}{'post, /s':>10}{'skprune, /s':>13}{'limit':>7}  to post")
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
    prompts = [prompt + text for text in texts]
    ways = {
        "create": lambda: asyncio.run(ask(base_url, prompts, create)),
        "post": lambda: asyncio.run(ask(base_url, prompts, post)),
        "skprune": lambda: scorer(texts),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            rates[name].append(n_texts / timed(run))
    create_rate, post_rate, our_rate = (statistics.median(rates[name]) for name in ways)
    low, middle, high = np.quantile(np.divide(rates["skprune"], rates["post"]), [0.25, 0.5, 0.75])
    limit = f"{TOGETHER / latency:.0f}" if latency else "none"
    print(
        f"{latency:>10}{create_rate:>12.0f}{post_rate:>10.0f}{our_rate:>13.0f}{limit:>7}  "
        f"{middle:.2f} (quartiles {low:.2f} to {high:.2f})",
        flush=True,
    )
    process.terminate()
    process.join()


def serve(latency: float, addresses) -> None:
    with FaultServer(latency=latency) as server:
        addresses.put(server.base_url)
        time.sleep(3600)


async def ask(base_url: str, prompts: list[str], call) -> list[float]:
    """Ask all prompts, and return the first log probability of each answer."""
    together = asyncio.Semaphore(TOGETHER)
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as client:

        async def one(prompt: str) -> float:
            async with together:
                return await call(client, {**REQUEST, "messages": [{"role": "user", "content": prompt}]})

        return await asyncio.gather(*(one(prompt) for prompt in prompts))


async def create(client, request: dict) -> float:
    answer = await client.chat.completions.create(**request)
    return answer.choices[0].logprobs.content[0].top_logprobs[0].logprob


async def post(client, request: dict) -> float:
    answer = await client.post("/chat/completions", body=request, cast_to=object)
    return answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"][0]["logprob"]


def timed(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
