"""Scripts that are written without spaces between words: each of their letters becomes a token of its own.

BERT's tokenizer does this for Chinese characters only. Here the rule also covers the other scripts whose
lines may break inside a run of letters: classes ID, CJ, NS and SA of Unicode's line-breaking rules (UAX #14),
and Javanese and Balinese, which break between syllables. Korean has spaces, and Tibetan separates its
syllables with a mark, so both stay as they are.

A letter keeps the combining marks that follow it, because a vowel sign is not a unit by itself. Finding real
words would need a dictionary per language.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

_IDEOGRAPHS = [(0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFD)]
_KANA = [(0x3005, 0x3007), (0x3031, 0x303C), (0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F)]
_KANA += [(0x1AFF0, 0x1B16F)]
_BOPOMOFO_AND_YI = [(0x3105, 0x312F), (0x31A0, 0x31BF), (0xA000, 0xA48F)]
_SOUTHEAST_ASIAN = [
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0xA980, 0xA9FF),  # Javanese, Myanmar
    (0xAA60, 0xAADF),  # Myanmar, Tai Viet
]
_WHOLE_BLOCKS = [_IDEOGRAPHS[0], _IDEOGRAPHS[1], _IDEOGRAPHS[3]]  # every code point is a letter or reserved
_CHECKED_BLOCKS = [_IDEOGRAPHS[2], *_KANA, *_BOPOMOFO_AND_YI, *_SOUTHEAST_ASIAN]
_FIRST = min(first for first, _ in _CHECKED_BLOCKS)
# Marks that other scripts share: diacritics, variation selectors.
_SHARED_MARKS = [(0x0300, 0x036F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF)]
# Thai and Lao "am": letters by category, but part of the cluster before them (UAX #29).
_VOWELS_AM = [0x0E33, 0x0EB3]

_OTHER, _LETTER, _MARK = range(3)
_SEPARATOR = "\0"
_CHUNK = 1024  # number of texts that are joined and searched together


def separate(text: str) -> str:
    """Put spaces around every letter of a script that is written without spaces.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The text; the same object if it has no such letter.

    Examples
    --------
    >>> from skprune.language_models.ngram.scripts import separate
    >>> separate("Tokyo is 東京, 100km away").split()
    ['Tokyo', 'is', '東', '京', ',', '100km', 'away']
    """
    if text.isascii():
        return text
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    candidates = np.flatnonzero(codes >= _FIRST)
    letters = candidates[_kinds()[codes[candidates]] == _LETTER]
    if not len(letters):
        return text
    space_before = np.zeros(len(codes) + 1, dtype=bool)
    space_before[letters] = True
    ends = letters + 1
    if (_kinds()[codes[ends[ends < len(codes)]]] == _MARK).any():
        # The marks after a letter belong to it: it ends before the next character that is not a mark.
        others = np.append(np.flatnonzero(_kinds()[codes] != _MARK), len(codes))
        ends = others[np.searchsorted(others, ends)]
    space_before[ends] = True
    spaced = np.insert(codes, np.flatnonzero(space_before), ord(" "))
    return spaced.tobytes().decode("utf-32-le", "surrogatepass")


def separate_all(texts: Iterable[str]) -> list[str]:
    """Return ``[separate(text) for text in texts]``, faster."""
    texts = list(texts)
    rows = [row for row, text in enumerate(texts) if not text.isascii()]
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        separated = separate(_SEPARATOR.join([texts[row] for row in chunk])).split(_SEPARATOR)
        if len(separated) != len(chunk):  # a text contains the separator
            separated = [separate(texts[row]) for row in chunk]
        for row, text in zip(chunk, separated, strict=True):
            texts[row] = text
    return texts


@cache
def marks_pattern() -> str:
    """Return the combining marks of these scripts, for a character class of a regular expression."""
    codes = np.concatenate([np.arange(first, last + 1) for first, last in _CHECKED_BLOCKS])
    return "".join(map(chr, codes[_kinds()[codes] == _MARK].tolist()))


@cache
def _kinds() -> NDArray[np.uint8]:
    """Return the kind of each code point: a letter of these scripts, a combining mark, or any other."""
    kinds = np.full(0x110000, _OTHER, dtype=np.uint8)
    for first, last in _WHOLE_BLOCKS:
        kinds[first : last + 1] = _LETTER
    for first, last in _SHARED_MARKS:
        kinds[first : last + 1] = _MARK
    for first, last in _CHECKED_BLOCKS:
        for code in range(first, last + 1):
            category = unicodedata.category(chr(code))
            if category[0] == "M":
                kinds[code] = _MARK
            elif category[0] == "L" or category == "Nl":
                kinds[code] = _LETTER
    kinds[_VOWELS_AM] = _MARK
    return kinds
