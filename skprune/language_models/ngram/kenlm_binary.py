"""KenLM's binary model file, written from a Kneser-Ney model without KenLM's own tools.

Kept by hand because the ``kenlm`` package reads model files but writes none: ``build_binary`` is not part of
it. Writing the binary here takes a tenth of the time of writing an ARPA file and having KenLM parse it.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from skprune.language_models.ngram.kneser_ney import KneserNeyModel, NGrams

MAGIC = b"mmap lm http://kheafield.com/code format version 5\n\0"
# The magic string, then constants by which a reader with another byte order or alignment rejects the file.
SANITY = struct.pack("<56sfffIIIQ", MAGIC, 0.0, 1.0, -0.5, 1, 2**32 - 1, 0, 1)
# Order, probing multiplier, model type, whether the file ends with the words, version of the search.
PARAMETERS = struct.Struct("<B3xfIB3xI")
_PROBING = 0
_MULTIPLIER = np.float32(1.5)

WORD = np.dtype([("key", "<u8"), ("id", "<u4")])
_WEIGHTS = np.dtype([("prob", "<f4"), ("backoff", "<f4")])
_MIDDLE = np.dtype([("key", "<u8"), ("prob", "<f4"), ("backoff", "<f4")])
_LONGEST = np.dtype([("key", "<u8"), ("prob", "<f4")])

_MURMUR = np.uint64(0xC6A4A7935BD1E995)
_MIX_KEY, _MIX_WORD = np.uint64(8978948897894561157), np.uint64(17894857484156487943)

KeyArray = NDArray[np.uint64]


def write_binary(model: KneserNeyModel, path: str | os.PathLike[str]) -> None:
    """Write a model as a KenLM binary of type "probing".

    Parameters
    ----------
    model : KneserNeyModel
        A model of order 2 to 6, as :func:`~skprune.language_models.ngram.kneser_ney.estimate` returns it.
    path : path-like
        File to write.

    Raises
    ------
    ValueError
        If a word is empty or contains white space or a NUL.

    Notes
    -----
    The file equals what ``build_binary probing`` makes of the model's ARPA file, except for the order of
    colliding entries. Any KenLM that reads format version 5 maps it into memory without parsing, and
    processes share that memory.

    In the format [1]_, the n-grams of one order form a hash table with linear probing. The key of an n-gram
    mixes its word ids from the last to the first. The sign of a probability tells whether a longer n-gram
    ends with this one; the sign of a zero back-off tells whether a longer n-gram begins with it.

    References
    ----------
    .. [1] Heafield, "KenLM: Faster and Smaller Language Model Queries", WMT 2011, section 3.1.
    """
    for word in model.vocabulary:
        if word.encode().split() != [word.encode()] or "\0" in word:
            raise ValueError(
                f"A KenLM file cannot hold the word {word!r}: words must not be empty or contain white space "
                "or NUL characters"
            )
    counts = [len(ngrams) for ngrams in model.orders]
    header = SANITY + PARAMETERS.pack(len(counts), _MULTIPLIER, _PROBING, True, 0)
    header += struct.pack(f"<{len(counts)}Q", *counts)
    words = [word.encode() for word in model.vocabulary]
    with open(path, "wb") as file:
        file.write(header.ljust(-(-len(header) // 8) * 8, b"\0"))
        _write_vocabulary(file, words)
        _write_unigrams(file, model)
        for order in range(2, len(counts) + 1):
            _write_table(file, _entries(model, order))
        file.write(b"\0".join([*words, b""]))


def _write_vocabulary(file: BinaryIO, words: list[bytes]) -> None:
    file.write(struct.pack("<II", 0, len(words)))
    entries = np.zeros(len(words) - 1, dtype=WORD)
    entries["key"] = murmur_hashes(words)[1:]  # without <unk>: KenLM returns it for words not found
    entries["id"] = np.arange(1, len(words))
    _write_table(file, entries, n_sized_for=len(words))


def _write_unigrams(file: BinaryIO, model: KneserNeyModel) -> None:
    unigrams = np.zeros(len(model.vocabulary) + 1, dtype=_WEIGHTS)
    prob, backoff = _signed(model, 1)
    unigrams["prob"][:-1] = prob
    unigrams["backoff"][:-1] = backoff
    file.write(unigrams.tobytes())


def _entries(model: KneserNeyModel, order: int) -> NDArray[np.void]:
    longest = order == len(model.orders)
    entries = np.zeros(len(model.orders[order - 1]), dtype=_LONGEST if longest else _MIDDLE)
    first, *middle, last = model.words(order)
    keys = last.astype(np.uint64)
    for word in [*reversed(middle), first]:
        keys = (keys * _MIX_KEY) ^ ((word + 1).astype(np.uint64) * _MIX_WORD)
    entries["key"] = keys
    entries["prob"], backoff = _signed(model, order)
    if not longest:
        entries["backoff"] = backoff
    return entries


def _signed(model: KneserNeyModel, order: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return log10 probabilities and back-offs, with the signs that the Notes of write_binary explain."""
    ngrams: NGrams = model.orders[order - 1]
    ends_longer = np.zeros(len(ngrams), dtype=bool)
    begins_longer = np.zeros(len(ngrams), dtype=bool)
    for longer in model.orders[order : order + 1]:
        ends_longer[longer.suffix] = True
        begins_longer[longer.context] = True
    magnitude = np.abs(ngrams.log_prob).astype(np.float32)
    prob = np.where(ends_longer, magnitude, -magnitude)
    backoff = ngrams.log_backoff.astype(np.float32)
    signed_zero = np.where(begins_longer, np.float32(0.0), np.float32(-0.0))
    return prob, np.where(backoff == 0, signed_zero, backoff)


def _write_table(file: BinaryIO, entries: NDArray[np.void], n_sized_for: int | None = None) -> None:
    """Write a hash table with linear probing: each entry in its bucket or the next free one.

    The table has buckets for ``n_sized_for`` entries; None means ``len(entries)``.
    """
    n_sized_for = len(entries) if n_sized_for is None else n_sized_for
    n_buckets = max(n_sized_for + 1, int(_MULTIPLIER * np.float32(n_sized_for)))
    ideal = (entries["key"] % np.uint64(n_buckets)).astype(np.int64)
    by_bucket = np.argsort(ideal, kind="stable")
    rank = np.arange(len(entries))
    place = rank + np.maximum.accumulate(ideal[by_bucket] - rank)
    inside = int(np.searchsorted(place, n_buckets))
    table = np.zeros(n_buckets, dtype=entries.dtype)
    table[place[:inside]] = entries[by_bucket[:inside]]
    # The few entries past the end wrap around to the first free buckets.
    free = np.flatnonzero(table["key"][: 2 * len(entries)] == 0)[: len(entries) - inside]
    table[free] = entries[by_bucket[inside:]]
    file.write(table.tobytes())


def murmur_hashes(words: list[bytes]) -> KeyArray:
    """Hash words as KenLM's vocabulary does: MurmurHash64A with seed 0.

    Parameters
    ----------
    words : list of bytes
        The words in UTF-8.

    Returns
    -------
    ndarray of uint64, shape (n_words,)
        The hash of each word.
    """
    hashes = np.empty(len(words), dtype=np.uint64)
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        padded = -(-length // 8) * 8
        buffer = b"".join([words[row].ljust(padded, b"\0") for row in rows.tolist()])
        blocks = np.frombuffer(buffer, dtype="<u8").reshape(len(rows), padded // 8)
        hashes[rows] = _murmur(blocks, length)
    return hashes


def _murmur(blocks: KeyArray, length: int) -> KeyArray:
    shift = np.uint64(47)
    hashes = np.full(len(blocks), length, dtype=np.uint64) * _MURMUR
    for block in blocks[:, : length // 8].T:
        mixed = block * _MURMUR
        mixed ^= mixed >> shift
        hashes = (hashes ^ (mixed * _MURMUR)) * _MURMUR
    if length % 8:
        hashes = (hashes ^ blocks[:, -1]) * _MURMUR
    hashes ^= hashes >> shift
    hashes *= _MURMUR
    return hashes ^ (hashes >> shift)
