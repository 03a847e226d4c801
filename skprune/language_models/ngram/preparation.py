"""From raw texts to lines of tokens, a part of them in each worker process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import joblib
import numpy as np
from numpy.typing import NDArray

from skprune.language_models.ngram.normalize import normalize_all
from skprune.language_models.ngram.tokens import Tokenizer, TokenizerCallable, make_tokenizer

CHUNK = 1024  # texts that are normalized and taken apart together
_PARTS_PER_WORKER = 8  # the last parts end at about the same time

# KenLM ends a token at the bytes that C's isspace knows.
_IS_SPACE = bytes(byte in b" \t\n\v\f\r" for byte in range(256))


class Preparation:
    """A normalizer and a tokenizer as one, as scorers' parameters of these names mean them."""

    def __init__(self, normalizer: str | None, tokenizer: str | os.PathLike[str] | TokenizerCallable):
        self.normalize = normalize_all if normalizer == "cc_net" else _one_line_each
        self.tokenizer: Tokenizer = make_tokenizer(tokenizer)
        self.normalizer = normalizer

    @property
    def fingerprint(self) -> str:
        """What identifies the tokens."""
        return f"normalizer={self.normalizer} tokenizer={self.tokenizer.fingerprint}"

    def lines(self, texts: list[str]) -> list[bytes]:
        """Return one line a text: its tokens in UTF-8 with spaces between them."""
        return self.tokenizer.lines(self.normalize(texts))

    def lines_of(self, texts: list[str]) -> Iterator[bytes]:
        """Yield the same, for texts too many to be joined at once."""
        for start in range(0, len(texts), CHUNK):
            yield from self.lines(texts[start : start + CHUNK])


def parts_for_workers(texts: list[str], n_jobs: int | None) -> list[list[str]]:
    """Return the texts in as many parts as ``n_jobs`` workers should get; one part where one works alone."""
    n_workers = min(joblib.effective_n_jobs(n_jobs), -(-len(texts) // CHUNK))
    if n_workers <= 1:
        return [texts]
    size = max(CHUNK, -(-len(texts) // (n_workers * _PARTS_PER_WORKER)))
    return [texts[start : start + size] for start in range(0, len(texts), size)]


def count_tokens(lines: list[bytes]) -> NDArray[np.int64]:
    """Count the tokens of each line as KenLM does, all lines at once."""
    joined = b"\n".join([b"", *lines])
    space = np.frombuffer(joined.translate(_IS_SPACE), dtype=bool)
    begins = np.flatnonzero(space[:-1] > space[1:])
    lengths = np.fromiter(map(len, lines), dtype=np.int64, count=len(lines))
    before = np.searchsorted(begins, np.cumsum(lengths + 1))
    return np.diff(before, prepend=0)


def _one_line_each(texts: list[str]) -> list[str]:
    return [" ".join(text.replace("\0", "").split()) for text in texts]
