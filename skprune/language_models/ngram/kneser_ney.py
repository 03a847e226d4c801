"""Interpolated modified Kneser-Ney n-gram models, estimated with sorts over integer ids."""

from __future__ import annotations

import os
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, pairwise

import numpy as np
from numpy.typing import NDArray

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
CONTROL_TOKENS = (UNKNOWN, BEGIN, END)
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)

_UNKNOWN_ID, _BEGIN_ID, _END_ID = range(3)
_LINES_AT_ONCE = 20_000

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NGrams:
    """All n-grams of one order.

    Attributes
    ----------
    context : ndarray of int, shape (n_ngrams,)
        Row of the n-gram's first n-1 words in the order below; sorted. Zeros for unigrams.
    word : ndarray of int, shape (n_ngrams,)
        Id of the last word.
    suffix : ndarray of int, shape (n_ngrams,)
        Row of the n-gram's last n-1 words in the order below. Row numbers for unigrams.
    log_prob : ndarray of float64, shape (n_ngrams,)
        log10 probability of the last word after the others.
    log_backoff : ndarray of float64, shape (n_ngrams,)
        log10 weight of the lower order after this n-gram; 0 where nothing follows it.
    discounts : ndarray of float64, shape (4,)
        What was taken from counts of 0, 1, 2, and 3 or more.
    """

    context: IntArray
    word: IntArray
    suffix: IntArray
    log_prob: FloatArray
    log_backoff: FloatArray
    discounts: FloatArray

    def __len__(self) -> int:
        return len(self.word)


@dataclass(frozen=True)
class KneserNeyModel:
    """What :func:`estimate` returns.

    Attributes
    ----------
    vocabulary : list of str
        The words by id: ``<unk>``, ``<s>``, ``</s>``, then in order of first occurrence.
    orders : list of NGrams
        Unigrams first.
    """

    vocabulary: list[str]
    orders: list[NGrams]

    def words(self, order: int, rows: slice = slice(None)) -> list[IntArray]:
        """Return the word ids of n-grams: one array a position, first word first."""
        newest = self.orders[order - 1]
        columns, context = [newest.word[rows]], newest.context[rows]
        for ngrams in reversed(self.orders[: order - 1]):
            columns.append(ngrams.word[context])
            context = ngrams.context[context]
        return columns[::-1]


def estimate(sentences: Iterable[Sequence[str]], order: int = 5) -> KneserNeyModel:
    """Estimate an interpolated modified Kneser-Ney model without pruning.

    Parameters
    ----------
    sentences : iterable of sequences of str
        Tokens of each sentence, without ``<s>`` and ``</s>``, which are added.
    order : int, default=5
        Length of the longest n-grams, at least 1. Where every sentence is too short to hold
        one, the model ends at the longest n-grams that there are.

    Returns
    -------
    KneserNeyModel
        Probabilities and back-off weights of every n-gram.

    Raises
    ------
    ValueError
        If there is no sentence, or a token is ``<s>``, ``</s>`` or ``<unk>``.

    Notes
    -----
    With c the count of an n-gram (of the highest order, or one that begins with ``<s>``) or the
    number of different words seen before it (of the others)::

        p(w | h) = (c(h w) - D(c(h w))) / c(h .) + b(h) p(w | h')
        b(h)     = (D1 N1(h .) + D2 N2(h .) + D3 N3+(h .)) / c(h .)

    Discounts of an order come from its counts of counts, D_j = j - (j + 1) Y t_{j+1} / t_j with
    Y = t_1 / (t_1 + 2 t_2) [1]_; where one is undefined or outside [0, j], or where they leave a
    context nothing for words not seen after it, the order takes .5, 1 and 1.5. Unigrams are
    interpolated with the uniform distribution over the words, ``</s>`` and ``<unk>``. This is what
    KenLM's ``lmplz --discount_fallback`` estimates [2]_, and the two agree to float precision, but
    for two slips of ``lmplz`` that show on tiny corpora: it enters the very last n-gram of each lower
    order into the counts of counts by how often it occurs, not by how many words it follows; and it
    writes a back-off of ``-inf``, which no reader takes, for a context that is left nothing.

    References
    ----------
    .. [1] Chen & Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling",
       TR-10-98, Harvard, 1998: equation 26 and section 3.
    .. [2] Heafield et al., "Scalable Modified Kneser-Ney Language Model Estimation", ACL 2013.

    Examples
    --------
    >>> from skprune.language_models.ngram.kneser_ney import estimate
    >>> model = estimate([["a", "rose"], ["a", "rose", "is", "a", "rose"]], order=2)
    >>> [len(ngrams) for ngrams in model.orders]
    [6, 5]
    """
    if order < 1:
        raise ValueError(f"order must be at least 1, got {order}")
    vocabulary, stream, offset = _read(sentences)
    tables = _count(stream, offset, order, len(vocabulary))
    counts = _adjusted_counts(tables)
    discounts = [_discounts(adjusted, table.context) for adjusted, table in zip(counts, tables, strict=True)]
    probs, backoffs = [_unigram_probs(counts[0], discounts[0])], []
    for table, adjusted, discount in zip(tables[1:], counts[1:], discounts[1:], strict=True):
        prob, backoff = _interpolate(table, adjusted, discount, probs[-1])
        probs.append(prob)
        backoffs.append(backoff)
    backoffs.append(np.ones(len(probs[-1])))
    orders = [
        NGrams(table.context, table.word, table.suffix, np.log10(prob), np.log10(backoff), discount)
        for table, prob, backoff, discount in zip(tables, probs, backoffs, discounts, strict=True)
    ]
    return KneserNeyModel(vocabulary, orders)


def write_arpa(model: KneserNeyModel, path: str | os.PathLike[str]) -> None:
    """Write a model as an ARPA file, the text format that every n-gram toolkit reads.

    Parameters
    ----------
    model : KneserNeyModel
        What :func:`estimate` returned.
    path : path-like
        File to write, in UTF-8.

    Raises
    ------
    ValueError
        If a word is empty or holds white space or a NUL, which the format cannot express.
    """
    check_words(model.vocabulary)
    with open(path, "wb") as file:
        sizes = [f"ngram {n}={len(ngrams)}" for n, ngrams in enumerate(model.orders, start=1)]
        file.write("\n".join(["\\data\\", *sizes, "", ""]).encode())
        vocabulary = np.array(model.vocabulary, dtype=object)
        for order in range(1, len(model.orders) + 1):
            file.write(f"\\{order}-grams:\n".encode())
            for lines in _arpa_lines(model, order, vocabulary):
                file.write(lines.encode())
            file.write(b"\n")
        file.write(b"\\end\\\n")


def check_words(vocabulary: list[str]) -> None:
    """Raise ValueError if a word is empty or holds white space or a NUL: no file can hold it."""
    for word in vocabulary:
        if word.encode().split() != [word.encode()] or "\0" in word:
            raise ValueError(f"A model file cannot hold the word {word!r}")


def _arpa_lines(model: KneserNeyModel, order: int, vocabulary: NDArray[np.object_]) -> Iterator[str]:
    ngrams = model.orders[order - 1]
    line = "%.7g\t" + " ".join(["%s"] * order)
    line += "\n" if order == len(model.orders) else "\t%.7g\n"
    for start in range(0, len(ngrams), _LINES_AT_ONCE):
        rows = slice(start, start + _LINES_AT_ONCE)
        columns = [ngrams.log_prob[rows].tolist()]
        columns += [vocabulary[ids].tolist() for ids in model.words(order, rows)]
        if order < len(model.orders):
            columns.append(ngrams.log_backoff[rows].tolist())
        # One big template, filled once, costs half of formatting line by line.
        yield line * len(columns[0]) % tuple(chain.from_iterable(zip(*columns, strict=True)))


@dataclass(frozen=True)
class _Table:
    """Distinct n-grams of one order, as in NGrams; ``suffix`` is the row of the last n-1 words."""

    context: IntArray
    word: IntArray
    suffix: IntArray
    count: IntArray
    begins: NDArray[np.bool_]


def _read(sentences: Iterable[Sequence[str]]) -> tuple[list[str], IntArray, IntArray]:
    """Return the vocabulary, all sentences as one stream of ids, and each id's place in its own."""
    ids: defaultdict[str, int] = defaultdict(count().__next__)
    for token in CONTROL_TOKENS:
        _ = ids[token]
    stream, lengths = array("q"), array("q")
    for sentence in sentences:
        stream.append(_BEGIN_ID)
        stream.extend(map(ids.__getitem__, sentence))
        stream.append(_END_ID)
        lengths.append(len(sentence) + 2)
    if not lengths:
        raise ValueError("A Kneser-Ney model needs at least one sentence")
    words, sizes = np.asarray(stream), np.asarray(lengths)
    if np.count_nonzero(words <= _END_ID) != 2 * len(sizes):
        raise ValueError(f"No token may be one of {', '.join(CONTROL_TOKENS)}")
    offset = np.arange(len(words)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return list(ids), words, offset


def _count(stream: IntArray, offset: IntArray, order: int, n_words: int) -> list[_Table]:
    every = np.arange(n_words)
    occurrences = np.bincount(stream, minlength=n_words)
    tables = [_Table(np.zeros_like(every), every, every, occurrences, every == _BEGIN_ID)]
    # Row in the newest table of the n-gram that ends at each place of the stream.
    row_at = stream
    for length in range(2, order + 1):
        ends = np.flatnonzero(offset >= length - 1)
        if not len(ends):
            break
        keys = row_at[ends - 1] * n_words + stream[ends]
        distinct, row, occurrences = np.unique(keys, return_inverse=True, return_counts=True)
        suffix = np.empty_like(distinct)
        suffix[row] = row_at[ends]
        context, word = np.divmod(distinct, n_words)
        tables.append(_Table(context, word, suffix, occurrences, tables[-1].begins[context]))
        row_at = np.empty_like(stream)
        row_at[ends] = row
    return tables


def _adjusted_counts(tables: list[_Table]) -> list[IntArray]:
    """Count occurrences in the highest order and after ``<s>``, different left words elsewhere."""
    adjusted = []
    for table, above in pairwise(tables):
        left_words = np.bincount(above.suffix, minlength=len(table.word))
        adjusted.append(np.where(table.begins, table.count, left_words))
    adjusted.append(tables[-1].count)
    # <s> is never predicted.
    adjusted[0] = np.where(tables[0].begins, 0, adjusted[0])
    return adjusted


def _discounts(adjusted: IntArray, context: IntArray) -> FloatArray:
    """Return what to take from counts of 0, 1, 2, and 3 or more."""
    fallback = np.array([0.0, *FALLBACK_DISCOUNTS])
    # In single precision, so that a discount at the edge falls on the same side as lmplz's.
    t = np.bincount(np.minimum(adjusted, 5), minlength=6).astype(np.float32)
    if not t[1:4].all():
        return fallback
    j = np.arange(1, 4, dtype=np.float32)
    estimated = j - (j + 1) * (t[1] / (t[1] + 2 * t[2])) * t[2:5] / t[1:4]
    discounts = np.concatenate([[0.0], estimated])
    in_range = ((estimated >= 0) & (estimated <= j)).all()
    left_over = np.bincount(context, weights=discounts[np.minimum(adjusted, 3)])
    return discounts if in_range and left_over[context].all() else fallback


def _unigram_probs(adjusted: IntArray, discounts: FloatArray) -> FloatArray:
    taken = discounts[np.minimum(adjusted, 3)]
    uniform = 1 / (len(adjusted) - 1)  # <unk> takes its share, <s> does not
    probs = (adjusted - taken + taken.sum() * uniform) / adjusted.sum()
    probs[_BEGIN_ID] = 1.0
    return probs


def _interpolate(
    table: _Table, adjusted: IntArray, discounts: FloatArray, lower: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return this order's probabilities and the back-off weights of the order below."""
    taken = discounts[np.minimum(adjusted, 3)]
    totals = np.bincount(table.context, weights=adjusted, minlength=len(lower))
    backoff = np.ones(len(lower))
    np.divide(
        np.bincount(table.context, weights=taken, minlength=len(lower)),
        totals,
        out=backoff,
        where=totals > 0,
    )
    probs = (adjusted - taken) / totals[table.context]
    probs += backoff[table.context] * lower[table.suffix]
    return np.minimum(probs, 1.0), backoff
