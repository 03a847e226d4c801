"""Tokenizers: from normalized texts to the lines of tokens that KenLM reads.

The word tokenizer is kept by hand because libraries split with regular expressions, which take ten times as
long as replacing bytes.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType
from typing import Any, Protocol

import joblib

from skprune._optional import require
from skprune.exceptions import ModelLoadError
from skprune.hub.fingerprints import content_digest, stamp
from skprune.language_models.ngram.normalize import non_ascii_characters
from skprune.language_models.ngram.scripts import separate

TokenizerCallable = Callable[[list[str]], Iterable[Sequence[str]]]

# KenLM reads these tokens as sentence boundaries and as the unknown word, even inside a text.
_CONTROL_TOKEN = re.compile(rb"(?<![^ \n])<(/?s|unk|UNK)>(?![^ \n])")
_PIECES_KIND = "SentencePiece model"
_ASCII_MARKS = [
    character.encode()
    for character in map(chr, range(1, 128))
    if not (character.isalnum() or character.isspace() or character == "_")
]


class Tokenizer(Protocol):
    """Anything that turns texts into lines of tokens.

    Attributes
    ----------
    fingerprint : str
        Identifies everything that affects the tokens.
    """

    @property
    def fingerprint(self) -> str: ...

    def lines(self, texts: list[str]) -> list[bytes]:
        """Return one line per text: its tokens in UTF-8, separated by one or more spaces.

        The texts must not contain line breaks or NULs. The lines contain no control tokens.
        """


def make_tokenizer(kind: str | os.PathLike[str] | TokenizerCallable) -> Tokenizer:
    """Return the tokenizer for a value of NGramScorer's parameter ``tokenizer``."""
    if callable(kind):
        return CallableTokenizer(kind)
    if kind == "words":
        return WordTokenizer()
    if kind == "whitespace":
        return WhitespaceTokenizer()
    return SentencePieceTokenizer(kind)


class WordTokenizer:
    """Split texts into runs of letters, digits, combining marks and ``_``, and into other characters.

    Letters of scripts without spaces between words are tokens of their own.
    """

    fingerprint = "words-2"  # raise the number whenever a token changes

    def lines(self, texts: list[str]) -> list[bytes]:
        joined = separate("\n".join(texts))
        marks = _ASCII_MARKS
        if not joined.isascii():
            marks = marks + [c.encode() for c in non_ascii_characters(joined) if not _in_word(c)]
        # One memchr pass per mark is ten times faster than one regular expression. Replacing is faster in
        # bytes than in str, and safe: in UTF-8, no character's bytes occur inside another's.
        line = joined.encode()
        for mark in marks:
            line = line.replace(mark, b" " + mark + b" ")
        return line.split(b"\n")


class WhitespaceTokenizer:
    """Split texts at spaces; ``<s>``, ``</s>`` and ``<unk>`` become ``[s]``, ``[/s]`` and ``[unk]``."""

    fingerprint = "whitespace"

    def lines(self, texts: list[str]) -> list[bytes]:
        return _without_control_tokens("\n".join(texts).encode()).split(b"\n")


class SentencePieceTokenizer:
    """Split texts into the pieces of a SentencePiece model."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)

    @cached_property
    def fingerprint(self) -> str:
        return f"sentencepiece:{content_digest(self.path, _PIECES_KIND)}"

    def lines(self, texts: list[str]) -> list[bytes]:
        processor = _sentencepiece(*stamp(self.path, _PIECES_KIND))
        pieces = processor.encode(texts, out_type=str)
        joined = "\n".join([" ".join(text) for text in pieces])
        return _without_control_tokens(joined.encode()).split(b"\n")


class CallableTokenizer:
    """Call a user's function; white space inside a token becomes ``▁``, and empty tokens are dropped."""

    def __init__(self, function: TokenizerCallable):
        self.function = function

    @cached_property
    def fingerprint(self) -> str:
        return f"callable:{callable_fingerprint(self.function, 'tokenizer')}"

    def lines(self, texts: list[str]) -> list[bytes]:
        tokens = list(self.function(texts))
        if len(tokens) != len(texts):
            raise ValueError(
                f"tokenizer returned {len(tokens)} lists for {len(texts)} texts; it must return one list of "
                "tokens per text"
            )
        lines = [" ".join(["▁".join(t.split()) for t in text if t.strip()]) for text in tokens]
        joined = "\n".join(lines).replace("\0", "")
        return _without_control_tokens(joined.encode()).split(b"\n")


def _without_control_tokens(lines: bytes) -> bytes:
    return _CONTROL_TOKEN.sub(rb"[\1]", lines) if b"<" in lines else lines


@lru_cache(maxsize=65536)
def _in_word(character: str) -> bool:
    return character.isalnum() or character.isspace() or unicodedata.category(character).startswith("M")


@lru_cache(maxsize=4)
def _sentencepiece(path: str, size: int, modified: int) -> Any:
    """Load a SentencePiece model, once per version of its file."""
    sentencepiece = require("sentencepiece", extra="ngram", purpose="A SentencePiece tokenizer")
    try:
        return sentencepiece.SentencePieceProcessor(model_file=path)
    except (OSError, RuntimeError) as error:
        raise ModelLoadError(f"{path} is not a {_PIECES_KIND}") from error


def _code_content(part: Any) -> Any:
    """Return the content of a code object, so that a redefined function gets another fingerprint."""
    if not isinstance(part, CodeType):
        return part
    return part.co_code, part.co_names, [_code_content(constant) for constant in part.co_consts]


def callable_fingerprint(function: Callable[..., Any], name: str) -> str:
    """Return the attribute ``fingerprint`` of a user's function, or else a hash of its content.

    Parameters
    ----------
    function : callable
        The function.
    name : str
        Name of the parameter that holds the function, for errors.

    Raises
    ------
    ValueError
        If the function has no ``fingerprint`` and cannot be pickled.
    """
    fingerprint = getattr(function, "fingerprint", None)
    if fingerprint is not None:
        return str(fingerprint)
    try:
        return str(joblib.hash((function, _code_content(getattr(function, "__code__", None)))))
    except Exception as error:  # pickling a part of the function can raise anything
        raise ValueError(
            f"{name}={function!r} cannot be identified across processes: define it at the top level of a "
            "module or give it an attribute `fingerprint`"
        ) from error
