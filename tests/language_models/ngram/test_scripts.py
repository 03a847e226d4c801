"""Scripts without spaces between words: the rule, and its three users on texts in several languages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skprune import InformationEntropy, NGramScorer, PerplexityFilter, TfidfEncoder
from skprune.language_models.ngram.scripts import separate, separate_all
from skprune.language_models.ngram.tokens import WordTokenizer

LANGUAGES = json.loads((Path(__file__).parents[2] / "data" / "languages.json").read_text())


def texts_of(language: str) -> list[str]:
    """Return 30 different texts of 2 to 9 parts."""
    rng = np.random.default_rng(0)
    parts = [*LANGUAGES[language][0], *LANGUAGES[language][1]]
    space = "" if language in ("Chinese", "Japanese", "Thai") else " "
    texts = {space.join(rng.choice(parts, size=rng.integers(2, 10))): None for _ in range(40)}
    return list(texts)[:30]


TEXTS = {language: texts_of(language) for language in LANGUAGES}
each_language = pytest.mark.parametrize("language", LANGUAGES)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("我爱北京，ok", "我 爱 北 京 ， ok"),
        ("東京タワーへ行く2024年", "東 京 タ ワ ー へ 行 く 2024 年"),
        ("人々〇𠮷ｶﾅ", "人 々 〇 𠮷 ｶ ﾅ"),
        ("か\u3099く", "か\u3099 く"),
        ("กำลังกิน", "กำ ลั ง กิ น"),
        ("ພາສາລາວ", "ພ າ ສ າ ລ າ ວ"),
        ("ខ្មែរ", "ខ្ មែ រ"),
        ("မြန်မာ", "မြ န် မာ"),
    ],
)
def test_each_letter_with_its_marks_is_a_token(text: str, tokens: str) -> None:
    assert WordTokenizer().lines([text])[0].decode().split() == tokens.split()


@pytest.mark.parametrize(
    "text",
    [
        "plain ASCII, 1 line",
        "Привет, мир",
        "مرحبا بالعالم",
        "שלום עולם",
        "हिन्दी भाषा",
        "안녕하세요 세계",
        "한국어",  # decomposed, as the normalizer leaves it
        "བོད་སྐད་",
        "naïve e\u0301té — “x”",
        "👩‍💻 ❤️",
    ],
)
def test_other_scripts_stay_as_they_are(text: str) -> None:
    assert separate(text) is text


@given(st.lists(st.text(st.one_of(st.characters(), st.sampled_from("漢กิ่า\0 a")))))
def test_many_texts_at_once(texts: list[str]) -> None:
    assert separate_all(texts) == [separate(text) for text in texts]
    for text in texts:
        assert separate(text).replace(" ", "") == text.replace(" ", "")
        assert separate(text).split() == separate(separate(text)).split()


@each_language
@pytest.mark.parametrize("normalizer", ["cc_net", None])
def test_perplexities_tell_texts_apart(language: str, normalizer: str | None) -> None:
    scorer = NGramScorer(normalizer=normalizer).fit(TEXTS[language])
    assert len(set(scorer(TEXTS[language]).tolist())) >= 25


@each_language
def test_tfidf_vectors_tell_texts_apart(language: str) -> None:
    vectors = TfidfEncoder().fit(TEXTS[language])(TEXTS[language])
    assert len(np.unique(vectors.round(3), axis=0)) >= 25


@pytest.mark.parametrize("language", ["Chinese", "Japanese", "Thai"])
def test_tfidf_finds_texts_that_share_letters(language: str) -> None:
    (first, other, *_), (ending, *_) = LANGUAGES[language]
    vectors = TfidfEncoder().fit([*TEXTS[language], first + ending, other + ending])([first, first + ending])
    assert vectors[0] @ vectors[1] > 0.3


@each_language
def test_information_entropies_tell_texts_apart(language: str) -> None:
    assert len(set(InformationEntropy()(TEXTS[language]).tolist())) >= 25


def test_the_perplexity_filter_orders_chinese_texts() -> None:
    pruner = PerplexityFilter(keep=0.5).fit(TEXTS["Chinese"])
    assert pruner.explain(TEXTS["Chinese"])["log10_perplexity"].nunique() >= 25


def test_a_tokenizer_that_does_not_fit_is_reported() -> None:
    letters = [chr(0x4E00 + i) for i in range(60)]
    texts = [a + b for a in letters for b in letters]
    with pytest.warns(UserWarning, match=r"3600 of the 3600 tokens to train on occur only once.*'words'"):
        NGramScorer(tokenizer="whitespace").fit(texts)
    NGramScorer().fit(texts)
    NGramScorer(tokenizer="whitespace").fit(texts[:1000])  # too few texts to tell
