"""Checks of KenLM model files before this process maps them: KenLM trusts a file, and a damaged one kills.

Kept by hand because the ``kenlm`` package has no such check. Three steps, cheapest first: the header (format,
order, counts against the size); the numbers inside a binary that KenLM uses as addresses; and one loading of
the file in a child process. The child takes some 0.02 s for a small file, and a parse for an ARPA file; it
runs once per process and state of the file.
"""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skprune.exceptions import ModelLoadError
from skprune.hub.fingerprints import GZIP_MAGIC, stamp
from skprune.language_models.ngram.kenlm_binary import MAGIC, PARAMETERS, SANITY, WORD

MAX_ORDER = 6  # as KenLM's Python package is compiled
MODEL_KIND = "KenLM model file (ARPA, ARPA in gzip, or KenLM binary)"
_OTHER_KINDS = {
    GZIP_MAGIC: "a gzip file inside a gzip file (unpack it first)",
    b"BZh": "a bzip2 file (unpack it first)",
    b"\xfd7zXZ": "an xz file (unpack it first)",
    b"PK\x03\x04": "a zip archive",
    b"GGUF": "a GGUF model",
    b"mmap lm http://kheafield.com/code incomplete": "a KenLM binary that was not finished (build it again)",
    b"mmap lm http://kheafield.com/code": "a KenLM binary of another version or machine (build it again)",
}
_ARPA_COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)\s*")
_SHORTEST_ARPA_ENTRY = len(b"0\ta\n")

# Types of KenLM binaries, in the order of its source.
_PROBING, _REST_PROBING, _TRIE, _QUANTIZED_TRIE, _ARRAY_TRIE, _QUANTIZED_ARRAY_TRIE = range(6)
_UNQUANTIZED_BITS = 63  # of a probability and a back-off weight
_TRIE_UNIGRAM = np.dtype([("prob", "<f4"), ("backoff", "<f4"), ("next", "<u8")])
_BLOCK = 1 << 18  # n-grams whose pointers are read at a time

# The child scores every word of the list that ends a binary, so that it follows their addresses too.
_CHILD = """
import sys
sys.path.append(sys.argv[1])
import kenlm
config = kenlm.Config()
config.show_progress = False
config.arpa_complain = kenlm.ARPALoadComplain.NONE
try:
    model = kenlm.Model(sys.argv[2], config)
except Exception:
    sys.exit()  # the parent reports it
with open(sys.argv[2], "rb") as file:
    file.seek(max(int(sys.argv[3]), 0))
    words = file.read(1 << 22) if int(sys.argv[3]) >= 0 else b""
words = [word for word in words.split(b"\\0") if word and not word.isspace()]
for start in range(0, len(words), 100):
    model.score(b" ".join(words[start : start + 100]))
"""


def check_file(path: Path, source: Path) -> None:
    """Refuse a file that is not a KenLM model or would crash KenLM.

    Parameters
    ----------
    path : pathlib.Path
        A plain ARPA file or a KenLM binary.
    source : pathlib.Path
        The file that the user named; errors name it.

    Raises
    ------
    ModelLoadError
        If the file is of another kind, truncated or damaged.
    """
    with open(path, "rb") as file:
        head = file.read(4096)
    is_binary = head.startswith(MAGIC[:-2])
    if is_binary:
        words_at = _check_binary(head, path, source)
    elif _first_line(head) == b"\\data\\":
        _check_arpa(head, path, source)
        words_at = -1
    else:
        found = next((kind for magic, kind in _OTHER_KINDS.items() if head.startswith(magic)), None)
        if found is None:
            found = "an empty file" if not head else "binary data" if b"\0" in head else "text"
        raise ModelLoadError(f"{source} is not a {MODEL_KIND}: found {found}")
    crash = _crash(*stamp(path, MODEL_KIND), words_at)
    if crash:
        raise ModelLoadError(f"{source} is a damaged n-gram model: reading it ended KenLM by {crash}")


def _first_line(head: bytes) -> bytes:
    """Return the first line that is neither empty nor a comment; KenLM skips the ones before it."""
    lines = (line.strip() for line in head.split(b"\n"))
    return next((line for line in lines if line and not line.startswith(b"#")), b"")


def _check_arpa(head: bytes, path: Path, source: Path) -> None:
    """Check the n-gram counts, by which KenLM reserves memory."""
    lines = iter(head[head.index(b"\\data\\") :].split(b"\n")[1:])
    counts: list[int] = []
    for line in lines:
        if not line.strip():
            if counts:
                break
            continue
        match = _ARPA_COUNT.fullmatch(line)
        if match is None or int(match[1]) != len(counts) + 1:
            shown = line[:60].decode("utf-8", "replace")
            raise ModelLoadError(f"{source} is a truncated or damaged n-gram model: the count line {shown!r}")
        counts.append(int(match[2]))
    if not 2 <= len(counts) <= MAX_ORDER:
        raise ModelLoadError(
            f"{source} is a truncated or damaged n-gram model: {len(counts)} orders; "
            f"2 to {MAX_ORDER} can be read"
        )
    if not counts[0] or sum(counts) * _SHORTEST_ARPA_ENTRY > path.stat().st_size:
        raise ModelLoadError(
            f"{source} is a truncated or damaged n-gram model: counts {counts} do not fit its size"
        )


def _check_binary(head: bytes, path: Path, source: Path) -> int:
    """Check what KenLM trusts in a binary; return where its list of words begins, -1 if it is unknown."""
    size = path.stat().st_size
    start = len(SANITY) + PARAMETERS.size
    if len(head) < start:
        raise ModelLoadError(f"{source} is a truncated KenLM binary: {size} bytes")
    if not head.startswith(SANITY):
        raise ModelLoadError(
            f"{source} is a KenLM binary of another version or machine: build it again from its ARPA"
        )
    order, multiplier, kind, _, _ = PARAMETERS.unpack_from(head, len(SANITY))
    if not 2 <= order <= MAX_ORDER:
        raise ModelLoadError(f"{source} is a damaged KenLM binary: order {order}")
    if kind > _QUANTIZED_ARRAY_TRIE:
        raise ModelLoadError(f"{source} is a damaged KenLM binary: type {kind}")
    counts = [int.from_bytes(head[at : at + 8], "little") for at in range(start, start + 8 * order, 8)]
    if not all(0 < n <= size for n in counts):
        raise ModelLoadError(f"{source} is a truncated or damaged KenLM binary: counts {counts}")
    at = -(-(start + 8 * order) // 8) * 8
    if kind in (_PROBING, _REST_PROBING):
        if not 1 < multiplier < 100:
            raise ModelLoadError(f"{source} is a damaged KenLM binary: probing multiplier {multiplier:g}")
        intact = _word_ids_are_intact(path, at, counts, np.float32(multiplier))
    else:
        intact = _trie_is_intact(path, at, counts, kind)
    if not intact:
        raise ModelLoadError(f"{source} is a truncated or damaged KenLM binary: addresses beyond its tables")
    with open(path, "rb") as file:
        file.seek(max(0, size - (1 << 22)))
        tail = file.read()
    found = tail.rfind(b"<unk>\0")
    return -1 if found < 0 else size - len(tail) + found


def _word_ids_are_intact(path: Path, at: int, counts: list[int], multiplier: np.float32) -> bool:
    """Return whether the ids in a hash table of words are rows of the table of unigrams."""
    bound = counts[0]
    n_buckets = max(bound + 1, int(multiplier * np.float32(bound)))
    end = at + 8 + n_buckets * WORD.itemsize
    if path.stat().st_size < end:
        return False
    with open(path, "rb") as file:
        file.seek(at)
        _, stored_bound = struct.unpack("<II", file.read(8))
    words = np.memmap(path, dtype=WORD, mode="r", offset=at + 8, shape=(n_buckets,))
    # At least one empty bucket ends a search for a word that is not there.
    return bool(stored_bound == bound and words["id"].max() < bound and (words["key"] == 0).any())


def _trie_is_intact(path: Path, at: int, counts: list[int], kind: int) -> bool:
    """Return whether the pointers of a trie rise and stay within its tables."""
    size = path.stat().st_size
    n_words = counts[0]
    with open(path, "rb") as file:
        file.seek(at)
        # <unk> is not among the hashes of the words.
        if int.from_bytes(file.read(8), "little") not in (n_words - 1, n_words):
            return False
        at += 8 + 8 * n_words
        file.seek(at)
        bits = file.read(3)
    middle_bits, longest_bits = _UNQUANTIZED_BITS, 31
    if kind in (_QUANTIZED_TRIE, _QUANTIZED_ARRAY_TRIE):
        _, prob_bits, backoff_bits = bits
        if not (1 <= prob_bits <= 25 and 1 <= backoff_bits <= 25):
            return False
        middle_bits, longest_bits = prob_bits + backoff_bits, prob_bits
        at += (len(counts) - 1) * 4 * (1 << prob_bits) + (len(counts) - 2) * 4 * (1 << backoff_bits) + 8
    if at + (n_words + 2) * _TRIE_UNIGRAM.itemsize > size:
        return False
    unigrams = np.memmap(path, dtype=_TRIE_UNIGRAM, mode="r", offset=at, shape=(n_words + 1,))
    if not _rise_within([unigrams["next"]], counts[1]):
        return False
    at += (n_words + 2) * _TRIE_UNIGRAM.itemsize
    has_arrays = kind in (_ARRAY_TRIE, _QUANTIZED_ARRAY_TRIE)
    if has_arrays and len(counts) > 2:
        with open(path, "rb") as file:
            file.seek(at)
            _, most_chopped = file.read(2).ljust(2, b"\0")
    for n_ngrams, n_longer in pairwise(counts[1:]):
        inline_bits, firsts = n_longer.bit_length(), np.zeros(1, dtype=np.uint64)
        if has_arrays:
            inline_bits -= _n_chopped_bits(n_ngrams + 1, n_longer, most_chopped)
            n_firsts = (n_longer >> inline_bits) + 1
            aligned = -(-at // 8) * 8 + 8
            if aligned + 8 * n_firsts > size:
                return False
            firsts = np.memmap(path, dtype="<u8", mode="r", offset=aligned, shape=(n_firsts,))
            if firsts[0] != 0 or (firsts[1:] < firsts[:-1]).any():
                return False
            at += 8 * (1 + n_firsts) + 7
        total_bits = n_words.bit_length() + middle_bits + inline_bits
        n_bytes = ((1 + n_ngrams) * total_bits + 7) // 8 + 8
        if at + n_bytes > size:
            return False
        table = np.memmap(path, dtype=np.uint8, mode="r", offset=at, shape=(n_bytes,))
        if not _rise_within(_pointers(table, n_ngrams + 1, total_bits, inline_bits, firsts), n_longer):
            return False
        at += n_bytes
    return at + (counts[-1] * (n_words.bit_length() + longest_bits) + 7) // 8 <= size


def _n_chopped_bits(n_pointers: int, most: int, limit: int) -> int:
    """Return how many high bits of each pointer an "array" trie keeps in its array, not in the entries."""
    n_bits = most.bit_length()

    def change_in_size(chopped: int) -> int:
        return (most >> (n_bits - chopped)) * 64 - n_pointers * chopped

    return min(range(min(n_bits, limit) + 1), key=change_in_size)


def _pointers(
    table: NDArray[np.uint8], n_pointers: int, total_bits: int, inline_bits: int, firsts: NDArray[np.uint64]
) -> Iterator[NDArray[np.uint64]]:
    """Yield the pointers of a table, whose entries end with ``inline_bits`` of them.

    ``firsts`` holds the first entry of each value of the other, higher bits.
    """
    for start in range(0, n_pointers, _BLOCK):
        entries = np.arange(start, min(start + _BLOCK, n_pointers), dtype=np.uint64)
        bit = (entries + np.uint64(1)) * np.uint64(total_bits) - np.uint64(inline_bits)
        first = (bit >> np.uint64(3)).astype(np.int64)
        words = np.zeros(len(entries), dtype=np.uint64)
        for byte in range(8):
            words |= table[first + byte].astype(np.uint64) << np.uint64(8 * byte)
        inline = (words >> (bit & np.uint64(7))) & np.uint64((1 << inline_bits) - 1)
        high = np.searchsorted(firsts, entries, side="right").astype(np.uint64) - np.uint64(1)
        yield (high << np.uint64(inline_bits)) | inline


def _rise_within(blocks: Iterator[NDArray[np.uint64]] | list[NDArray[np.uint64]], most: int) -> bool:
    last = 0
    for block in blocks:
        if block[0] < last or (block[1:] < block[:-1]).any():
            return False
        last = int(block[-1])
    return last <= most


@lru_cache(maxsize=64)
def _crash(path: str, size: int, modified: int, words_at: int) -> str:
    """Load a file in a child process; return the name of the signal that ended the child, "" if none did."""
    package = find_spec("kenlm")
    if not sys.executable or package is None or package.origin is None:
        return ""  # an interpreter inside another program cannot start a child
    # Neither the environment nor site-packages: the child starts in 0.015 s instead of 0.03.
    command = [sys.executable, "-I", "-S", "-c", _CHILD, os.path.dirname(package.origin), path, str(words_at)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return signal.Signals(-done.returncode).name if done.returncode < 0 else ""
