"""P("yes") from a server against our own forward pass, with the same weights and prompts.

Start a server with SmolLM2-135M-Instruct first, from the GGUF file that skprune fetches:

    fetch="from skprune.datasets import fetch_model; print(*fetch_model('smollm2-135m').glob('*.gguf'))"
    python -m llama_cpp.server --model "$(python -c "$fetch")" --logits_all True --n_ctx 2048
    python examples/experiments/llm_server.py --base-url http://localhost:8000/v1

The table goes to ``--out``, with the scores beside it as CSV.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from skprune import QualityScorer
from skprune.datasets import fetch_model, load_movie_snippets

TASK = "sentiment analysis of film reviews"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base-url", default="http://localhost:8000/v1")
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/results/llm_server.csv"))
    arguments = parser.parse_args()
    texts = sample(arguments.texts, arguments.seed)
    tables = []
    print(
        "| normalize | Spearman (95 % interval) | ours, median | server, median | median "
        "relative difference | bounds |\n|---|---|---|---|---|---|"
    )
    for normalize in ("vocab", "yes_no"):
        scores, n_censored = compare(arguments.base_url, texts, normalize)
        tables.append(scores)
        print(row(scores, n_censored), flush=True)
    pd.concat(tables).to_csv(arguments.out, index=False, float_format="%.6g")


def sample(n: int, seed: int) -> list[str]:
    """Draw film reviews."""
    return np.random.default_rng(seed).choice(np.unique(load_movie_snippets().data), n, False).tolist()


def compare(base_url: str, texts: list[str], normalize: str) -> tuple[pd.DataFrame, int]:
    """Score texts both ways; return the scores, and how many of the server's are bounds."""
    settings = {"task": TASK, "normalize": normalize}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # bounds are counted instead
        server = QualityScorer(base_url=base_url, timeout=300.0, **settings)
        served = server(texts)
    ours = QualityScorer(fetch_model("smollm2-135m"), precision="float32", **settings)(texts)
    columns = {"normalize": normalize, "ours": ours, "server": served}
    return pd.DataFrame(columns), server.n_censored_


def row(scores: pd.DataFrame, n_censored: int) -> str:
    """Return a row of the table; the interval is a bootstrap over texts."""
    ours, served = scores["ours"].to_numpy(), scores["server"].to_numpy()
    rng = np.random.default_rng(0)
    draws = [
        spearmanr(ours[rows], served[rows]).statistic
        for rows in rng.integers(0, len(ours), (1000, len(ours)))
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    difference = np.median(np.abs(served / ours - 1))
    return (
        f"| {scores['normalize'].iloc[0]} | {spearmanr(ours, served).statistic:.3f} ({low:.3f} to "
        f"{high:.3f}) | {np.median(ours):.3f} | {np.median(served):.3f} | {difference:.1%} | {n_censored} of "
        f"{len(ours)} |"
    )


if __name__ == "__main__":
    main()
