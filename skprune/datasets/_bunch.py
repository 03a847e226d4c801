"""What the loaders share: their Bunches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions

from skprune.datasets._assets import ASSETS

SUBSET = {"subset": [StrOptions({"train", "test", "all"})]}


def describe(title: str, asset: str) -> str:
    """One line: what it is, where it comes from, under which license."""
    pin = ASSETS[asset].archives[0]
    return f"{title}. From {pin.package} {pin.version}. License: {ASSETS[asset].license}."


def labeled_bunch(
    data: list[str], target: np.ndarray, target_names: list[str], description: str, **more: object
) -> Bunch:
    """The Bunch every loader returns."""
    return Bunch(
        data=data,
        target=target.astype(np.int64),
        target_names=target_names,
        digest=digest_of(data, target),
        DESCR=description,
        **more,
    )


def digest_of(data: Iterable[str], target: Iterable[int | str]) -> str:
    """Fingerprint of texts and labels."""
    digest = hashlib.blake2b(digest_size=16)
    for text, label in zip(data, target, strict=True):
        digest.update(f"{label}\0{text}\0".encode())
    return digest.hexdigest()


def take(bunch: Bunch, mask: np.ndarray) -> Bunch:
    """The rows of `bunch` where `mask` is true."""
    rows = np.flatnonzero(mask)
    taken = Bunch(**bunch)
    taken.data = [bunch.data[i] for i in rows]
    for name, value in bunch.items():
        if name in ("target", "groups") or isinstance(value, np.ndarray):
            taken[name] = np.asarray(value)[rows]
    taken.digest = digest_of(taken.data, taken.target)
    return taken
