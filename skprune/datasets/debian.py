"""Package descriptions of the distribution that this machine runs: classes, translations and summaries."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from skprune.datasets._bunch import content_digest, labeled_bunch
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
"""Sections that `load_debian` leaves out by default.

In all of them except ``perl``, 70 to 98 % of the descriptions have a near copy that differs in a phrase such
as "development files" (TF-IDF cosine above 0.8; 60 descriptions sampled from each section of Debian 12). In
the median section the share is 38 %. In ``perl`` it is 8 %; this section is left out because its 4,223
packages of one module each would be a tenth of the pool.
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
    """Load Debian's package descriptions, one section against the rest: a rare class in a large pool.

    Parameters
    ----------
    rare : str or None, default="games"
        The section that becomes class 1. In Debian 12, ``games`` is about 3 % of the rows, ``mail`` 1 %,
        ``database`` 0.7 % and ``hamradio`` 0.4 %. None makes each section a class.
    drop : collection of str, default=BOILERPLATE_SECTIONS
        Sections to leave out.
    refresh : bool, default=False
        Whether to fetch the index again even if it is cached.

    Returns
    -------
    sklearn.utils.Bunch
        The fields of `load_newsgroups`; ``sections``, ``packages`` and ``groups`` (object ndarrays of str);
        and ``release`` (str). ``groups`` holds the *source* package of each row; pass the Bunch to
        `split_by_group` to keep the rows of a group together.

    Raises
    ------
    ValueError
        If ``rare`` is not a section of the remaining rows.
    skprune.datasets.AssetError
        If this machine has no apt, or apt cannot fetch the index.

    Notes
    -----
    A text consists of the synopsis and the long description. Of packages with the same description, only the
    first by name is kept. The index is that of the distribution this machine runs. apt fetches it into the
    cache folder and leaves the system unchanged. The index changes with point releases, so it cannot be
    pinned by a hash; report ``release`` and ``digest`` with your results.

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
            raise ValueError(f"rare={rare!r} is not one of the sections {target_names}")
        codes, target_names = (sections == rare).astype(np.int64), ["other", rare]
    return labeled_bunch(
        [row.description for row in rows],
        codes,
        target_names,
        f"Package descriptions of {release}, from this machine's apt. License: that of each package.",
        sections=sections,
        packages=np.array([row.name for row in rows], dtype=object),
        groups=np.array([row.source for row in rows], dtype=object),
        release=release,
    )


@validate_params({"drop": ["array-like", set], "refresh": ["boolean"]}, prefer_skip_nested_validation=True)
def load_debian_summaries(*, drop: Collection[str] = BOILERPLATE_SECTIONS, refresh: bool = False) -> Bunch:
    """Load Debian's package descriptions with their one-line summaries: abstractive summarization.

    Parameters
    ----------
    drop : collection of str, default=BOILERPLATE_SECTIONS
        Sections to leave out.
    refresh : bool, default=False
        Whether to fetch the index again even if it is cached.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` (list of str) holds the long descriptions and ``target`` (object ndarray of str) their
        synopses. By Debian's policy, a synopsis is shorter than 80 characters and not a full sentence.
        ``sections``, ``packages``, ``groups``, ``release``, ``digest`` and ``DESCR`` are as from
        `load_debian`.

    Raises
    ------
    skprune.datasets.AssetError
        If this machine has no apt, or apt cannot fetch the index.

    Notes
    -----
    The rows are those of `load_debian` that have a long description; its notes on the release apply here too.
    Split the rows with `split_by_group`, because packages from one source share most of their text.

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
        f"Package descriptions of {release} and their synopses, from this machine's apt. "
        "License: that of each package.",
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
    """Load translated texts about software, English to German by default: machine translation in one domain.

    Parameters
    ----------
    language : str, default="de"
        A language that Debian's package descriptions are translated to, as apt names it, such as ``"fr"`` or
        ``"pt_BR"``.
    min_words : int, default=4
        Minimum number of words in an English text.
    max_words : int or None, default=60
        Maximum number of words in an English text; None for no limit.
    refresh : bool, default=False
        Whether to fetch the indices again even if they are cached.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` (list of str) holds the English texts and ``target`` (object ndarray of str) their
        translations. The other fields are as from `load_debian_summaries`. Each pair occurs once, with the
        first package by name that has it.

    Raises
    ------
    ValueError
        If ``language`` is not the name of a language other than English.
    skprune.datasets.AssetError
        If this machine has no apt, if apt cannot fetch the indices, or if they have no descriptions in this
        language.

    Notes
    -----
    A description consists of a synopsis and paragraphs. The two synopses of a package form a pair. Its
    paragraphs are paired in order if both descriptions have the same number of them. The lines of a paragraph
    are joined. Pairs with two equal sides are left out, because they are not translated. The domain is that
    of the KDE, GNOME and OpenOffice strings on which ActivePrune is evaluated [1]_, but the pairs differ.

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
        raise ValueError(
            f"language={language!r} must name a language other than English, such as 'de' or 'pt_BR'"
        )
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
        f"Package descriptions of {release}, English to {language}, from this machine's apt. "
        "License: that of each package.",
        release,
    )


def _bunch_of_pairs(
    rows: Sequence[Package | Translated], data: list[str], target: list[str], description: str, release: str
) -> Bunch:
    """Return a Bunch of texts with target texts and the packages they belong to."""
    columns = {"target": target, "sections": [row.section for row in rows]}
    columns |= {"packages": [row.name for row in rows], "groups": [row.source for row in rows]}
    return Bunch(
        data=data,
        digest=content_digest(data, target),
        DESCR=description,
        release=release,
        **{name: np.array(values, dtype=object) for name, values in columns.items()},
    )


def _paragraphs(description: str) -> list[str]:
    """Return the synopsis of a description and each of its paragraphs, as one line each."""
    synopsis, _, text = description.partition("\n")
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return [" ".join(synopsis.split()), *filter(None, paragraphs)]
