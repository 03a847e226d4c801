"""Text normalization before n-gram scoring: the recipe that cc_net's models were trained on.

Kept by hand because no library implements the recipe. Taking its steps one by one in pure Python handles
12,000 texts/s per core; joining the texts and translating them with ``str.translate`` handles 359,000
(10,000 synthetic texts of 411 characters from tests/benchmarks/bench_ngram.py).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np

_PUNCTUATION = {
    '"': "„”“«»」「《》",
    "'": "´’",
    ",": "，、",
    ".": "。",
    ". ": "．",
    "...": "…",
    ":": "∶：",
    ";": "；",
    "?": "？",
    "!": "！",
    "(": "（",
    ")": "）",
    "[": "【",
    "]": "】",
    "<": "〈",
    ">": "〉",
    "-": "–━►",
    " - ": "—",
    "~": "～",
    "%": "％",
}
_TO_ASCII = {mark: ascii_form for ascii_form, marks in _PUNCTUATION.items() for mark in marks}

CHUNK = 1024  # number of texts that are joined and normalized together
# Texts are joined by the first character, which the translation turns into the second. A normalized text
# contains neither.
_SEPARATOR, _TRANSLATED_SEPARATOR = "\0", "\n"
# str.translate takes about 100 ns per character if any character is not ASCII. If a chunk has few different
# non-ASCII characters, replacing each of them first, in one pass over the chunk, is several times faster.
_MAX_REPLACED = 256


def normalize(text: str) -> str:
    """Normalize one text as cc_net does before scoring.

    The text is lowercased, decomposed (NFD) and stripped of non-spacing marks. Every decimal digit becomes
    ``0``. A fixed map turns Unicode punctuation into ASCII. Control characters are dropped. Spaces at both
    ends are stripped.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The normalized text: one line, possibly empty.

    See Also
    --------
    normalize_all : Normalize many texts, several times faster.

    Notes
    -----
    The recipe is the one that the n-gram models of Wenzek et al. [1]_ expect, with three differences. All
    white space becomes spaces; cc_net deletes newlines and tabs, which glues words together. A full-width
    digit one becomes ``0``; cc_net maps it to a quotation mark. The ends are stripped last, so that a text
    with nothing but dropped characters becomes the empty text.

    References
    ----------
    .. [1] Wenzek et al., "CCNet: Extracting High Quality Monolingual Datasets from Web Crawl
       Data", LREC 2020.

    Examples
    --------
    >>> from skprune.language_models.ngram.normalize import normalize
    >>> normalize("  Café — “１２ Déjà”\\n")
    'cafe  -  "00 deja"'
    """
    return _lower_sigma(text.replace(_SEPARATOR, "")).translate(_TABLE).strip(" ")


def normalize_all(texts: Iterable[str]) -> list[str]:
    """Normalize many texts: ``[normalize(text) for text in texts]``, several times faster.

    Parameters
    ----------
    texts : iterable of str
        The texts.

    Returns
    -------
    list of str
        The normalized texts, in order.

    Notes
    -----
    Texts are joined and translated together. CPython translates ASCII at about 1 ns per character, so
    non-ASCII characters are first replaced by their ASCII forms if they have any.

    Examples
    --------
    >>> from skprune.language_models.ngram.normalize import normalize_all
    >>> normalize_all(["One\\ttwo", "naïve", ""])
    ['one two', 'naive', '']
    """
    texts = list(texts)
    normalized: list[str] = []
    for start in range(0, len(texts), CHUNK):
        normalized += _normalize_chunk(texts[start : start + CHUNK])
    return normalized


def _normalize_chunk(texts: list[str]) -> list[str]:
    texts = _without_separator(texts)
    non_ascii = [row for row, text in enumerate(texts) if not text.isascii()]
    if non_ascii:
        replaced = _replace_non_ascii([texts[row] for row in non_ascii])
        for row, text in zip(non_ascii, replaced, strict=True):
            texts[row] = text
        non_ascii = [row for row in non_ascii if not texts[row].isascii()]
    non_ascii_rows = set(non_ascii)
    ascii_only = [row for row in range(len(texts)) if row not in non_ascii_rows]
    for rows in (ascii_only, non_ascii):
        translated = _SEPARATOR.join([texts[row] for row in rows]).translate(_TABLE)
        for row, text in zip(rows, translated.split(_TRANSLATED_SEPARATOR), strict=False):
            texts[row] = text.strip(" ")
    return texts


def _without_separator(texts: list[str]) -> list[str]:
    if _SEPARATOR in "".join(texts):
        return [text.replace(_SEPARATOR, "") for text in texts]
    return texts


def _replace_non_ascii(texts: list[str]) -> list[str]:
    """Translate the non-ASCII characters if there are few different ones."""
    joined = _lower_sigma(_SEPARATOR.join(texts))
    characters = non_ascii_characters(joined)
    if len(characters) <= _MAX_REPLACED:
        for character in characters:
            joined = joined.replace(character, _TABLE[ord(character)] or "")
    return joined.split(_SEPARATOR)


def non_ascii_characters(text: str) -> list[str]:
    """Return the distinct non-ASCII characters of a text, sorted by code point."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return [chr(code) for code in np.unique(codes[codes > 127]).tolist()]


def _lower_sigma(text: str) -> str:
    """Lowercase texts with a capital sigma, the only letter whose lower case depends on its neighbors."""
    return text.lower() if "Σ" in text else text


class _CharacterTable(dict[int, "str | None"]):
    """Translation table for ``str.translate``: entries are computed when a code point is first looked up."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        if character == _SEPARATOR:
            replacement = _TRANSLATED_SEPARATOR
        elif character.isspace():
            replacement = " "
        else:
            decomposed = unicodedata.normalize("NFD", character.lower())
            replacement = "".join(_simplify(decomposed))
        # CPython's fast path needs None, not "", for a dropped character.
        self[code] = replacement or None
        return self[code]


def _simplify(characters: str) -> Iterator[str]:
    for character in characters:
        category = unicodedata.category(character)
        if category == "Nd":
            yield "0"
        elif category not in ("Mn", "Cc"):
            yield _TO_ASCII.get(character, character)


_TABLE = _CharacterTable()
