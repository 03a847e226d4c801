"""Values are bought once, and a crash or a full disk loses the batch in flight at most."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from skprune.pools import digests
from skprune.store import DiskStore, MemoryStore, Remembered, open_store

TEXTS = np.array([f"text {i}" for i in range(10)], dtype=object)
KEYS = digests(TEXTS)


class Lengths:
    """A scorer that counts what it is asked."""

    fingerprint = "lengths"

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked += list(texts)
        return np.array([float(len(t)) for t in texts])


@pytest.fixture(params=["memory", "disk"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else DiskStore(tmp_path / "store")


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 2)], ids=["scalars", "vectors", "pairs"])
def test_what_was_put_is_got(store, shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float64 if len(shape) == 1 else np.float32)
    store.put("a", KEYS[:4], values)
    got, found = store.get("a", KEYS[[2, 7, 0]])
    assert found.tolist() == [True, False, True]
    assert (got == values[[2, 0]]).all()
    assert got.dtype == values.dtype


def test_fingerprints_never_mix(store):
    store.put("a", KEYS[:2], np.array([1.0, 2.0]))
    store.put("b", KEYS[:2], np.array([3.0, 4.0]))
    assert store.get("a", KEYS[:2])[0].tolist() == [1.0, 2.0]
    assert not store.get("c", KEYS[:2])[1].any()


def test_each_distinct_text_is_computed_once(tmp_path):
    for memory in (None, tmp_path):
        scorer = Lengths()
        scorer.fingerprint = f"lengths {memory}"
        remembered = Remembered(scorer, memory, name="perplexity")
        assert remembered(np.array(["aa", "b", "aa"], dtype=object)).tolist() == [2.0, 1.0, 2.0]
        again = Remembered(scorer, memory, name="perplexity")
        assert again(np.array(["b", "ccc"], dtype=object)).tolist() == [1.0, 3.0]
        assert scorer.asked == ["aa", "b", "ccc"]
        assert again.n_computed == 1


def test_a_limit_leaves_the_rest_unknown(tmp_path):
    values = Remembered(Lengths(), tmp_path, name="quality")(TEXTS, limit=3)
    assert np.isnan(values).tolist() == [False] * 3 + [True] * 7


def test_batches_that_were_done_survive_an_interruption(tmp_path):
    class Interrupted(Lengths):
        def iter_scores(self, texts):
            for i in range(len(texts)):
                if i == 4:
                    raise KeyboardInterrupt
                yield np.array([i]), np.array([1.0])

    with pytest.raises(KeyboardInterrupt):
        Remembered(Interrupted(), tmp_path, name="quality")(TEXTS)
    assert open_store(tmp_path).get("lengths", KEYS)[1].sum() == 4


def test_values_that_are_no_numbers_name_the_text_and_are_not_kept(tmp_path):
    class Broken(Lengths):
        def __call__(self, texts):
            return np.where(np.array(texts) == "text 3", np.nan, 1.0)

    with pytest.raises(ValueError, match="quality returned no finite value for the text 'text 3'"):
        Remembered(Broken(), tmp_path, name="quality")(TEXTS)
    with pytest.raises(ValueError, match=r"encoder must return one value or vector a text: shape \(2,\)"):
        Remembered(lambda texts: [1.0, 2.0], None, name="encoder")(TEXTS)


def test_a_callable_without_fingerprint_is_not_kept_on_disk(tmp_path):
    with pytest.warns(UserWarning, match=r"quality has no \.fingerprint"):
        remembered = Remembered(lambda texts: np.ones(len(texts)), tmp_path, name="quality")
    remembered(TEXTS)
    assert not list(tmp_path.iterdir())
    other = Remembered(lambda texts: np.zeros(len(texts)), None, name="quality")
    assert other(TEXTS).sum() == 0, "two nameless callables are two scorers"


def test_memory_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="cannot be used as a store"):
        open_store(tmp_path / "file")
    with pytest.raises(TypeError, match="memory must be None or the path of a folder"):
        open_store(3)
    (tmp_path / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(OSError, match="cannot be used as a store"):
        open_store(tmp_path)


def test_the_map_grows(tmp_path):
    store = DiskStore(tmp_path)
    store._env.set_mapsize(2**20)
    vectors = np.ones((2000, 512), dtype=np.float32)
    keys = digests(np.array([str(i) for i in range(2000)], dtype=object))
    store.put("big", keys, vectors)
    assert store.get("big", keys)[1].all()


WRITER = textwrap.dedent(
    """
    import sys, json
    import numpy as np
    from skprune.pools import digests
    from skprune.store import DiskStore
    store = DiskStore(sys.argv[1])
    for batch in range(10**6):
        texts = np.array([f"{batch} {i}" for i in range(100)], dtype=object)
        store.put("w", digests(texts), np.full(100, float(batch)))
        print(batch, flush=True)
    """
)


def test_a_killed_writer_leaves_whole_batches(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    done = [int(process.stdout.readline()) for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = DiskStore(tmp_path)
    for batch in range(done[-1] + 3):
        texts = np.array([f"{batch} {i}" for i in range(100)], dtype=object)
        values, found = store.get("w", digests(texts))
        assert found.all() or not found.any(), "a batch is whole or absent"
        assert found.all() or batch > done[-1], "a batch that was reported is kept"
        assert (values == batch).all()


def test_two_processes_share_a_folder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    store = DiskStore(tmp_path)
    store.put("mine", KEYS, np.arange(10.0))
    for _ in range(5):
        process.stdout.readline()
    assert store.get("mine", KEYS)[0].tolist() == list(range(10))
    assert store.get("w", digests(np.array(["3 7"], dtype=object)))[0].tolist() == [3.0]
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_full_disk_is_a_clear_error_and_loses_nothing_kept_before(tmp_path):
    # A limit on file size stands in for the full disk.
    script = textwrap.dedent(
        """
        import resource, signal, sys, json
        import numpy as np
        from skprune.pools import digests
        from skprune.store import DiskStore
        store = DiskStore(sys.argv[1])
        texts = np.array([str(i) for i in range(3000)], dtype=object)
        store.put("kept", digests(texts[:10]), np.arange(10.0))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            store.put("lost", digests(texts), np.ones((3000, 512), dtype=np.float32))
        except OSError as error:
            print(json.dumps([str(error), store.get("kept", digests(texts[:10]))[0].tolist(),
                              bool(store.get("lost", digests(texts))[1].any())]))
        """
    )
    out = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    message, kept, any_lost = json.loads(out)
    assert "memory=" in message
    assert "everything kept before is still there" in message
    assert kept == list(range(10))
    assert not any_lost


def test_a_store_is_usable_after_a_fork(tmp_path):
    store = DiskStore(tmp_path)
    store.put("a", KEYS, np.arange(10.0))
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = store.get("a", KEYS)[0].tolist() == list(range(10))
            store.put("b", KEYS, np.arange(10.0))
        finally:
            os._exit(0 if good else 1)
    deadline = time.monotonic() + 60
    pid, status = os.waitpid(child, os.WNOHANG)
    while pid == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
        pid, status = os.waitpid(child, os.WNOHANG)
    assert pid == child
    assert os.waitstatus_to_exitcode(status) == 0
    assert store.get("b", KEYS)[1].all()
