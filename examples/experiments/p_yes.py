"""When is P("yes") worth its price? One check of models, prompts and normalizations.

Makes the tables of docs/results/p_yes.md. A language model is asked about texts as they are, and about the
same words in random order. A score that cannot tell the two apart does not measure quality, and is useless
for pruning. The check is easy: the likelihood of the same model passes it, and so does an n-gram model; the
table also shows what each score costs. A run that was killed continues where it stopped.

    python examples/experiments/p_yes.py  # 100 texts of each pool, an hour or two on one core
    python examples/experiments/p_yes.py --data movies --n 400  # tighter intervals
    python examples/experiments/p_yes.py --models Qwen/Qwen2.5-1.5B-Instruct
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _runs import Runs, cut, make_parser, markdown
from scipy.stats import spearmanr
from significance import bootstrap_interval
from sklearn.metrics import roc_auc_score
from transformers import AutoTokenizer

from skprune import CausalLMScorer, NGramScorer, QualityScorer
from skprune.datasets import fetch_model, load_debian, load_movie_snippets, load_newsgroups

MODELS = ("smollm2-135m", "gemma3-270m", "qwen-coder-0.5b")
POOLS = {
    "movies": (load_movie_snippets, "sentiment classification of film reviews"),
    "debian": (lambda: load_debian(None), "classification of software descriptions by subject"),
    "newsgroups": (load_newsgroups, "topic classification of newsgroup posts"),
}
PROMPTS = {
    "wanted and not, then the text": None,  # the default of QualityScorer
    "include?, then the text": (
        "Should the example between the two lines of ### be included in the training set for the task: "
        "{task}? A good example is well-formed, readable and informative for the task. "
        "Answer with one word, yes or no.\n###\n{text}\n###\nAnswer:"
    ),
    "fluent?, then the text": (
        "Is the text between the two lines of ### written in fluent, natural English? It is meant for "
        "{task}. Answer with one word, yes or no.\n###\n{text}\n###\nAnswer:"
    ),
    "the text, then fluent?": (
        "{text}\n\nIs this text, meant for {task}, fluent English? Answer yes or no.\nAnswer:"
    ),
    "four examples, then the text": (
        "Some texts collected for {task} are damaged. Is the text fluent?\n\n"
        "Text: She left the keys on the kitchen table and went out to meet her brother.\nFluent: yes\n\n"
        "Text: the under old bridge slept a dog we near saw river the\nFluent: no\n\n"
        "Text: to update before program the install you restart must\nFluent: no\n\n"
        "Text: The program reads a list of files and prints those that have changed.\nFluent: yes\n\n"
        "Text: {text}\nFluent:"
    ),
}


def sample(pool: str, n: int, max_words: int, seed: int) -> tuple[list[str], list[str], list[str]]:
    """Return texts, the same texts with their words shuffled, and the rest of the pool."""
    rng = np.random.default_rng(seed)
    texts = np.array(sorted(set(POOLS[pool][0]().data)), dtype=object)
    rng.shuffle(texts)
    long = [text for text in cut(texts, max_words) if len(set(text.split())) >= 4]
    real, rest = long[:n], long[n:]
    return real, [" ".join(rng.permutation(text.split())) for text in real], rest


def judge(score: Callable[[list[str]], np.ndarray], real: list[str], shuffled: list[str]) -> dict[str, Any]:
    """Return how well a score separates real from shuffled texts, its cost, and the real texts' scores."""
    score(real[:2])  # loads the model
    start = time.process_time()
    scores = np.asarray(score(real + shuffled))
    seconds = time.process_time() - start
    own, other = scores[: len(real)], scores[len(real) :]
    low, high = bootstrap_interval(own, other, statistic=auc, paired=True, n_resamples=999, random_state=0)
    return {
        "auc": auc(own, other),
        "low": low,
        "high": high,
        "seconds per 1,000": 1000 * seconds / len(scores),
        "scores": own.tolist(),
    }


def auc(real: np.ndarray, shuffled: np.ndarray) -> float:
    """Return the probability that a real text scores above a shuffled one."""
    is_real = np.repeat([True, False], [len(real), len(shuffled)])
    return float(roc_auc_score(is_real, np.concatenate([real, shuffled])))


def study(args: argparse.Namespace) -> pd.DataFrame:
    """Run the conditions that have not run yet; return one row per condition."""
    runs = Runs(args.out / "p_yes.jsonl")
    rows = []
    for pool in args.data:
        _, task = POOLS[pool]
        real, shuffled, rest = sample(pool, args.n, args.max_words, args.seed)
        common = {"pool": pool, "n": args.n, "max_words": args.max_words, "seed": args.seed}
        common["precision"] = args.precision

        def check(
            score: Callable[[], Any],
            real: list[str] = real,
            shuffled: list[str] = shuffled,
            common: dict[str, Any] = common,
            **settings: Any,
        ) -> dict[str, Any]:
            found = runs.get(common | settings, lambda: judge(score(), real, shuffled))
            rows.append({**common, **settings, **found})
            print("  ".join(map(str, settings.values())), f"AUC {found['auc']:.2f}", flush=True)
            return found

        check(lambda rest=rest: negated(NGramScorer().fit(rest)), model="5-gram, rest of the pool")
        for model in args.models:
            path = fetch_model(model) if model in MODELS else model
            likely = check(
                lambda path=path: negated(CausalLMScorer(path, precision=args.precision)),
                model=model,
                prompt="likelihood",
            )
            for prompt, template in PROMPTS.items():
                for chat, normalize in product(chats(path, prompt), args.normalize):
                    ask = QualityScorer(
                        path,
                        task=task,
                        prompt=template,
                        normalize=normalize,
                        chat_template=chat,
                        precision=args.precision,
                    )
                    found = check(
                        lambda ask=ask: ask, model=model, prompt=prompt, chat=chat, normalize=normalize
                    )
                    rows[-1]["rho"] = float(spearmanr(found["scores"], likely["scores"])[0])
                    empty = {**common, "model": model, "prompt": prompt, "chat": chat, "normalize": normalize}
                    offset = runs.get(empty | {"text": ""}, lambda ask=ask: {"score": float(ask([""])[0])})
                    rows[-1]["above empty"] = float(np.mean(np.array(found["scores"]) > offset["score"]))
    return pd.DataFrame(rows).drop(columns="scores")


def chats(path: Any, prompt: str) -> list[bool]:
    """Return the values of ``chat_template`` to try: True only if the model has a template."""
    files = [file.name for file in Path(path).glob("*.gguf")]
    tokenizer = AutoTokenizer.from_pretrained(path, gguf_file=files[0] if files else None)
    has_template = tokenizer.chat_template is not None
    return [False, True] if has_template and not prompt.startswith("four examples") else [False]


def negated(scorer: Any) -> Callable[[list[str]], np.ndarray]:
    """Turn a perplexity into a likelihood, for which higher is better."""
    return lambda texts: -np.asarray(scorer(texts))


def show(table: pd.DataFrame) -> str:
    """Return one Markdown table per pool."""
    parts = []
    for pool, rows in table.groupby("pool", sort=False):
        shown = pd.DataFrame(
            {
                "model": rows["model"],
                "score": rows["prompt"].fillna("likelihood"),
                "chat": rows["chat"].map({True: "yes", False: "no"}).fillna("–"),
                "normalize": rows["normalize"].fillna("–"),
                "AUC (95 %)": [f"{r.auc:.2f} ({r.low:.2f} to {r.high:.2f})" for r in rows.itertuples()],
                "ρ with likelihood": rows["rho"].map("{:.2f}".format).where(rows["rho"].notna(), "–"),
                "above the empty text": rows["above empty"]
                .map("{:.0%}".format)
                .where(rows["rho"].notna(), "–"),
                "CPU s per 1,000": rows["seconds per 1,000"].map("{:.1f}".format),
            }
        )
        parts.append(f"{pool}, {rows['n'].iloc[0]} texts\n\n{markdown(shown)}")
    return "\n\n".join(parts)


def main() -> None:
    """Run the study and print its tables."""
    parser = make_parser(__doc__, max_words=40, seed=0, out=Path("p_yes-results"))
    parser.add_argument("--data", nargs="+", choices=POOLS, default=["movies", "debian"])
    parser.add_argument("--models", nargs="+", default=MODELS, help="packaged models, hub names or paths")
    parser.add_argument("--normalize", nargs="+", default=["vocab", "yes_no"], help="as in QualityScorer")
    parser.add_argument("--precision", default="auto", help="as in QualityScorer")
    parser.add_argument("--n", type=int, default=100, help="texts of each pool, each real and shuffled")
    args = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.set_num_threads(1)  # so that CPU seconds are seconds of one thread
    warnings.simplefilter("ignore")
    table = study(args)
    table.to_csv(args.out / "p_yes.csv", index=False)
    print(f"\n{show(table)}")


if __name__ == "__main__":
    main()
