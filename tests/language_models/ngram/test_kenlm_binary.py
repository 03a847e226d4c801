"""The KenLM binary, compared with build_binary's file and with the ARPA file of the same model."""

from __future__ import annotations

from pathlib import Path

import kenlm
import numpy as np
import pytest

from skprune.language_models.ngram.kenlm_binary import murmur_hashes, write_binary
from skprune.language_models.ngram.kneser_ney import KneserNeyModel, estimate

DATA = Path(__file__).parents[2] / "data"
CORPUS = [line.split() for line in (DATA / "toy_corpus.txt").read_text().splitlines()]


def write_arpa(model: KneserNeyModel, path: Path) -> None:
    lines = ["\\data\\", *(f"ngram {n}={len(ngrams)}" for n, ngrams in enumerate(model.orders, start=1))]
    for order, ngrams in enumerate(model.orders, start=1):
        lines += ["", f"\\{order}-grams:"]
        words = zip(*[[model.vocabulary[i] for i in ids] for ids in model.words(order)], strict=True)
        for ngram, prob, backoff in zip(words, ngrams.log_prob, ngrams.log_backoff, strict=True):
            line = f"{prob:.7g}\t{' '.join(ngram)}"
            lines.append(line if order == len(model.orders) else f"{line}\t{backoff:.7g}")
    path.write_text("\n".join([*lines, "", "\\end\\", ""]))


@pytest.mark.parametrize("word", ["", "a b", "a\n", "\0"])
def test_words_that_no_file_can_hold_are_rejected(word: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot hold the word"):
        write_binary(estimate([[word]], order=2), tmp_path / "model")


@pytest.mark.parametrize("order", [2, 3, 5, 6])
def test_kenlm_scores_the_binary_like_the_arpa(order: int, tmp_path: Path) -> None:
    model = estimate([*CORPUS, ["naïve", "日本", "extraordinarily"]], order)
    write_arpa(model, tmp_path / "model.arpa")
    write_binary(model, tmp_path / "model.binary")
    arpa, binary = (kenlm.Model(str(tmp_path / name)) for name in ("model.arpa", "model.binary"))
    assert binary.order == order
    rng = np.random.default_rng(0)
    words = [*model.vocabulary[3:], "unseen"]
    sentences = [*map(" ".join, CORPUS), *(" ".join(rng.choice(words, 8)) for _ in range(200)), ""]
    for sentence in sentences:
        ours, theirs = list(binary.full_scores(sentence)), list(arpa.full_scores(sentence))
        assert [score[1:] for score in ours] == [score[1:] for score in theirs]
        np.testing.assert_allclose([s[0] for s in ours], [s[0] for s in theirs], atol=1e-5)


def test_the_binary_has_the_size_header_and_words_of_build_binary(tmp_path: Path) -> None:
    write_binary(estimate(CORPUS, order=3), tmp_path / "ours")
    ours, theirs = (tmp_path / "ours").read_bytes(), (DATA / "toy_order3.probing.binary").read_bytes()
    assert len(ours) == len(theirs)
    assert ours[:136] == theirs[:136]  # the whole header
    assert ours[ours.index(b"<unk>\0") :].split(b"\0") == theirs[theirs.index(b"<unk>\0") :].split(b"\0")


def test_colliding_entries_wrap_around_at_the_end_of_a_table(tmp_path: Path) -> None:
    # Tables have few buckets here, so some fill their last bucket and wrap around.
    for n_words in range(1, 40):
        words = [f"w{i}" for i in range(n_words)]
        write_binary(estimate([words], order=2), tmp_path / "model")
        model = kenlm.Model(str(tmp_path / "model"))
        assert all(word in model for word in words)
        assert [length for _, length, _ in model.full_scores(" ".join(words))] == [2] * (n_words + 1)


def test_murmur_hash_of_every_tail_length() -> None:
    # Lengths 0 to 17 cover every number of bytes after the last whole block of 8.
    words = [b"abcdefghijklmnopq"[:length] for length in range(18)]
    assert len(set(murmur_hashes(words).tolist())) == 18
    assert murmur_hashes([b"<unk>", b""])[1] == 0
    assert murmur_hashes(words)[3] == murmur_hashes([b"abc"])[0]
