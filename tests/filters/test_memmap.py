"""Vectors in a file are searched where they are, in single and in half precision."""

import tracemalloc

import numpy as np
import pytest

from skprune import AnchorFilter, KMeansFilter, ProxyFilter, SEALSFilter

N_ROWS, N_FEATURES = 60_000, 256
FILTERS = {
    "anchors": AnchorFilter(n_neighbors=20, random_state=0),
    "seals": SEALSFilter(20, random_state=0),
    "proxy": ProxyFilter(300, random_state=0),
    "k-means": KMeansFilter(20, algorithm="minibatch", random_state=0),
}


@pytest.fixture(scope="module", params=["float32", "float16"])
def mapped(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "vectors.npy"
    rows = np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    np.save(path, (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(request.param))
    return np.load(path, mmap_mode="r")


def played(pruner, rows):
    known = np.arange(0, 400, 20)
    pruner = pruner.__sklearn_clone__().fit(rows).partial_fit(rows[known], known // 20 % 2)
    return pruner.select(rows).tolist(), pruner


@pytest.mark.parametrize("name", FILTERS)
def test_the_same_rows_as_in_memory(name, mapped):
    kept, pruner = played(FILTERS[name], mapped)
    assert kept == played(FILTERS[name], np.array(mapped, dtype=np.float32))[0]
    assert pruner.transform(mapped).dtype == mapped.dtype
    # Another part of the file than fit has seen is searched, too.
    part = np.concatenate([mapped[10_000:], mapped[:50] * 0.5])
    assert (
        pruner.select(part).tolist()
        == played(FILTERS[name], np.array(mapped, np.float32))[1].select(part).tolist()
    )


@pytest.mark.parametrize("name", ["anchors", "seals", "proxy"])
def test_the_file_is_not_copied(name, mapped):
    """What is allocated beside it is less than the rows in single precision would take."""
    tracemalloc.start()
    played(FILTERS[name], mapped)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.75 * 4 * N_FEATURES * N_ROWS, f"{peak / 1e6:.1f} MB"
