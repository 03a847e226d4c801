"""From raw texts to lines of tokens, and from those to one score per text, in several processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import joblib
import numpy as np
from numpy.typing import NDArray

from skprune.language_models.ngram.normalize import CHUNK, normalize_all
from skprune.language_models.ngram.tokens import Tokenizer, TokenizerCallable, make_tokenizer

_PARTS_PER_WORKER = 8  # so that all workers finish at about the same time

# What str.split takes for white space beyond ASCII; all of it is below U+3001.
_WIDE_SPACES = [character for character in map(chr, range(128, 0x3001)) if character.isspace()]

FloatArray = NDArray[np.float64]
LineScorer = Callable[[list[bytes]], FloatArray]


class TokenPipeline:
    """A normalizer followed by a tokenizer.

    Parameters
    ----------
    normalizer : {"cc_net"} or None
        As for :class:`~skprune.NGramScorer`.
    tokenizer : {"words", "whitespace"}, path-like or callable
        As for :class:`~skprune.NGramScorer`.
    """

    def __init__(self, normalizer: str | None, tokenizer: str | os.PathLike[str] | TokenizerCallable):
        self.normalize = normalize_all if normalizer == "cc_net" else _collapse_white_space
        self.tokenizer: Tokenizer = make_tokenizer(tokenizer)
        self.normalizer = normalizer

    @property
    def fingerprint(self) -> str:
        """Name of the normalizer and fingerprint of the tokenizer, which determine the tokens."""
        return f"normalizer={self.normalizer} tokenizer={self.tokenizer.fingerprint}"

    def lines(self, texts: list[str]) -> list[bytes]:
        """Return one line per text: its tokens in UTF-8, separated by spaces."""
        return self.tokenizer.lines(self.normalize(texts))

    def iter_lines(self, texts: list[str]) -> Iterator[bytes]:
        """Yield the line of each text, processing a limited number of texts at a time."""
        for start in range(0, len(texts), CHUNK):
            yield from self.lines(texts[start : start + CHUNK])


def score_texts(
    score_lines: LineScorer, pipeline: TokenPipeline, texts: list[str], n_jobs: int | None
) -> FloatArray:
    """Score texts by their lines of tokens, in ``n_jobs`` processes.

    Parameters
    ----------
    score_lines : callable
        Takes lines of tokens and returns one score per line. Pickled once per part of the texts if more than
        one process scores.
    pipeline : TokenPipeline
        Makes the lines.
    texts : list of str
        Texts to score.
    n_jobs : int or None
        Number of processes, as for :class:`~skprune.NGramScorer`. A process gets at least 1,024 texts.

    Returns
    -------
    ndarray of float64, shape (n_texts,)
        The scores; they do not depend on ``n_jobs``.
    """
    n_workers = min(joblib.effective_n_jobs(n_jobs), -(-len(texts) // CHUNK))
    if n_workers <= 1:
        return _score_part(score_lines, pipeline, texts)
    size = max(CHUNK, -(-len(texts) // (n_workers * _PARTS_PER_WORKER)))
    scores = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(_score_part)(score_lines, pipeline, texts[start : start + size])
        for start in range(0, len(texts), size)
    )
    return np.concatenate(scores)


def _score_part(score_lines: LineScorer, pipeline: TokenPipeline, texts: list[str]) -> FloatArray:
    scores = np.empty(len(texts))
    for start in range(0, len(texts), CHUNK):
        scores[start : start + CHUNK] = score_lines(pipeline.lines(texts[start : start + CHUNK]))
    return scores


def count_tokens(lines: list[bytes]) -> NDArray[np.int64]:
    """Count the tokens of each line as KenLM does, all lines in one pass."""
    codes = np.frombuffer(b"\n".join([b"", *lines, b""]), dtype=np.uint8)
    # KenLM splits a line at the bytes that C's isspace accepts: the space, and codes 9 to 13. The codes are
    # unsigned, so that those below 9 wrap around.
    is_space = (codes == ord(" ")) | (codes - 9 < 5)
    token_starts = is_space[:-1] > is_space[1:]
    lengths = np.fromiter(map(len, lines), dtype=np.int64, count=len(lines)) + 1
    return np.add.reduceat(token_starts.view(np.uint8), np.cumsum(lengths) - lengths, dtype=np.int64)


def _collapse_white_space(texts: list[str]) -> list[str]:
    if _is_collapsed(texts):
        return texts
    return [" ".join(text.replace("\0", "").split()) for text in texts]


def _is_collapsed(texts: list[str]) -> bool:
    """Whether only single spaces stand between the words of each text, and nothing before or after them.

    Lines of tokens are like that. Checking all texts at once takes a tenth of the time of splitting them.
    False may also mean that a text is empty or has a control character.
    """
    joined = "\n".join(["", *texts, ""])
    if not joined.isascii() and any(space in joined for space in _WIDE_SPACES):
        return False
    codes = np.frombuffer(joined.encode(), dtype=np.uint8)
    is_low = codes <= ord(" ")
    n_newlines = np.count_nonzero(codes == ord("\n"))
    n_others = np.count_nonzero(is_low) - n_newlines - np.count_nonzero(codes == ord(" "))
    return n_newlines == len(texts) + 1 and n_others == 0 and not (is_low[1:] & is_low[:-1]).any()
