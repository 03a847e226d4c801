"""Speedup of skprune.dask.prune with two workers over one.

    python tests/benchmarks/bench_dask.py [--rows N] [--repeats R]

The texts are those of bench_files.py, as Parquet files. Each call prunes to a quarter by perplexity, under an
n-gram model that was trained before, or is trained within the call ("trains").
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import bench_files
import dask.dataframe as dd
from distributed import Client, LocalCluster
from sklearn.frozen import FrozenEstimator

from skprune import NGramScorer, PerplexityFilter
from skprune.dask import prune
from skprune.datasets import load_newsgroups
from skprune.store import clear_process_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_600_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    scorer = FrozenEstimator(NGramScorer().fit(load_newsgroups().data[:4000]))
    with tempfile.TemporaryDirectory() as folder:
        bench_files.write(folder, arguments.rows)
        for name, perplexity in (("frozen model", scorer), ("trains", None)):
            pruner = PerplexityFilter(0.25, perplexity=perplexity, random_state=0)
            walls: dict[int, list[float]] = {1: [], 2: []}
            for _ in range(arguments.repeats):
                for n_workers in walls:  # in turn, so that both meet the same load
                    walls[n_workers].append(measure(folder, pruner, n_workers, name))
            ratios = [one / two for one, two in zip(walls[1], walls[2], strict=True)]
            print(f"{name}: one worker takes {statistics.median(ratios):.2f} times as long as two", end=" ")
            print(f"(runs: {', '.join(f'{ratio:.2f}' for ratio in ratios)})")


def measure(folder: str, pruner: PerplexityFilter, n_workers: int, name: str) -> float:
    """Return the wall time of a call, in seconds."""
    with (
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, memory_limit=0, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        ddf = dd.read_parquet(Path(folder) / "*.parquet", split_row_groups=True)
        client.run(_import)
        before, here = client.run(time.process_time), time.process_time()
        clear_process_store()
        result = prune(ddf, pruner, text="text")
        cpu = [after - before[worker] for worker, after in client.run(time.process_time).items()]
        print(
            f"{name}: {result.n_rows} rows in {ddf.npartitions} partitions, {n_workers} workers: "
            f"{result.seconds:.1f} s wall, CPU of the workers {', '.join(f'{s:.1f}' for s in cpu)} s, "
            f"of this process {time.process_time() - here:.1f} s, load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        return result.seconds


def _import() -> None:
    import skprune.dask
    import skprune.scorers.ngram  # noqa: F401


if __name__ == "__main__":
    main()
