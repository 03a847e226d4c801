"""Normalization: the recipe case by case, and the fast path compared with the slow one."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skprune.language_models.ngram.normalize import non_ascii_characters, normalize, normalize_all

# Every kind of character that the recipe mentions, often enough for hypothesis to combine them.
TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("aZ09 .,\t\n\r\0\x1f\x7f\x85éÉÅΣσςİßﬁ“”’…—１２，．\u0301\u00a0\u3000한"),
    )
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  The CAT  ", "the cat"),
        ("Déjà vu, naïve Ångström", "deja vu, naive angstrom"),
        ("e\u0301", "e"),
        ("İstanbul", "istanbul"),
        ("ΟΔΟΣ", "οδος"),
        ("In 1984", "in 0000"),
        ("１２３ ٣ १", "000 0 0"),
        ("“a” «b» „c” ‘d’", '"a" "b" "c" ‘d\''),
        ("ａ，ｂ：ｃ？ｄ！ｅ（ｆ）", "ａ,ｂ:ｃ?ｄ!ｅ(ｆ)"),
        ("yes—no – so…", "yes - no - so..."),
        ("100％ 【x】", "000% [x]"),
        ("one\ntwo\tthree\r\nfour", "one two three  four"),
        ("a\u00a0b\u2028c\u3000d\x85e", "a b c d e"),
        ("a\x00b\x07c\x7fd\x9fe", "abcde"),
        ("", ""),
        (" \n\t\x00 ", ""),
        ("\u0301\x07", ""),
    ],
)
def test_normalize(text: str, expected: str) -> None:
    assert normalize(text) == expected
    assert normalize_all([text]) == [expected]


def by_the_recipe(text: str) -> str:
    """Apply the recipe to one text step by step, without the punctuation map."""
    text = "".join(" " if c.isspace() else c for c in text)
    decomposed = unicodedata.normalize("NFD", text.lower())
    kept = [c for c in decomposed if unicodedata.category(c) not in ("Mn", "Cc")]
    return re.sub(r"\d", "0", "".join(kept)).strip(" ")


@given(TEXTS)
def test_normalize_agrees_with_the_recipe_step_by_step(text: str) -> None:
    unmapped = [c for c in text if normalize(c) == by_the_recipe(c)]
    # NFD also reorders spacing marks that have a combining class; normalize translates each character alone.
    unmapped = [c for c in unmapped if not unicodedata.combining(c) or unicodedata.category(c) == "Mn"]
    assert normalize("".join(unmapped)) == by_the_recipe("".join(unmapped))


def test_only_punctuation_differs_from_the_recipe_step_by_step() -> None:
    every = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    mapped = {c: normalize(c) for c in every if normalize(c) != by_the_recipe(c)}
    assert mapped["’"] == "'"
    assert mapped["—"] == "-"
    assert all(to.isascii() for to in mapped.values())
    assert {unicodedata.category(c)[0] for c in mapped} <= {"P", "S"}
    # The canonical forms of the last three are in the map.
    assert set(mapped) == set("„”“«»」「《》´’，、。．…∶：；？！（）【】〈〉–━►—～％\u1ffd\u2329\u232a")


@given(st.lists(TEXTS))
def test_normalize_all_agrees_with_normalize(texts: list[str]) -> None:
    assert normalize_all(texts) == [normalize(text) for text in texts]


def test_normalize_all_with_many_chunks_and_many_different_characters() -> None:
    texts = [chr(0x4E00 + i) + f" É{i} plain" for i in range(1500)] + ["plain ASCII"] * 1500
    assert normalize_all(texts) == [normalize(text) for text in texts]


@given(TEXTS)
def test_normalize_is_idempotent_and_returns_one_line(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert not any(c.isspace() and c != " " for c in once)
    assert not any(unicodedata.category(c) in ("Cc", "Mn") for c in once)


def test_non_ascii_characters() -> None:
    assert non_ascii_characters("naïve — naïve") == ["ï", "—"]
    assert non_ascii_characters("plain") == []
