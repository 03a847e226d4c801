"""A damaged store is an error: never a wrong number, and never the end of the process."""

import json
from collections import Counter

import numpy as np
import pytest

from skprune.row_table import digests
from skprune.store import DiskStore
from skprune.store.checksums import DamagedError, Seals, sealed


def fill(folder):
    """Write a store of scalars, vectors and freed pages; return (keys, scalars, vectors) of each batch."""
    rng = np.random.default_rng(0)
    batches = []
    with DiskStore(folder) as store:
        for number in range(60):
            texts = [f"{number} {row}" for row in range(rng.integers(1, 400))]
            keys = digests(np.array(texts, dtype=object))
            scalars = rng.normal(size=len(keys))
            vectors = rng.normal(size=(len(keys), 16)).astype(np.float32)
            store.put("scalars", keys, scalars)
            store.put("vectors", keys, vectors)
            store.put(f"small {number}", keys[:3], scalars[:3])
            if number % 7 == 3:
                store.clear(f"small {number - 1}")
            batches.append((keys, scalars, vectors))
    return batches


def outcome(folder, batches):
    """Read and write everything; return what became of it."""
    store = None
    try:
        with DiskStore(folder) as store:
            for keys, *values in batches:
                for name, right in zip(("scalars", "vectors"), values, strict=True):
                    got, found = store.get(name, keys)
                    if not (got == right[found]).all():
                        return "wrong"
                    if not found.all():
                        return "missing"
            store.info()
            store.put("new", *batches[0][:2])
            store.clear("scalars")
    except OSError as error:
        return "error" if f"memory={str(folder)!r}" in str(error) else f"unclear error: {error}"
    return "intact"


def damage(folder, n_flips, n_cuts):
    batches = fill(folder)
    path = folder / "data.mdb"
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    outcomes = {"flip": Counter(), "cut": Counter()}
    for number in range(n_flips):
        flipped = bytearray(whole)
        bit = int(rng.integers(8 * len(whole)))
        if number % 2:  # in the heads of the two pages that say where everything is
            bit = int(8 * 4096 * rng.integers(2) + rng.integers(8 * 160))
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flipped)
        outcomes["flip"][outcome(folder, batches)] += 1
    for _ in range(n_cuts):
        path.write_bytes(whole[: rng.integers(1, len(whole))])
        outcomes["cut"][outcome(folder, batches)] += 1
    (folder / "outcomes").write_text(json.dumps(outcomes))


@pytest.mark.parametrize(
    ("n_flips", "n_cuts"), [(20, 20), pytest.param(1000, 200, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_flipped_bits_and_cut_files_are_errors(tmp_path, forkserver, n_flips, n_cuts):
    process = forkserver.Process(target=damage, args=(tmp_path, n_flips, n_cuts))
    process.start()
    process.join(240)
    assert process.exitcode == 0, "damage ends the process"
    outcomes = json.loads((tmp_path / "outcomes").read_text())
    assert outcomes["cut"] == {"error": n_cuts}
    assert sum(outcomes["flip"].values()) == n_flips
    assert outcomes["flip"].keys() <= {"error", "intact"}, "a flip is harmless only where nothing is kept"
    assert outcomes["flip"]["error"] >= n_flips / 4


def test_a_file_that_is_cut_while_it_is_open_is_an_error(tmp_path):
    fill(tmp_path)
    store = DiskStore(tmp_path)
    whole = (tmp_path / "data.mdb").read_bytes()
    for size in (len(whole) // 2, 4096, 0):
        with open(tmp_path / "data.mdb", "r+b") as file:
            file.truncate(size)
        with pytest.raises(OSError, match=r"is damaged: the file was cut off.*Delete the folder"):
            store.info()


def test_a_store_of_an_older_layout_is_refused(tmp_path):
    import lmdb

    with lmdb.open(str(tmp_path)) as env, env.begin(write=True) as txn:
        txn.put(b"m", b"skprune store, layout 1")
    with pytest.raises(OSError, match=r"another version of skprune\. Delete the folder"):
        DiskStore(tmp_path)


@pytest.mark.parametrize("n_bytes", [0, 5, 4096, 10_000])
def test_a_checksum_finds_every_changed_byte(n_bytes):
    data = np.random.default_rng(0).bytes(n_bytes)
    entry = sealed(b"key", data)
    assert bytes(Seals().data(b"key", entry)) == data
    for position in {0, 8, 15, 16, 4111, n_bytes + 15} & set(range(len(entry))):
        changed = bytearray(entry)
        changed[position] ^= 1
        with pytest.raises(DamagedError):
            Seals().data(b"key", bytes(changed))
    with pytest.raises(DamagedError):
        Seals().data(b"kez", entry)
    with pytest.raises(DamagedError):
        Seals().data(b"key", entry + b"0")
    swapped = data[4096:8192] + data[:4096] + data[8192:]
    if swapped != data:
        with pytest.raises(DamagedError):
            Seals().data(b"key", entry[:16] + swapped)
