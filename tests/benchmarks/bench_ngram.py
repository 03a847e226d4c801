"""Speed of n-gram scoring and training.

Scoring starts from raw texts and includes normalization. It is compared with cc_net's recipe, written from
its description: one line at a time in pure Python, one pass per normalization step, one KenLM call per line.
Training is compared with ``lmplz`` and ``build_binary`` if they are on the PATH.

    python tests/benchmarks/bench_ngram.py [--text FILE] [--texts N] [--repeats R]

``--text`` names a UTF-8 file with one text per line. Without it, the texts are 20 Newsgroups and a synthetic
corpus with capitals, digits, punctuation and accents.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import joblib
import kenlm
import numpy as np
import psutil

from skprune.language_models.ngram.kenlm_binary import write_binary
from skprune.language_models.ngram.kneser_ney import estimate
from skprune.language_models.ngram.normalize import _TO_ASCII, normalize_all
from skprune.language_models.ngram.tokens import WordTokenizer
from skprune.scorers import NGramScorer

_DIGIT = re.compile(r"\d")
_CONTROL = re.compile("[" + "".join(map(chr, [*range(32), *range(127, 160)])) + "]")
_TOKEN = re.compile(r"\w+|[^\w\s]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{'texts':<22}{'what':<34}{'median':>10}{'ratio':>8}")
    for name, texts in corpora(arguments.text, arguments.texts).items():
        scoring(name, texts, arguments.repeats)
        training(name, texts)


def corpora(path: Path | None, n_texts: int) -> dict[str, list[str]]:
    if path is not None:
        return {path.name: path.read_text(encoding="utf-8").splitlines()[:n_texts]}
    from skprune.datasets import load_newsgroups

    newsgroups = list(load_newsgroups().data)[:n_texts]
    return {"20 Newsgroups": newsgroups, "synthetic": synthetic(n_texts)}


def synthetic(n_texts: int, seed: int = 0) -> list[str]:
    """Make texts of Zipf-distributed words with capitals, punctuation and digits; every fifth has accents."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = ["".join(rng.choice(letters, size)) for size in rng.integers(1, 10, size=20_000)]
    words += ["café", "naïve", "Zoë", "1999", "it’s", "“so”", "…"]
    rank = np.minimum(rng.zipf(1.3, size=60 * n_texts), len(words)) - 1
    marks = rng.choice([" ", " ", " ", " ", " ", ", ", ". ", "\n", " (", ") "], size=rank.size)
    texts = []
    for start in range(0, rank.size, 60):
        place = slice(start, start + 60)
        text = "".join([words[r] + m for r, m in zip(rank[place], marks[place], strict=True)])
        texts.append(("É" if start % 300 == 0 else "") + text.capitalize())
    return texts


def scoring(name: str, texts: list[str], repeats: int) -> None:
    scorer = NGramScorer().fit(texts)
    model = scorer.model_.kenlm
    ours, peer = alternate(lambda: scorer(texts), lambda: cc_net(model, texts), repeats)
    report(name, "cc_net's recipe, 1 process", peer, 1.0)
    report(name, "NGramScorer, 1 process", ours, peer / ours)
    # The copies of a text are far apart, because a copy right after it would be scored from the processor's
    # cache. Each copy is a separate object, because joblib sends an object only once.
    many = [text + " " for _ in range(5) for text in texts]
    two = NGramScorer(n_jobs=2).fit(texts)
    two(many)  # starts the workers, which map the model
    alone, both = alternate(lambda: scorer(many), lambda: two(many), repeats)
    report(name, "5 times the texts, 1 process", alone, 1.0)
    report(name, "5 times the texts, 2 processes", both, alone / both)
    alone, both = processor_seconds(lambda: scorer(many)), processor_seconds(lambda: two(many)) / 2
    report(name, "half of both processor times", both, alone / both)
    joblib.externals.loky.get_reusable_executor().shutdown()


def training(name: str, texts: list[str]) -> None:
    lines = [b" ".join(line.split()) for line in WordTokenizer().lines(normalize_all(texts))]
    sentences = [line.decode().split(" ") for line in lines if line]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_binary(estimate(sentences), Path(folder, "ours"))
        ours = time.perf_counter() - start
        print(f"{name:<22}{len(sentences):,} texts, {sum(map(len, sentences)):,} tokens to train on")
        if shutil.which("lmplz") and shutil.which("build_binary"):
            corpus, arpa = Path(folder, "corpus"), Path(folder, "arpa")
            corpus.write_bytes(b"\n".join(lines) + b"\n")
            command = ["lmplz", "-o", "5", "--discount_fallback", "-S", "2G", "-T", folder]
            start = time.perf_counter()
            quietly([*command, "--text", str(corpus), "--arpa", str(arpa)])
            quietly(["build_binary", "probing", str(arpa), str(Path(folder, "theirs"))])
            peer = time.perf_counter() - start
            report(name, "training, lmplz + build_binary", peer, 1.0)
            report(name, "training, ours", ours, peer / ours)
        else:
            report(name, "training, ours", ours, 1.0)


def cc_net(model: kenlm.Model, texts: list[str]) -> list[float]:
    scores = []
    for text in texts:
        log_prob, length = 0.0, 0
        for raw in text.split("\n"):
            line = raw.strip().lower()
            line = "".join(c for c in unicodedata.normalize("NFD", line) if unicodedata.category(c) != "Mn")
            line = _DIGIT.sub("0", line)
            line = "".join(_TO_ASCII.get(c, c) for c in line)
            line = _CONTROL.sub("", line)
            tokens = _TOKEN.findall(line)
            log_prob += model.score(" ".join(tokens))
            length += len(tokens) + 1
        scores.append(-log_prob / length)
    return scores


def alternate(first: Callable[[], object], second: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the median seconds of two functions, run in turn so that a busy machine slows both."""
    seconds: tuple[list[float], list[float]] = [], []
    for _ in range(repeats):
        for function, times in zip((first, second), seconds, strict=True):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def processor_seconds(function: Callable[[], object]) -> float:
    """Return the processor seconds of this process and its workers together.

    Half of them is what two workers would take on two free cores. Wall-clock time does not tell on a shared
    machine, where the second core is not always available.
    """
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    before = sum(sum(process.cpu_times()[:2]) for process in processes)
    function()
    return sum(sum(process.cpu_times()[:2]) for process in processes) - before


def quietly(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def report(texts: str, what: str, seconds: float, ratio: float) -> None:
    print(f"{texts:<22}{what:<34}{seconds:>8.2f} s{ratio:>7.2f}x", flush=True)


if __name__ == "__main__":
    main()
