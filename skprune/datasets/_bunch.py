"""Helpers of the loaders: build a Bunch, take rows of it, compute its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions

from skprune.datasets._assets import ASSETS

SUBSET = {"subset": [StrOptions({"train", "test", "all"})]}


def description_of(title: str, asset: str) -> str:
    """Return one line with the title, the source and the license of a data set."""
    pin = ASSETS[asset].archives[0]
    return f"{title}. From {pin.package} {pin.version}. License: {ASSETS[asset].license}."


def labeled_bunch(
    data: list[str], target: np.ndarray, target_names: list[str], description: str, **more: object
) -> Bunch:
    """Return a Bunch of texts with one class label each."""
    return Bunch(
        data=data,
        target=target.astype(np.int64),
        target_names=target_names,
        digest=content_digest(data, target),
        DESCR=description,
        **more,
    )


def content_digest(data: Iterable[str], target: Iterable[int | str]) -> str:
    """Return a digest of all texts and labels, in order."""
    digest = hashlib.blake2b(digest_size=16)
    for text, label in zip(data, target, strict=True):
        digest.update(f"{label}\0{text}\0".encode())
    return digest.hexdigest()


def take(bunch: Bunch, mask: np.ndarray) -> Bunch:
    """Return a Bunch of the rows where ``mask`` is True."""
    rows = np.flatnonzero(mask)
    taken = Bunch(**bunch)
    taken.data = [bunch.data[i] for i in rows]
    for name, value in bunch.items():
        if name in ("target", "groups") or isinstance(value, np.ndarray):
            taken[name] = np.asarray(value)[rows]
    taken.digest = content_digest(taken.data, taken.target)
    return taken
