"""Package descriptions of the distribution this machine runs, as classes, translations and summaries."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from skprune.datasets._bunch import digest_of, labeled_bunch
from skprune.datasets._packages import Package, Translated, packages, translations

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
    skprune.datasets._assets.AssetError
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
    return labeled_bunch(
        [row.description for row in rows],
        codes,
        target_names,
        f"Package descriptions of {release}, through this machine's apt. License: each package's.",
        sections=sections,
        packages=np.array([row.name for row in rows], dtype=object),
        groups=np.array([row.source for row in rows], dtype=object),
        release=release,
    )


@validate_params({"drop": ["array-like", set], "refresh": ["boolean"]}, prefer_skip_nested_validation=True)
def load_debian_summaries(*, drop: Collection[str] = BOILERPLATE_SECTIONS, refresh: bool = False) -> Bunch:
    """Package descriptions of Debian, each with its one-line summary: abstractive summarization.

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
    skprune.datasets._assets.AssetError
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
        "License: each package's.",
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
    skprune.datasets._assets.AssetError
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
        "License: each package's.",
        release,
    )


def _bunch_of_pairs(
    rows: Sequence[Package | Translated], data: list[str], target: list[str], description: str, release: str
) -> Bunch:
    """The Bunch of texts whose targets are texts, and what packages they are of."""
    columns = {"target": target, "sections": [row.section for row in rows]}
    columns |= {"packages": [row.name for row in rows], "groups": [row.source for row in rows]}
    return Bunch(
        data=data,
        digest=digest_of(data, target),
        DESCR=description,
        release=release,
        **{name: np.array(values, dtype=object) for name, values in columns.items()},
    )


def _paragraphs(description: str) -> list[str]:
    """The synopsis of a description, and each of its paragraphs as one line."""
    synopsis, _, text = description.partition("\n")
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return [" ".join(synopsis.split()), *filter(None, paragraphs)]
