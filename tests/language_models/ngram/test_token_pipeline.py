"""Lines of tokens: white space, and the number of tokens."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from skprune.language_models.ngram.token_pipeline import TokenPipeline, count_tokens

# White space of every kind, what only looks like it, and letters of one to three bytes.
PIECES = st.sampled_from(
    list("aé日") + [" "] * 4 + list("\0\t\n\v\f\r\x1c\x1f\x85\xa0\u1680\u2003\u3000\x01\x7f\u200b")
)
TEXTS = st.lists(st.lists(PIECES, max_size=6).map("".join), max_size=4)


@given(TEXTS)
@example(["a b", "é"])
@example(["a  b"])
@example(["a b ", "c"])
@example(["a\u2003b"])
def test_white_space_is_collapsed_as_splitting_each_text_would(texts):
    collapsed = TokenPipeline(None, "whitespace").normalize(texts)
    assert collapsed == [" ".join(text.replace("\0", "").split()) for text in texts]


@given(TEXTS)
@example([])
@example(["a", ""])
def test_tokens_are_counted_as_kenlm_splits(texts):
    lines = [text.replace("\n", "").encode() for text in texts]
    assert count_tokens(lines).tolist() == [len(line.split()) for line in lines]
