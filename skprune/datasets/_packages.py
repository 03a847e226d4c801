"""Package descriptions of the distribution that this machine runs, read through apt."""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from skprune.datasets import _apt
from skprune.datasets._assets import AssetError, cache_home, partial_folder

_FORMAT = 1  # version of the cached file; part of its name
_logger = logging.getLogger("skprune")


class Package(NamedTuple):
    """One binary package: its name, its source package, its section and its description."""

    name: str
    source: str
    section: str
    description: str


class Translated(NamedTuple):
    """One binary package, with its description in English and in another language."""

    name: str
    source: str
    section: str
    english: str
    other: str


def packages(*, refresh: bool = False) -> tuple[str, list[Package]]:
    """Return the release of the distribution and one package per distinct description.

    Parameters
    ----------
    refresh : bool, default=False
        Whether to fetch the index again even if it is cached.

    Returns
    -------
    release : str
        Name and version of the release, such as ``"Debian bookworm 12.15"``.
    rows : list of Package
        Sorted by name. Of packages with the same description, only the first by name is kept.

    Raises
    ------
    AssetError
        If apt is missing or has no descriptions.
    """
    release, records = _cached(f"debian-{_FORMAT}.jsonl.gz", _read_packages, refresh)
    return release, [Package(*record) for record in records]


def translations(language: str, *, refresh: bool = False) -> tuple[str, list[Translated]]:
    """Return the release and the packages that also have a description in another language.

    Parameters
    ----------
    language : str
        The language as apt names it, such as ``"de"`` or ``"pt_BR"``.
    refresh : bool, default=False
        Whether to fetch the indices again even if they are cached.

    Returns
    -------
    release : str
        As for :func:`packages`.
    rows : list of Translated
        Sorted by name, one per distinct English description.

    Raises
    ------
    AssetError
        If apt is missing or has no descriptions in this language.
    """
    name = f"debian-{language}-{_FORMAT}.jsonl.gz"
    release, records = _cached(name, lambda folder: _read_translations(folder, language), refresh)
    return release, [Translated(*record) for record in records]


def _cached(
    name: str, read_index: Callable[[Path], tuple[str, list[Any]]], refresh: bool
) -> tuple[str, list[Any]]:
    """Return the result of ``read_index``, cached in the file ``name``.

    The first line of the file holds the release, each further line one package.
    """
    cached = cache_home() / name
    if refresh or not cached.is_file():
        with partial_folder(cached.parent) as partial:
            release, rows = read_index(partial)
            with gzip.open(partial / name, "wt", encoding="utf-8", compresslevel=6) as sink:
                for record in ({"release": release}, *rows):
                    sink.write(json.dumps(record, ensure_ascii=False) + "\n")
            os.replace(partial / name, cached)
        return release, rows
    with gzip.open(cached, "rt", encoding="utf-8") as lines:
        return json.loads(next(lines))["release"], [json.loads(line) for line in lines]


def _read_packages(folder: Path) -> tuple[str, list[Package]]:
    """Join the package index with the English descriptions."""
    indices = _fetch_indices(folder, "en")
    descriptions = _descriptions(indices, "en")
    rows = {
        key: Package(*names, descriptions[key])
        for key, names in _first_packages(indices).items()
        if key in descriptions
    }
    return _release(indices), sorted(rows.values())


def _read_translations(folder: Path, language: str) -> tuple[str, list[Translated]]:
    """Join the package index with the descriptions in English and in the other language."""
    indices = _fetch_indices(folder, "en", language)
    english, other = _descriptions(indices, "en"), _descriptions(indices, language)
    if not other:
        raise AssetError(
            f"apt has no package descriptions in language={language!r}; choose one that the distribution is "
            "translated to, such as 'de' or 'fr'"
        )
    rows = {
        key: Translated(*names, english[key], other[key])
        for key, names in _first_packages(indices).items()
        if key in english and key in other
    }
    return _release(indices), sorted(rows.values())


def _fetch_indices(folder: Path, *languages: str) -> dict[str, list[dict[str, str]]]:
    """Fetch the package indices with apt into ``folder``."""
    if shutil.which("apt-get") is None:
        raise AssetError(
            "the Debian descriptions need a Debian-family system, but apt-get is not on PATH; "
            "load_newsgroups and load_reuters52 need only pip, and Reuters-52 has rare classes too"
        )
    _logger.info("fetching the package index of this distribution with apt-get")
    apt_get = _apt.apt_get(folder, *languages)
    failure = _apt.run(*apt_get, "update", check=False)
    indices = _indices(_apt.run(*apt_get, "indextargets"))
    if not indices["Packages"] or not indices["Translations"]:
        raise AssetError(
            "apt-get update fetched no package index with descriptions; check the system's apt sources. "
            f"apt: {failure}"
        )
    return indices


def _descriptions(indices: dict[str, list[dict[str, str]]], language: str) -> dict[str, str]:
    """Map the digest of each English description to the description in ``language``."""
    targets = [target for target in indices["Translations"] if target.get("Language") == language]
    field = f"Description-{language}"
    return {stanza["Description-md5"]: _plain(stanza[field]) for stanza in _read(targets) if field in stanza}


def _first_packages(indices: dict[str, list[dict[str, str]]]) -> dict[str, tuple[str, str, str]]:
    """Map each description's digest to the name, source and section of its first package by name."""
    first: dict[str, tuple[str, str, str]] = {}
    for stanza in _read(indices["Packages"]):
        name, key = stanza["Package"], stanza.get("Description-md5", "")
        if key not in first or name < first[key][0]:
            source = stanza.get("Source", name).split()[0]
            first[key] = (name, source, stanza.get("Section", "misc").rpartition("/")[2])
    return first


def _release(indices: dict[str, list[dict[str, str]]]) -> str:
    first = indices["Packages"][0]
    return f"{first['Origin']} {first['Codename']} {first.get('Version', '')}".strip()


def _indices(targets: str) -> dict[str, list[dict[str, str]]]:
    """Return the indices of the distribution itself, without third parties and updates to the release."""
    kinds: dict[str, list[dict[str, str]]] = {"Packages": [], "Translations": []}
    for target in _stanzas(targets):
        if (
            target.get("Created-By") in kinds
            and target.get("Origin") in ("Debian", "Ubuntu")
            and target.get("Component") in ("main", "universe")
            and "-" not in target.get("Release", "-")  # -updates, -security, -backports
        ):
            kinds[target["Created-By"]].append(target)
    return kinds


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield the fields of each paragraph of a control file; continuation lines keep their newlines."""
    for paragraph in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.split("\n"):
            if line[:1] in (" ", "\t"):
                fields[name] += "\n" + line
            elif line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if fields:
            yield fields


def _read(indices: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Yield the stanzas of the indices; apt decompresses them."""
    for index in indices:
        yield from _stanzas(_apt.run(_apt.HELPER, "cat-file", index["Filename"]))


def _plain(description: str) -> str:
    """Remove the markup of a description: a leading space per line, and a single dot for an empty line.

    See Debian's policy manual, section 5.6.13.
    """
    lines = (line[1:] if line.startswith(" ") else line for line in description.split("\n"))
    return "\n".join("" if line == "." else line for line in lines).strip()
