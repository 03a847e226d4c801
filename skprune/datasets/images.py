"""Images with one class label each."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skprune.datasets import _fashion_mnist
from skprune.datasets._bunch import SUBSET


@validate_params(SUBSET, prefer_skip_nested_validation=True)
def load_fashion_mnist(subset: str = "train") -> Bunch:
    """Load Fashion-MNIST: 28 × 28 gray-scale images of clothes in ten balanced classes.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Which rows to load: 60,000 training rows, 10,000 test rows, or both in this order.

    Returns
    -------
    sklearn.utils.Bunch
        ``data`` (uint8 ndarray of shape (n, 28, 28)), ``target`` (int64 ndarray), ``target_names`` (list of
        str) and ``DESCR``.

    Raises
    ------
    skprune.datasets.AssetError
        If this machine has no apt, apt cannot download the package, or its content is not the pinned one.

    Notes
    -----
    The data set is described in [1]_. It comes from the Debian package dataset-fashion-mnist, which is
    downloaded but not installed.

    References
    ----------
    .. [1] H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
       learning algorithms", 2017, arXiv:1708.07747.

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
        DESCR=f"Fashion-MNIST, {subset}. From the Debian package dataset-fashion-mnist. License: MIT.",
    )
