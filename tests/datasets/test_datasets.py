"""The loaders on real data; counts and digests are those of the pinned archives.

Most tests download their data on the first run and then use the cache. Tests of the download itself need the
network every time; they have the marker ``network``.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils import Bunch

from skprune.datasets import (
    BOILERPLATE_SECTIONS,
    AssetError,
    _fashion_mnist,
    fetch_model,
    load_brown,
    load_debian,
    load_debian_summaries,
    load_debian_translations,
    load_fashion_mnist,
    load_movie_snippets,
    load_newsgroups,
    load_reuters52,
    long_tail,
    split_by_group,
)
from skprune.datasets._assets import fetch
from skprune.datasets._packages import Translated, _plain, _stanzas, packages

needs_apt = pytest.mark.skipif(
    shutil.which("apt-get") is None, reason="needs apt, which only Debian-family systems have"
)

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")

PINNED = [
    (load_newsgroups, "train", 11293, 20, "02d34e66da41d74bccf5a8257d39bef7"),
    (load_newsgroups, "test", 7528, 20, "bba096ff35a6aa975fb1523b090862d0"),
    (load_reuters52, "train", 6532, 52, "1bf19a7f4eb62f17b5defe013c61f10f"),
    (load_reuters52, "test", 2568, 52, "e038b953d54a5bd6f744b45f8fb1d7d0"),
]


def check_bunch(bunch: Bunch) -> None:
    """Check what all loaders of class labels guarantee."""
    assert all(isinstance(text, str) and text.strip() for text in bunch.data)
    assert bunch.target.shape == (len(bunch.data),)
    assert bunch.target.dtype == np.int64
    assert np.array_equal(np.unique(bunch.target), np.arange(len(bunch.target_names)))
    assert "License" in bunch.DESCR


@pytest.mark.parametrize(("load", "subset", "rows", "classes", "digest"), PINNED)
def test_topics_match_the_pinned_archives(load, subset, rows, classes, digest):
    bunch = load(subset)
    check_bunch(bunch)
    assert (len(bunch.data), len(bunch.target_names)) == (rows, classes)
    assert bunch.digest == digest


@needs_npm
def test_brown_has_the_sentences_words_and_genres_of_its_manual():
    bunch = load_brown()
    check_bunch(bunch)
    assert len(bunch.data) == 57_340
    assert sum(len(text.split()) for text in bunch.data) == 1_161_192
    assert len(bunch.target_names) == 15
    assert bunch.data[0].startswith("The Fulton County Grand Jury said Friday an investigation of Atlanta's")
    assert not any(mark in text for text in bunch.data for mark in ("``", "''", "/nn", "/at"))


def test_all_is_train_then_test():
    train, test, both = (load_reuters52(subset) for subset in ("train", "test", "all"))
    assert both.data == train.data + test.data
    assert np.array_equal(both.target, np.concatenate([train.target, test.target]))
    assert both.target_names == train.target_names == test.target_names


def test_reuters_has_a_long_tail():
    bunch = load_reuters52("train")
    counts = np.bincount(bunch.target)
    assert bunch.target_names[counts.argmax()] == "earn"
    assert counts.max() / counts.sum() == pytest.approx(0.435, abs=0.01)
    assert counts.min() < 5


def test_newsgroups_labels_match_the_texts():
    bunch = load_newsgroups("train")
    hockey = bunch.target == bunch.target_names.index("rec.sport.hockey")
    mentions = np.array(["hockey" in text.split() for text in bunch.data])
    assert mentions[hockey].mean() > 20 * mentions[~hockey].mean()


def test_movie_snippets():
    bunch = load_movie_snippets()
    check_bunch(bunch)
    assert len(bunch.data) == 10568
    assert bunch.digest == "0d2168c596b8a6d05d2b25e81d18d015"
    assert np.array_equal(bunch.target == 1, bunch.rating > 0)
    assert not (bunch.rating == 0).any()
    assert bunch.data[bunch.rating.argmax()] != bunch.data[bunch.rating.argmin()]


def test_subset_is_validated_before_any_download(monkeypatch, tmp_path):
    monkeypatch.setenv("SKPRUNE_HOME", str(tmp_path / "home"))
    with pytest.raises(ValueError, match="'subset' parameter"):
        load_newsgroups("validation")
    assert not (tmp_path / "home").exists()


@needs_apt
def test_debian():
    bunch = load_debian("mail")
    check_bunch(bunch)
    assert len(bunch.data) > 20000
    assert bunch.target_names == ["other", "mail"]
    assert 0.003 < bunch.target.mean() < 0.03
    assert np.array_equal(bunch.target == 1, bunch.sections == "mail")
    assert not set(bunch.sections) & set(BOILERPLATE_SECTIONS)
    assert len(set(bunch.data)) == len(bunch.data)
    mutt = bunch.packages.tolist().index("mutt")
    assert (bunch.sections[mutt], bunch.groups[mutt]) == ("mail", "mutt")
    assert bunch.data[mutt].startswith("text-based mailreader")


@needs_apt
def test_cached_debian_index_needs_no_apt(monkeypatch):
    first = load_debian("games")
    monkeypatch.setenv("PATH", "")
    again = load_debian("games")
    assert again.digest == first.digest
    assert again.release == first.release


@needs_apt
def test_debian_sections_as_classes():
    bunch = load_debian(None, drop=())
    check_bunch(bunch)
    assert set(BOILERPLATE_SECTIONS) <= set(bunch.target_names)
    assert np.array_equal(np.array(bunch.target_names)[bunch.target], bunch.sections)


@needs_apt
def test_debian_rare_must_be_a_remaining_section():
    with pytest.raises(ValueError, match="rare='libs' is not one of the sections"):
        load_debian("libs")


@needs_apt
@pytest.mark.parametrize("rare", ["games", "hamradio"])
def test_debian_split_keeps_groups_together_and_class_shares_equal(rare):
    bunch = load_debian(rare)
    train, test = split_by_group(bunch, test_size=0.2, random_state=0)
    assert not set(train.groups) & set(test.groups)
    assert len(train.data) + len(test.data) == len(bunch.data)
    assert len(test.data) / len(bunch.data) == pytest.approx(0.2, abs=0.02)
    assert test.target.mean() == pytest.approx(bunch.target.mean(), rel=0.25)
    assert np.array_equal(test.target == 1, test.sections == rare)


def test_debian_without_apt_raises(monkeypatch, tmp_path):
    monkeypatch.setenv("SKPRUNE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AssetError, match=r"Debian-family system.*load_reuters52"):
        load_debian()
    assert list(tmp_path.iterdir()) == []


@needs_apt
def test_debian_with_unreachable_index_raises(monkeypatch, tmp_path):
    monkeypatch.setenv("SKPRUNE_HOME", str(tmp_path / "home"))
    configuration = tmp_path / "apt.conf"
    configuration.write_text('Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "/dev/null";\n')
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    with pytest.raises(AssetError, match="no package index with descriptions"):
        load_debian()
    assert list((tmp_path / "home").iterdir()) == []


def check_pairs(bunch: Bunch) -> None:
    """Check what the loaders of texts with target texts guarantee."""
    assert all(isinstance(text, str) and text.strip() for text in [*bunch.data, *bunch.target])
    for name in ("target", "sections", "packages", "groups"):
        assert bunch[name].shape == (len(bunch.data),)
    assert "License" in bunch.DESCR
    train, test = split_by_group(bunch, test_size=0.2, random_state=0)
    assert not set(train.groups) & set(test.groups)
    assert len(test.data) / len(bunch.data) == pytest.approx(0.2, abs=0.02)
    pairs = set(zip(bunch.data, bunch.target, strict=True))
    assert set(zip(test.data, test.target, strict=True)) <= pairs


@needs_apt
def test_debian_summaries():
    bunch = load_debian_summaries()
    check_pairs(bunch)
    assert len(bunch.data) > 20000
    assert not set(bunch.sections) & set(BOILERPLATE_SECTIONS)
    mutt = bunch.packages.tolist().index("mutt")
    assert bunch.target[mutt].startswith("text-based mailreader")
    assert bunch.data[mutt].startswith("Mutt is")
    assert np.mean([len(synopsis) <= 80 for synopsis in bunch.target]) > 0.98
    assert not any("\n" in synopsis for synopsis in bunch.target)
    whole = load_debian(None)
    texts = dict(zip(whole.packages, whole.data, strict=True))
    for row in range(0, len(bunch.data), 997):
        assert texts[bunch.packages[row]].split() == f"{bunch.target[row]} {bunch.data[row]}".split()


@needs_apt
def test_debian_translations(monkeypatch):
    bunch = load_debian_translations()
    check_pairs(bunch)
    assert len(bunch.data) > 10000
    assert len(set(zip(bunch.data, bunch.target, strict=True))) == len(bunch.data)
    n_words = [len(text.split()) for text in bunch.data]
    assert (min(n_words), max(n_words)) == (4, 60)
    german = {"der", "die", "das", "und", "für", "ein", "eine", "ist", "von", "zu", "zur", "mit"}
    assert np.mean([bool(german & set(text.split())) for text in bunch.target]) > 0.5
    assert np.mean([bool(german & set(text.split())) for text in bunch.data]) < 0.1
    pair = ("This package contains the client.", "Dieses Paket enthält den Client.")
    assert pair in set(zip(bunch.data, bunch.target, strict=True))
    monkeypatch.setenv("PATH", "")  # the cached index needs no apt
    assert load_debian_translations().digest == bunch.digest
    assert len(load_debian_translations(min_words=1, max_words=None).data) > len(bunch.data)


def test_paragraphs_are_paired_only_if_both_sides_have_the_same_number(monkeypatch):
    rows = [
        Translated(
            "b", "src", "net", "a tool\nIt does\n  this.\n\nAnd that.", "ein Tool\nEs tut\ndies.\n\nUnd das."
        ),
        Translated("c", "src", "net", "a tool too\nOne.\n\nTwo.", "auch ein Tool\nEins und zwei."),
        Translated("d", "other", "net", "same\nIt does this.", "same\nEs tut dies."),
    ]
    monkeypatch.setattr("skprune.datasets.debian.translations", lambda language, refresh: ("Debian", rows))
    bunch = load_debian_translations(min_words=2)
    pairs = [("a tool", "ein Tool"), ("It does this.", "Es tut dies."), ("And that.", "Und das.")]
    assert list(zip(bunch.data, bunch.target, strict=True)) == [*pairs, ("a tool too", "auch ein Tool")]
    assert bunch.packages.tolist() == ["b", "b", "b", "c"]
    assert load_debian_translations(min_words=1, max_words=2).data == ["a tool", "And that."]


@pytest.mark.parametrize("language", ["en", "", "../de", "german", "de-DE"])
def test_invalid_languages_raise(language):
    with pytest.raises(ValueError, match="language="):
        load_debian_translations(language)


@needs_apt
def test_fashion_mnist():
    train, test, both = (load_fashion_mnist(subset) for subset in ("train", "test", "all"))
    assert train.data.shape == (60_000, 28, 28)
    assert train.data.dtype == np.uint8
    assert train.target.dtype == np.int64
    assert test.data.shape == (10_000, 28, 28)
    assert np.bincount(train.target).tolist() == [6_000] * 10 == [6 * n for n in np.bincount(test.target)]
    assert [train.target_names[c] for c in train.target[:4]] == ["Boot", "T-shirt", "T-shirt", "Dress"]
    assert np.array_equal(both.data[60_000:], test.data)
    assert "License" in both.DESCR
    trousers, bags = (train.data[train.target == c].mean(axis=0) for c in (1, 8))
    assert trousers[20:, 12:16].mean() < bags[20:, 12:16].mean(), "trousers have a gap between the legs"


def test_fashion_mnist_without_apt_raises(monkeypatch, tmp_path):
    monkeypatch.setattr(_fashion_mnist, "_INSTALLED", tmp_path / "not installed")
    monkeypatch.setenv("SKPRUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AssetError, match=r"dataset-fashion-mnist, which needs a Debian-family system"):
        load_fashion_mnist()
    with pytest.raises(ValueError, match="'subset' parameter"):
        load_fashion_mnist("validation")
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "message"), [("missing", "has no file t10k-images"), ("other", "not the pinned")]
)
def test_fashion_mnist_with_other_content_is_refused(monkeypatch, tmp_path, damage, message):
    monkeypatch.setattr(_fashion_mnist, "_INSTALLED", tmp_path)
    if damage == "other":
        (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"no images")
    with pytest.raises(AssetError, match=message):
        load_fashion_mnist()


@given(
    sizes=st.lists(st.integers(1, 300), min_size=2, max_size=8),
    imbalance=st.floats(0.001, 1.0),
    seed=st.integers(0, 99),
)
def test_long_tail_class_sizes_decrease_exponentially(sizes, imbalance, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = long_tail(y, imbalance, random_state=seed)
    assert np.array_equal(rows, np.unique(rows))
    for c, (size, kept) in enumerate(zip(sizes, np.bincount(y[rows]), strict=True)):
        wanted = max(sizes) * imbalance ** (c / (len(sizes) - 1))
        assert abs(kept - max(1, min(wanted, size))) <= 0.5 + 1e-9
    assert np.array_equal(rows, long_tail(y, imbalance, random_state=seed))


def test_long_tail_draws_its_rows():
    y = np.repeat([0, 1], 200)
    first, other = (long_tail(y, 0.1, random_state=seed) for seed in (0, 1))
    assert len(first) == len(other) == 220
    assert set(first) != set(other)
    with pytest.raises(ValueError, match="'imbalance' parameter"):
        long_tail(y, 0.0)


def test_stanzas_of_a_control_file():
    text = "Package: a\nDescription-en: first\n second\n .\n  third\n\nPackage: b\n\n"
    first, second = _stanzas(text)
    assert first["Package"] == "a"
    assert _plain(first["Description-en"]) == "first\nsecond\n\n third"
    assert second == {"Package": "b"}


rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), min_size=1, max_size=60)


@given(rows=rows, test_size=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_split_by_group_partitions_the_groups(rows, test_size, seed):
    target, groups = np.array(rows).T
    bunch = Bunch(data=[str(i) for i in range(len(rows))], target=target, groups=groups)
    train, test = split_by_group(bunch, test_size=test_size, random_state=seed)
    assert sorted(train.data + test.data) == sorted(bunch.data)
    assert not set(train.groups) & set(test.groups)
    assert abs(len(set(test.groups)) - test_size * len(set(groups))) < 1 + 1e-9
    for part in (train, test):
        chosen = [int(text) for text in part.data]
        assert np.array_equal(part.target, target[chosen])


def test_split_by_group_depends_on_the_seed_only():
    bunch = Bunch(data=list("abcdefgh"), target=[0, 1] * 4, groups=[1, 1, 2, 2, 3, 3, 4, 4])
    splits = {seed: split_by_group(bunch, 0.25, seed)[1].data for seed in range(20)}
    assert splits == {seed: split_by_group(bunch, 0.25, seed)[1].data for seed in range(20)}
    assert len({tuple(data) for data in splits.values()}) == 4


@pytest.mark.parametrize(
    ("bunch", "test_size", "message"),
    [
        (Bunch(data=["a"], target=[0]), 0.2, "no groups"),
        (Bunch(data=["a"], target=[0], groups=[1, 2]), 0.2, "inconsistent numbers"),
        (Bunch(data=["a"], target=[0], groups=[1]), 1.0, "'test_size' parameter"),
    ],
)
def test_split_by_group_rejects_invalid_input(bunch, test_size, message):
    with pytest.raises(ValueError, match=message):
        split_by_group(bunch, test_size)


def test_smollm2_is_a_gguf_file(smollm2):
    (path,) = smollm2.iterdir()
    with path.open("rb") as file:
        assert file.read(4) == b"GGUF"


def test_minilm_loads_as_encoder_and_as_backbone(minilm):
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModelForSequenceClassification

    encoder = SentenceTransformer(str(minilm), device="cpu")
    cat, kitten, tax = encoder.encode(["A cat sat.", "A kitten rested.", "Tax law."], show_progress_bar=False)
    assert cat.shape == (384,)
    assert cat @ kitten > cat @ tax + 0.2
    classifier = AutoModelForSequenceClassification.from_pretrained(minilm, num_labels=3)
    assert classifier.config.num_labels == 3


def test_t5_is_converted_once_and_completely():
    folder = fetch_model("t5-small-title")
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert fetch_model("t5-small-title") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    assert not list(folder.parent.glob(".partial-*/*"))


def test_fetch_model_rejects_data_sets():
    with pytest.raises(ValueError, match="unknown model 'vader'"):
        fetch_model("vader")


@pytest.mark.network
@pytest.mark.parametrize("name", ["orange-text", "vader"])
def test_a_fresh_download_equals_the_cached_one(monkeypatch, tmp_path, name):
    cached = fetch(name)
    monkeypatch.setenv("SKPRUNE_HOME", str(tmp_path))
    fresh = fetch(name)
    assert fresh.parent == tmp_path / "assets"
    assert {path.name: path.read_bytes() for path in fresh.iterdir()} == {
        path.name: path.read_bytes() for path in cached.iterdir()
    }


@pytest.mark.network
@needs_apt
def test_a_fresh_debian_index_replaces_the_cached_one(monkeypatch, tmp_path):
    monkeypatch.setenv("SKPRUNE_HOME", str(tmp_path))
    first, again = packages(), packages(refresh=True)
    assert again == first == packages()
    assert [path.name for path in tmp_path.iterdir()] == ["debian-1.jsonl.gz"]
