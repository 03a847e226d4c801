"""Real data as scikit-learn Bunches, and models that install everywhere.

The loaders download what they need once (see `skprune.assets`); nothing is shipped with skprune.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skprune import _fashion_mnist
from skprune._debian import Package, Translated, packages, translations
from skprune._t5 import trainable_t5
from skprune.assets import ASSETS, fetch

__all__ = [
    "BOILERPLATE_SECTIONS",
    "fetch_model",
    "load_debian",
    "load_debian_summaries",
    "load_debian_translations",
    "load_fashion_mnist",
    "load_movie_snippets",
    "load_newsgroups",
    "load_reuters52",
    "long_tail",
    "split_by_group",
]

BOILERPLATE_SECTIONS = (
    "cli-mono",
    "debug",
    "doc",
    "haskell",
    "introspection",
    "libdevel",
    "libs",
    "localization",
    "oldlibs",
    "perl",
)
"""Sections that `load_debian` leaves out.

In each but ``perl`` 70 to 98 % of the descriptions have a near copy, which differs in a word such
as "development files" (TF-IDF cosine above 0.8; 60 sampled from each section of Debian 12); the
median section has 38 %. ``perl`` has 8 %: it goes because its 4,223 packages of one module each
would be a tenth of the pool.
"""

_SUBSET = {"subset": [StrOptions({"train", "test", "all"})]}


def fetch_model(name: str) -> Path:
    """Folder of a small real model, downloaded on the first call.

    Parameters
    ----------
    name : {"gemma3-270m", "minilm", "mpnet", "qwen-coder-0.5b", "smollm2-135m", "t5-small-title"}
        ``minilm`` (84 MB) and ``mpnet`` (404 MB) are sentence encoders that
        ``SentenceTransformer(path)`` loads, and backbones that
        ``AutoModelForSequenceClassification.from_pretrained(path)`` loads; the folders of the
        others hold one GGUF file each, a causal language model: ``smollm2-135m`` (93 MB),
        ``gemma3-270m`` (253 MB, a base model) and ``qwen-coder-0.5b`` (491 MB).
        ``t5-small-title`` (68 MB) is FLAN-T5-small, distilled to write titles, which
        ``AutoModelForSeq2SeqLM.from_pretrained(path)`` loads: its 8-bit weights are written out in
        float32 once (308 MB; needs the ``onnx`` extra).

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        If there is no such model.
    skprune.assets.AssetError
        If it cannot be downloaded, or its content is not the pinned one.

    Examples
    --------
    >>> from skprune.datasets import fetch_model
    >>> folder = fetch_model("smollm2-135m")  # doctest: +SKIP
    """
    models = sorted(asset.name for asset in ASSETS.values() if asset.kind == "model")
    if name not in models:
        raise ValueError(f"There is no model {name!r}; there are {models}.")
    return trainable_t5(fetch(name)) if name == "t5-small-title" else fetch(name)


@validate_params(_SUBSET, prefer_skip_nested_validation=True)
def load_newsgroups(subset: str = "train") -> Bunch:
    """20 Newsgroups: 20 balanced topics.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        11,293 rows, 7,528 rows, or both in this order. Rows are ordered by class.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` (list of str), ``target`` (int64 ndarray), ``target_names`` (list of str),
        ``digest`` (hex str of the whole content) and ``DESCR``.

    Notes
    -----
    The version of Ana Cardoso-Cachopo [1]_: lower case, letters only, subject first, headers gone.

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


@validate_params(_SUBSET, prefer_skip_nested_validation=True)
def load_reuters52(subset: str = "train") -> Bunch:
    """Reuters-21578, the 52 topics of single-label documents: a long tail.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        6,532 rows, 2,568 rows, or both in this order. The largest class, ``earn``, holds 43 %.

    Returns
    -------
    sklearn.utils.Bunch
        As from `load_newsgroups`.

    Notes
    -----
    From the same collection, and prepared in the same way, as `load_newsgroups`.

    Examples
    --------
    >>> from skprune.datasets import load_reuters52
    >>> pool = load_reuters52("train")  # doctest: +SKIP
    """
    return _load_cachopo("reuters-r52", subset, "Reuters-21578, R52, ModApte split")


def load_movie_snippets() -> Bunch:
    """Sentences of film reviews, positive or negative.

    Returns
    -------
    sklearn.utils.Bunch
        10,568 rows; as from `load_newsgroups`, and ``rating`` (float64 ndarray): the mean of at
        least 20 people's ratings, from −4 to 4. ``target`` is 1 where it is positive. The 37
        snippets of the source with a mean of exactly zero have no sign, and are left out.

    Notes
    -----
    The snippets were rated for VADER [1]_; they come from the reviews of Pang and Lee (2004).

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
    return _bunch(
        [text for _, text in signed],
        (rating > 0).astype(np.int64),
        ["negative", "positive"],
        _describe("Movie review snippets of Hutto and Gilbert (2014)", "vader"),
        rating=rating,
    )


@validate_params(
    {"rare": [str, None], "drop": ["array-like", set], "refresh": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def load_debian(
    rare: str | None = "games",
    *,
    drop: Collection[str] = BOILERPLATE_SECTIONS,
    refresh: bool = False,
) -> Bunch:
    """Package descriptions of Debian, one section against the rest: a rare class in a large pool.

    Parameters
    ----------
    rare : str or None, default="games"
        The section that is class 1; in Debian 12 ``games`` is about 3 % of the rows, ``mail`` 1 %,
        ``database`` 0.7 % and ``hamradio`` 0.4 %. None makes each section a class.
    drop : collection of str, default=BOILERPLATE_SECTIONS
        Sections to leave out.
    refresh : bool, default=False
        Ask apt for the index again even where an earlier answer is cached.

    Returns
    -------
    sklearn.utils.Bunch
        As from `load_newsgroups`, and object ndarrays of str: ``sections``, ``packages`` and
        ``groups``, the *source* package of each row, by which to split (`split_by_group`);
        ``release`` (str).

    Raises
    ------
    ValueError
        If `rare` is no section of the rows that are left.
    skprune.assets.AssetError
        If this machine has no apt, or its apt reaches no index.

    Notes
    -----
    A text is the synopsis and the long description. Of packages with the same description the
    first by name is kept. The index is the one of the distribution this machine runs, fetched with
    apt into the cache folder; nothing of the system changes. It moves with point releases, so no
    hash can pin it: ``release`` and ``digest`` say which one a result was measured on.

    Examples
    --------
    >>> from skprune.datasets import load_debian
    >>> pool = load_debian("mail")  # doctest: +SKIP
    """
    release, rows = packages(refresh=refresh)
    rows = [row for row in rows if row.section not in drop]
    sections = np.array([row.section for row in rows], dtype=object)
    names, codes = np.unique(sections, return_inverse=True)
    target_names = [str(name) for name in names]
    if rare is not None:
        if rare not in target_names:
            raise ValueError(f"rare={rare!r} is no section; there are {target_names}.")
        codes, target_names = (sections == rare).astype(np.int64), ["other", rare]
    return _bunch(
        [row.description for row in rows],
        codes,
        target_names,
        f"Package descriptions of {release}, through this machine's apt. Licence: each package's.",
        sections=sections,
        packages=np.array([row.name for row in rows], dtype=object),
        groups=np.array([row.source for row in rows], dtype=object),
        release=release,
    )


@validate_params({"drop": ["array-like", set], "refresh": ["boolean"]}, prefer_skip_nested_validation=True)
def load_debian_summaries(*, drop: Collection[str] = BOILERPLATE_SECTIONS, refresh: bool = False) -> Bunch:
    """Package descriptions of Debian, each with its one-line summary: abstractive summarisation.

    Parameters
    ----------
    drop, refresh
        As of `load_debian`.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` (list of str): long descriptions; ``target`` (object ndarray of str): their synopses, by
        Debian's policy below 80 characters and no sentence; ``sections``, ``packages``, ``groups``,
        ``release``, ``digest`` and ``DESCR`` as from `load_debian`.

    Raises
    ------
    skprune.assets.AssetError
        If this machine has no apt, or its apt reaches no index.

    Notes
    -----
    The rows are those of `load_debian` that have more than a synopsis. See its notes on the release,
    and split by source package (`split_by_group`): siblings share most of their text.

    Examples
    --------
    >>> from skprune.datasets import load_debian_summaries
    >>> pool = load_debian_summaries()  # doctest: +SKIP
    """
    release, rows = packages(refresh=refresh)
    parts = [(row, *row.description.partition("\n")[::2]) for row in rows if row.section not in drop]
    parts = [(row, synopsis, text.strip()) for row, synopsis, text in parts if text.strip()]
    return _bunch_of_pairs(
        [row for row, _, _ in parts],
        [text for _, _, text in parts],
        [synopsis for _, synopsis, _ in parts],
        f"Package descriptions of {release} and their synopses, through this machine's apt. "
        "Licence: each package's.",
        release,
    )


@validate_params(
    {
        "language": [str],
        "min_words": [Interval(Integral, 1, None, closed="left")],
        "max_words": [Interval(Integral, 1, None, closed="left"), None],
        "refresh": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_debian_translations(
    language: str = "de", *, min_words: int = 4, max_words: int | None = 60, refresh: bool = False
) -> Bunch:
    """Sentences and paragraphs about software, English to German: machine translation in one domain.

    Parameters
    ----------
    language : str, default="de"
        Any that Debian's package descriptions are translated to, as apt names it: ``"fr"``, ``"pt_BR"``.
    min_words, max_words : int, default=4 and 60
        Words of an English text, at the least and at the most; None for no limit.
    refresh : bool, default=False
        Ask apt for the indices again even where an earlier answer is cached.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` (list of str): English texts; ``target`` (object ndarray of str): their translations; the
        rest as from `load_debian_summaries`. Each pair is there once, under the first package by name.

    Raises
    ------
    ValueError
        If there is no such language.
    skprune.assets.AssetError
        If this machine has no apt, or its apt reaches no index.

    Notes
    -----
    A description is a synopsis and paragraphs. The synopses make a pair; so do the paragraphs, in order,
    where both sides have as many of them. Lines of a paragraph are joined. A pair whose two sides are the
    same is left out, as not translated. The domain is that of the KDE, GNOME and OpenOffice strings on
    which ActivePrune is evaluated [1]_; the pairs are not those.

    References
    ----------
    .. [1] A. H. Azeemi, I. A. Qazi and A. A. Raza, "Language model-driven data pruning enables efficient
       active learning", 2024, arXiv:2410.04275.

    Examples
    --------
    >>> from skprune.datasets import load_debian_translations
    >>> pool = load_debian_translations()  # doctest: +SKIP
    """
    if not re.fullmatch(r"[a-z]{2,3}(_[A-Z]{2})?", language) or language == "en":
        raise ValueError(f"language={language!r} is none that English is translated to, as 'de' or 'pt_BR'")
    release, rows = translations(language, refresh=refresh)
    pairs: dict[tuple[str, str], Translated] = {}
    for row in rows:
        texts = [_paragraphs(description) for description in (row.english, row.other)]
        if len(texts[0]) != len(texts[1]):
            texts = [texts[0][:1], texts[1][:1]]
        for english, other in zip(*texts, strict=True):
            n_words = len(english.split())
            if english != other and min_words <= n_words and (max_words is None or n_words <= max_words):
                pairs.setdefault((english, other), row)
    return _bunch_of_pairs(
        list(pairs.values()),
        [english for english, _ in pairs],
        [other for _, other in pairs],
        f"Package descriptions of {release}, English to {language}, through this machine's apt. "
        "Licence: each package's.",
        release,
    )


@validate_params(_SUBSET, prefer_skip_nested_validation=True)
def load_fashion_mnist(subset: str = "train") -> Bunch:
    """Fashion-MNIST: 28 × 28 grey images of ten balanced kinds of clothes.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        60,000 rows, 10,000 rows, or both in this order.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` (uint8 ndarray of shape (n, 28, 28)), ``target`` (int64 ndarray), ``target_names`` (list of
        str) and ``DESCR``.

    Raises
    ------
    skprune.assets.AssetError
        If this machine has no apt, its apt does not reach the package, or the content is not the pinned one.

    Notes
    -----
    Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
    Algorithms", 2017. From the Debian package dataset-fashion-mnist, which is downloaded, not installed.

    Examples
    --------
    >>> from skprune.datasets import load_fashion_mnist
    >>> pool = load_fashion_mnist("train")  # doctest: +SKIP
    """
    parts = {"train": ("train",), "test": ("t10k",), "all": ("train", "t10k")}[subset]
    images, labels = zip(*map(_fashion_mnist.read, parts), strict=True)
    return Bunch(
        data=np.concatenate(images),
        target=np.concatenate(labels).astype(np.int64),
        target_names=[
            "T-shirt",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Boot",
        ],
        DESCR=f"Fashion-MNIST, {subset}. Debian's dataset-fashion-mnist, through apt. Licence: MIT.",
    )


@validate_params(
    {
        "y": ["array-like"],
        "imbalance": [Interval(Real, 0, 1, closed="right")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def long_tail(
    y: np.ndarray,
    imbalance: float = 0.01,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """Rows of a long-tailed subsample: class sizes fall exponentially.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    imbalance : float, default=0.01
        Size of the last class over that of the first (the imbalance factor, IF): of C classes the c-th keeps
        n_max · IF^(c / (C − 1)) rows, one at least, or all it has where these are fewer; n_max is the size
        of the largest class.
    random_state : int, RandomState or None, default=None
        Which rows of each class.

    Returns
    -------
    ndarray of intp
        Indices of the rows, ascending.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.repeat([0, 1, 2], 100)
    >>> np.bincount(y[long_tail(y, 0.01, random_state=0)])
    array([100,  10,   1])
    """
    rng = check_random_state(random_state)
    _, codes, sizes = np.unique(y, return_inverse=True, return_counts=True)
    shares = imbalance ** (np.arange(len(sizes)) / max(1, len(sizes) - 1))
    kept = np.minimum(sizes, np.maximum(1, np.round(sizes.max() * shares).astype(np.intp)))
    parts = [rng.choice(np.flatnonzero(codes == c), k, replace=False) for c, k in enumerate(kept)]
    return np.sort(np.concatenate(parts))


@validate_params(
    {
        "bunch": [Bunch],
        "test_size": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def split_by_group(
    bunch: Bunch,
    test_size: float = 0.2,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[Bunch, Bunch]:
    """Split so that no group has rows on both sides, and each class its share on either.

    Parameters
    ----------
    bunch : sklearn.utils.Bunch
        With ``data``, ``target`` and ``groups``, as from `load_debian`.
    test_size : float, default=0.2
        Share of the groups to test on, between 0 and 1; that of the rows comes close.
    random_state : int, RandomState or None, default=None
        Which split.

    Returns
    -------
    train, test : sklearn.utils.Bunch
        Each with all that `bunch` has, rows taken and ``digest`` anew.

    Raises
    ------
    ValueError
        If there are no groups, or the lengths differ.

    Notes
    -----
    Systematic sampling: groups stand in order of their rarest class, then of their size, shuffled
    among equals, and every ``1 / test_size``-th goes to the test, from a random start. So a class
    of one group needs no exception, and 20,000 groups take half a second (``StratifiedGroupKFold``:
    13 to 17 seconds).

    Examples
    --------
    >>> from sklearn.utils import Bunch
    >>> from skprune.datasets import split_by_group
    >>> bunch = Bunch(data=list("abcdef"), target=[0, 1, 0, 1, 0, 1], groups=[1, 1, 2, 2, 3, 3])
    >>> train, test = split_by_group(bunch, test_size=1 / 3, random_state=0)
    >>> len(train.data), len(test.data), set(train.groups) & set(test.groups)
    (4, 2, set())
    """
    if "groups" not in bunch:
        raise ValueError("The bunch has no groups to split by.")
    check_consistent_length(bunch.data, bunch.target, bunch.groups)
    rng = check_random_state(random_state)
    _, classes, sizes = np.unique(bunch.target, return_inverse=True, return_counts=True)
    rarity = np.argsort(np.argsort(-sizes, kind="stable"))
    names, groups, rows = np.unique(bunch.groups, return_inverse=True, return_counts=True)
    rarest = np.zeros(len(names), dtype=np.intp)
    np.maximum.at(rarest, groups, rarity[classes])
    order = np.lexsort((rng.permutation(len(names)), rows, rarest))
    ticks = np.floor(rng.uniform() + test_size * np.arange(len(names) + 1))
    tested = np.empty(len(names), dtype=bool)
    tested[order] = np.diff(ticks) > 0
    return _take(bunch, ~tested[groups]), _take(bunch, tested[groups])


def _load_cachopo(stem: str, subset: str, title: str) -> Bunch:
    """One of Cardoso-Cachopo's collections out of the Orange add-on's wheel."""
    folder = fetch("orange-text")
    parts = ("train", "test") if subset == "all" else (subset,)
    labels, texts = [], []
    for part in parts:
        lines = (folder / f"{stem}-{part}.tab").read_text(encoding="utf-8").split("\n")
        for line in lines[3:]:  # three lines of header: names, types, roles
            label, _, text = line.partition("\t")
            if label:
                labels.append(label)
                texts.append(text)
    names, target = np.unique(labels, return_inverse=True)
    description = _describe(f"{title}, {subset}", "orange-text")
    return _bunch(texts, target, [str(name) for name in names], description)


def _describe(title: str, asset: str) -> str:
    """One line: what it is, where it comes from, under which licence."""
    pin = ASSETS[asset].archives[0]
    return f"{title}. From {pin.package} {pin.version}. Licence: {ASSETS[asset].licence}."


def _bunch(
    data: list[str], target: np.ndarray, target_names: list[str], description: str, **more: object
) -> Bunch:
    """The Bunch every loader returns."""
    return Bunch(
        data=data,
        target=target.astype(np.int64),
        target_names=target_names,
        digest=_digest(data, target),
        DESCR=description,
        **more,
    )


def _bunch_of_pairs(
    rows: Sequence[Package | Translated], data: list[str], target: list[str], description: str, release: str
) -> Bunch:
    """The Bunch of texts whose targets are texts, and what packages they are of."""
    columns = {"target": target, "sections": [row.section for row in rows]}
    columns |= {"packages": [row.name for row in rows], "groups": [row.source for row in rows]}
    return Bunch(
        data=data,
        digest=_digest(data, target),
        DESCR=description,
        release=release,
        **{name: np.array(values, dtype=object) for name, values in columns.items()},
    )


def _paragraphs(description: str) -> list[str]:
    """The synopsis of a description, and each of its paragraphs as one line."""
    synopsis, _, text = description.partition("\n")
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return [" ".join(synopsis.split()), *filter(None, paragraphs)]


def _digest(data: Iterable[str], target: Iterable[int | str]) -> str:
    """Fingerprint of texts and labels."""
    digest = hashlib.blake2b(digest_size=16)
    for text, label in zip(data, target, strict=True):
        digest.update(f"{label}\0{text}\0".encode())
    return digest.hexdigest()


def _take(bunch: Bunch, mask: np.ndarray) -> Bunch:
    """The rows of `bunch` where `mask` is true."""
    rows = np.flatnonzero(mask)
    taken = Bunch(**bunch)
    taken.data = [bunch.data[i] for i in rows]
    for name, value in bunch.items():
        if name in ("target", "groups") or isinstance(value, np.ndarray):
            taken[name] = np.asarray(value)[rows]
    taken.digest = _digest(taken.data, taken.target)
    return taken
