"""Images with one label each."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skprune.datasets import _fashion_mnist
from skprune.datasets._bunch import SUBSET


@validate_params(SUBSET, prefer_skip_nested_validation=True)
def load_fashion_mnist(subset: str = "train") -> Bunch:
    """Fashion-MNIST: 28 × 28 gray images of ten balanced kinds of clothes.

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
    skprune.datasets._assets.AssetError
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
        DESCR=f"Fashion-MNIST, {subset}. Debian's dataset-fashion-mnist, through apt. License: MIT.",
    )
