"""Normalized texts to lines of tokens, as KenLM takes them."""

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
from skprune.language_models.ngram.normalize import foreign_characters

TokenizerCallable = Callable[[list[str]], Iterable[Sequence[str]]]

# KenLM reads these as the ends of a sentence and as the unknown word, also inside a text.
_CONTROL_TOKEN = re.compile(rb"(?<![^ \n])<(/?s|unk|UNK)>(?![^ \n])")
_PIECES_FILE = "SentencePiece model"
_ASCII_MARKS = [
    character.encode()
    for character in map(chr, range(1, 128))
    if not (character.isalnum() or character.isspace() or character == "_")
]


class Tokenizer(Protocol):
    """What turns texts into lines of tokens.

    Attributes
    ----------
    fingerprint : str
        Identifies everything that changes the tokens.
    """

    @property
    def fingerprint(self) -> str: ...

    def lines(self, texts: list[str]) -> list[bytes]:
        """Return one line a text: its tokens in UTF-8 with spaces (one or more) between them.

        Texts hold no line breaks and no NUL; lines hold no control tokens.
        """


def make_tokenizer(kind: str | os.PathLike[str] | TokenizerCallable) -> Tokenizer:
    """Return the tokenizer that NGramScorer's parameter of that name means."""
    if callable(kind):
        return CallableTokenizer(kind)
    if kind == "words":
        return WordTokenizer()
    if kind == "whitespace":
        return WhitespaceTokenizer()
    return SentencePieceTokenizer(kind)


class WordTokenizer:
    """Words and marks: runs of letters, digits, combining marks and ``_``; anything else alone."""

    fingerprint = "words"

    def lines(self, texts: list[str]) -> list[bytes]:
        joined = "\n".join(texts)
        marks = _ASCII_MARKS
        if not joined.isascii():
            marks = marks + [c.encode() for c in foreign_characters(joined) if not _in_word(c)]
        # One pass of memchr a mark is ten times faster than one regular expression. UTF-8 keeps
        # characters apart, so bytes can be replaced; they are faster than str.
        line = joined.encode()
        for mark in marks:
            line = line.replace(mark, b" " + mark + b" ")
        return line.split(b"\n")


class WhitespaceTokenizer:
    """What stands between spaces; ``<s>``, ``</s>`` and ``<unk>`` become ``[s]`` and so on."""

    fingerprint = "whitespace"

    def lines(self, texts: list[str]) -> list[bytes]:
        return _without_control_tokens("\n".join(texts).encode()).split(b"\n")


class SentencePieceTokenizer:
    """The pieces of a SentencePiece model."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)

    @cached_property
    def fingerprint(self) -> str:
        return f"sentencepiece:{content_digest(self.path, _PIECES_FILE)}"

    def lines(self, texts: list[str]) -> list[bytes]:
        processor = _sentencepiece(*stamp(self.path, _PIECES_FILE))
        pieces = processor.encode(texts, out_type=str)
        joined = "\n".join([" ".join(text) for text in pieces])
        return _without_control_tokens(joined.encode()).split(b"\n")


class CallableTokenizer:
    """A user's function; white space inside a token becomes ``▁``, empty tokens are dropped."""

    def __init__(self, function: TokenizerCallable):
        self.function = function

    @cached_property
    def fingerprint(self) -> str:
        return f"callable:{callable_fingerprint(self.function, 'tokenizer')}"

    def lines(self, texts: list[str]) -> list[bytes]:
        tokens = list(self.function(texts))
        if len(tokens) != len(texts):
            raise ValueError(f"tokenizer returned {len(tokens)} lists for {len(texts)} texts")
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
    """Load a SentencePiece model once for each state of its file."""
    sentencepiece = require("sentencepiece", extra="ngram", purpose="A SentencePiece tokenizer")
    try:
        return sentencepiece.SentencePieceProcessor(model_file=path)
    except (OSError, RuntimeError) as error:
        raise ModelLoadError(f"{path} is not a {_PIECES_FILE}") from error


def _body(part: Any) -> Any:
    """Return what code does, by which a function of the same name that was written anew is another one."""
    if not isinstance(part, CodeType):
        return part
    return part.co_code, part.co_names, [_body(constant) for constant in part.co_consts]


def callable_fingerprint(function: Callable[..., Any], name: str) -> str:
    """Identify a user's function; ``name`` is the parameter that errors name."""
    named = getattr(function, "fingerprint", None)
    if named is not None:
        return str(named)
    try:
        return str(joblib.hash((function, _body(getattr(function, "__code__", None)))))
    except Exception as error:  # whatever pickling its parts raises
        raise ValueError(
            f"{name} {function!r} cannot be identified across processes: define it at the top "
            "level of a module or give it an attribute `fingerprint`"
        ) from error
