"""The package descriptions of the distribution this machine runs, read through its apt."""

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

_FORMAT = 1  # of the cached file; another number, another file
_logger = logging.getLogger("skprune")


class Package(NamedTuple):
    """One binary package: its names, its section and its long description."""

    name: str
    source: str
    section: str
    description: str


class Translated(NamedTuple):
    """One binary package: its names, and its long description in English and in another language."""

    name: str
    source: str
    section: str
    english: str
    other: str


def packages(*, refresh: bool = False) -> tuple[str, list[Package]]:
    """Release and packages of the distribution, one for each distinct description, by name.

    Parameters
    ----------
    refresh : bool, default=False
        Ask apt again even where an earlier answer is cached.

    Returns
    -------
    release : str
        Name and version of the release, as in ``"Debian bookworm 12.15"``.
    rows : list of Package
        In order of name; of packages with the same description, the first.

    Raises
    ------
    AssetError
        If there is no apt on this machine, or it gave no descriptions.
    """
    release, records = _cached(f"debian-{_FORMAT}.jsonl.gz", _ask_for_packages, refresh)
    return release, [Package(*record) for record in records]


def translations(language: str, *, refresh: bool = False) -> tuple[str, list[Translated]]:
    """Release and packages that have a description in another language, as `packages` gives them.

    Parameters
    ----------
    language : str
        As apt names it, ``"de"`` or ``"pt_BR"``.
    refresh : bool, default=False
        Ask apt again even where an earlier answer is cached.

    Raises
    ------
    AssetError
        If there is no apt on this machine, or it has no descriptions in this language.
    """
    name = f"debian-{language}-{_FORMAT}.jsonl.gz"
    release, records = _cached(name, lambda folder: _ask_for_translations(folder, language), refresh)
    return release, [Translated(*record) for record in records]


def _cached(name: str, ask: Callable[[Path], tuple[str, list[Any]]], refresh: bool) -> tuple[str, list[Any]]:
    """What apt is asked for, kept under `name`: a line about the whole, then a line for each package."""
    cached = cache_home() / name
    if refresh or not cached.is_file():
        with partial_folder(cached.parent) as partial:
            release, rows = ask(partial)
            with gzip.open(partial / name, "wt", encoding="utf-8", compresslevel=6) as sink:
                for record in ({"release": release}, *rows):
                    sink.write(json.dumps(record, ensure_ascii=False) + "\n")
            os.replace(partial / name, cached)
        return release, rows
    with gzip.open(cached, "rt", encoding="utf-8") as lines:
        return json.loads(next(lines))["release"], [json.loads(line) for line in lines]


def _ask_for_packages(folder: Path) -> tuple[str, list[Package]]:
    """Join the package index with its English descriptions."""
    indices = _fetch_indices(folder, "en")
    descriptions = _descriptions(indices, "en")
    rows = {
        key: Package(*names, descriptions[key])
        for key, names in _first_packages(indices).items()
        if key in descriptions
    }
    return _release(indices), sorted(rows.values())


def _ask_for_translations(folder: Path, language: str) -> tuple[str, list[Translated]]:
    """Join the package index with its English and its other descriptions."""
    indices = _fetch_indices(folder, "en", language)
    english, other = _descriptions(indices, "en"), _descriptions(indices, language)
    if not other:
        raise AssetError(f"There are no package descriptions in {language!r}.")
    rows = {
        key: Translated(*names, english[key], other[key])
        for key, names in _first_packages(indices).items()
        if key in english and key in other
    }
    return _release(indices), sorted(rows.values())


def _fetch_indices(folder: Path, *languages: str) -> dict[str, list[dict[str, str]]]:
    """Have apt fetch the indices into `folder`."""
    if shutil.which("apt-get") is None:
        raise AssetError(
            "The Debian descriptions need a Debian-family system: there is no apt-get on PATH. "
            "load_newsgroups and load_reuters52 need only pip; Reuters-52 has rare classes too."
        )
    _logger.info("fetching the package index of this distribution with apt-get")
    apt_get = _apt.apt_get(folder, *languages)
    failure = _apt.run(*apt_get, "update", check=False)
    indices = _indices(_apt.run(*apt_get, "indextargets"))
    if not indices["Packages"] or not indices["Translations"]:
        raise AssetError(f"apt-get update brought no package index with descriptions: {failure}")
    return indices


def _descriptions(indices: dict[str, list[dict[str, str]]], language: str) -> dict[str, str]:
    """Each description in one language, by the digest of the English one."""
    targets = [target for target in indices["Translations"] if target.get("Language") == language]
    field = f"Description-{language}"
    return {stanza["Description-md5"]: _plain(stanza[field]) for stanza in _read(targets) if field in stanza}


def _first_packages(indices: dict[str, list[dict[str, str]]]) -> dict[str, tuple[str, str, str]]:
    """Name, source and section of the first package by name that has each description."""
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
    """What apt fetched of the distribution itself: no third parties, no updates to the release."""
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
    """Fields of each paragraph of a control file; continuation lines keep their newlines."""
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
    """Stanzas of the indices, however apt has compressed them."""
    for index in indices:
        yield from _stanzas(_apt.run(_apt.HELPER, "cat-file", index["Filename"]))


def _plain(description: str) -> str:
    """A description without its markup: lines indented by a space, a lone dot for a blank one.

    Policy manual of Debian, section 5.6.13.
    """
    lines = (line[1:] if line.startswith(" ") else line for line in description.split("\n"))
    return "\n".join("" if line == "." else line for line in lines).strip()
