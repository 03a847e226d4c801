"""Text normalization before n-gram scoring: the recipe that cc_net's models were trained on."""

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

# Stands between texts that are normalized together; no normalized text holds either of them.
_SEPARATOR, _SEPARATOR_AFTER = "\0", "\n"
_CHUNK = 1024
# str.translate costs about 100 ns a character once one character is not ASCII; replacing the few
# characters that are not, each in one pass over the chunk, is several times faster.
_MAX_REPLACED = 256


def normalize(text: str) -> str:
    """Normalize one text as cc_net does before it scores it.

    Lower case; canonical decomposition (NFD) without non-spacing marks; every decimal digit
    becomes ``0``; Unicode punctuation becomes ASCII by a fixed map; control characters are
    dropped; the ends are stripped.

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
    normalize_all : The same for many texts, several times faster.

    Notes
    -----
    The recipe is that of Wenzek et al. [1]_, as its n-gram models expect it. We differ in three
    points: white space of every kind becomes a space (theirs deletes newlines and tabs, which
    glues words together), a full-width one is the digit ``0`` (their map sends it to a quote), and
    the ends are stripped last, so that nothing but dropped characters gives the empty text.

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
    Texts are joined and translated together. Where all of them are ASCII, CPython translates at
    about 1 ns a character; the others are first brought to ASCII as far as they go.

    Examples
    --------
    >>> from skprune.language_models.ngram.normalize import normalize_all
    >>> normalize_all(["One\\ttwo", "naïve", ""])
    ['one two', 'naive', '']
    """
    texts = list(texts)
    normalized: list[str] = []
    for start in range(0, len(texts), _CHUNK):
        normalized += _normalize_chunk(texts[start : start + _CHUNK])
    return normalized


def _normalize_chunk(texts: list[str]) -> list[str]:
    texts = _without_separator(texts)
    foreign = [row for row, text in enumerate(texts) if not text.isascii()]
    if foreign:
        replaced = _replace_foreign([texts[row] for row in foreign])
        for row, text in zip(foreign, replaced, strict=True):
            texts[row] = text
        foreign = [row for row in foreign if not texts[row].isascii()]
    foreign_rows = set(foreign)
    plain = [row for row in range(len(texts)) if row not in foreign_rows]
    for rows in (plain, foreign):
        translated = _SEPARATOR.join([texts[row] for row in rows]).translate(_TABLE)
        for row, text in zip(rows, translated.split(_SEPARATOR_AFTER), strict=False):
            texts[row] = text.strip(" ")
    return texts


def _without_separator(texts: list[str]) -> list[str]:
    if _SEPARATOR in "".join(texts):
        return [text.replace(_SEPARATOR, "") for text in texts]
    return texts


def _replace_foreign(texts: list[str]) -> list[str]:
    """Replace the characters that are not ASCII, when they are few in kind."""
    joined = _lower_sigma(_SEPARATOR.join(texts))
    foreign = foreign_characters(joined)
    if len(foreign) <= _MAX_REPLACED:
        for character in foreign:
            joined = joined.replace(character, _TABLE[ord(character)] or "")
    return joined.split(_SEPARATOR)


def foreign_characters(text: str) -> list[str]:
    """Return the different characters of a text that are not ASCII, in order of code point."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return [chr(code) for code in np.unique(codes[codes > 127]).tolist()]


def _lower_sigma(text: str) -> str:
    """Lower the one letter whose lower case depends on its neighbors (a word's final sigma)."""
    return text.lower() if "Σ" in text else text


class _CharacterTable(dict[int, "str | None"]):
    """What each code point becomes, filled in as code points turn up."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        if character == _SEPARATOR:
            becomes = _SEPARATOR_AFTER
        elif character.isspace():
            becomes = " "
        else:
            decomposed = unicodedata.normalize("NFD", character.lower())
            becomes = "".join(_simplify(decomposed))
        # CPython's fast path wants None, not "", for a dropped character.
        self[code] = becomes or None
        return self[code]


def _simplify(characters: str) -> Iterator[str]:
    for character in characters:
        category = unicodedata.category(character)
        if category == "Nd":
            yield "0"
        elif category not in ("Mn", "Cc"):
            yield _TO_ASCII.get(character, character)


_TABLE = _CharacterTable()
