"""Every value is computed once, and a crash or a full disk loses at most the current batch.

The file is long because tests mirror the source: it covers all of skprune/store, except for
damage, which test_damage.py covers.
"""

import gc
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from skprune.row_table import digests
from skprune.store import DiskStore, MemoryStore, Remembered, open_store, set_process_limit

TEXTS = np.array([f"text {i}" for i in range(10)], dtype=object)
KEYS = digests(TEXTS)


class Lengths:
    """A scorer that records the texts it is called with."""

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
def test_get_returns_what_was_put(store, shape):
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
    assert len(store.get("c", KEYS[:0])[1]) == len(store.get("a", KEYS[:0])[1]) == 0


@pytest.mark.parametrize("width", [0, 3])
def test_many_puts_in_any_order_agree_with_a_dictionary(store, width):
    rng = np.random.default_rng(0)
    # Keys that repeat, and keys that share their first half, which hashes hardly ever do.
    keys = rng.integers(0, 60, size=(4_000, 2)).astype(np.uint64)
    values = rng.normal(size=(4_000, width) if width else 4_000).astype(np.float32 if width else float)
    kept = {}
    for part in np.array_split(rng.permutation(2_000), np.sort(rng.integers(0, 2_000, size=60))):
        store.put("a", keys[part], values[part])
        for row in part:
            kept.setdefault(tuple(keys[row]), values[row])
        looked = rng.integers(0, 4_000, size=50)
        got, found = store.get("a", keys[looked])
        assert found.tolist() == [tuple(k) in kept for k in keys[looked]]
        right = [kept[tuple(k)] for k in keys[looked[found]]]
        assert got.tolist() == np.array(right).reshape(got.shape).tolist()
    assert store.info()["values"].tolist() == [len(kept)]


def test_info_and_clear(store):
    store.put("lengths of texts", KEYS, np.arange(10.0), "quality=len")
    store.put("lengths of texts", KEYS[:2], np.arange(2.0), "not the first")
    store.put("vectors", KEYS[:2], np.ones((2, 5)))
    info = store.info().sort_values("fingerprint")
    assert info.to_numpy().tolist() == [
        ["lengths of texts", "quality=len", 10, 0, 240],
        ["vectors", "", 2, 5, 2 * (24 + 20)],
    ]
    store.clear("vectors")
    assert store.info()["fingerprint"].tolist() == ["lengths of texts"]
    assert not store.get("vectors", KEYS)[1].any()
    assert store.get("lengths of texts", KEYS)[1].all()
    store.put("vectors", KEYS[:2], np.ones((2, 4)))
    store.clear()
    store.clear()
    assert not len(store.info())
    store.put("lengths of texts", KEYS, np.ones(10))
    assert store.get("lengths of texts", KEYS)[0].sum() == 10


def test_one_fingerprint_for_two_widths_is_refused(store):
    store.put("a", KEYS[:2], np.ones((2, 3)))
    for values in (np.ones((2, 4)), np.ones(2)):
        with pytest.raises(ValueError, match="two scorers or encoders share one fingerprint"):
            store.put("a", KEYS[2:4], values)
    assert store.get("a", KEYS)[1].sum() == 2


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


def test_texts_beyond_the_limit_are_nan(tmp_path):
    values = Remembered(Lengths(), tmp_path, name="quality")(TEXTS, limit=3)
    assert np.isnan(values).tolist() == [False] * 3 + [True] * 7


def test_finished_batches_survive_an_interruption(tmp_path):
    class Interrupted(Lengths):
        def iter_scores(self, texts):
            for i in range(len(texts)):
                if i == 4:
                    raise KeyboardInterrupt
                yield np.array([i]), np.array([1.0])

    with pytest.raises(KeyboardInterrupt):
        Remembered(Interrupted(), tmp_path, name="quality")(TEXTS)
    assert open_store(tmp_path).get("lengths", KEYS)[1].sum() == 4


def test_invalid_values_are_refused_and_the_error_names_the_text(tmp_path):
    class Broken(Lengths):
        def __call__(self, texts):
            return np.where(np.array(texts) == "text 3", np.nan, 1.0)

    with pytest.raises(ValueError, match="quality returned no finite value for the text 'text 3'"):
        Remembered(Broken(), tmp_path, name="quality")(TEXTS)
    with pytest.raises(ValueError, match=r"one value or vector per text: got shape \(2,\) for 10"):
        Remembered(lambda texts: [1.0, 2.0], None, name="encoder")(TEXTS)
    Broken.iter_scores = lambda self, texts: [(np.arange(9), np.ones(9))]
    with pytest.raises(ValueError, match="quality returned no value for the text 'text 9'"):
        Remembered(Broken(), tmp_path, name="quality")(TEXTS)


def test_values_of_a_callable_without_fingerprint_stay_in_the_process(tmp_path):
    with pytest.warns(UserWarning, match=r"quality has no \.fingerprint"):
        remembered = Remembered(lambda texts: np.ones(len(texts)), tmp_path, name="quality")
    remembered(TEXTS)
    assert not list(tmp_path.iterdir())
    other = Remembered(lambda texts: np.zeros(len(texts)), None, name="quality")
    assert other(TEXTS).sum() == 0, "two callables without fingerprints are two scorers"
    names = {remembered.fingerprint, other.fingerprint}
    assert names <= set(open_store(None).info()["fingerprint"])
    del remembered, other
    gc.collect()
    assert not names & set(open_store(None).info()["fingerprint"]), "their values are deleted with them"


def test_the_fingerprint_that_was_used_least_recently_is_dropped_first():
    store = MemoryStore(max_bytes=3 * 240)
    for fingerprint in ("a", "b", "c"):
        store.put(fingerprint, KEYS, np.arange(10.0))
    store.get("a", KEYS)
    store.put("d", KEYS, np.arange(10.0))
    assert sorted(store.info()["fingerprint"]) == ["a", "c", "d"]
    assert store.get("a", KEYS)[0].tolist() == list(range(10))
    assert not store.get("b", KEYS)[1].any()
    store.max_bytes = 240
    assert store.info()["fingerprint"].tolist() == ["a"]
    store.max_bytes = None
    for number in range(9):
        store.put(str(number), KEYS, np.arange(10.0))
    assert len(store.info()) == 10


def test_the_fingerprint_being_written_may_exceed_the_limit_alone():
    store = MemoryStore(max_bytes=100)
    store.put("a", KEYS[:5], np.ones((5, 8)))
    store.put("a", KEYS[5:], np.ones((5, 8)))
    assert store.get("a", KEYS)[1].all()
    store.put("b", KEYS[:2], np.ones(2))
    assert store.info()["fingerprint"].tolist() == ["b"]


def test_values_computed_again_after_they_were_dropped_are_reported():
    store = MemoryStore(max_bytes=300)
    store.put("a", KEYS, np.ones(10), "perplexity=model")
    store.put("b", KEYS, np.ones(10))
    with pytest.warns(UserWarning, match="values of perplexity=model are computed again.*set_process_limit"):
        store.put("a", KEYS, np.ones(10), "perplexity=model")
    assert store.get("a", KEYS)[1].all()
    store.max_bytes = 1_000
    store.put("b", KEYS, np.ones(10))  # no warning: the limit was raised since


@pytest.mark.parametrize("limit", [-1, 1.5, "1 GiB"])
def test_a_limit_that_is_not_a_number_of_bytes_is_refused(limit):
    with pytest.raises(ValueError, match="None or a number of bytes"):
        set_process_limit(limit)
    with pytest.raises(ValueError, match="None or a number of bytes"):
        MemoryStore(limit)


@pytest.fixture
def small_process_store():
    """Limit the process store to less than a batch."""
    set_process_limit(100)
    yield open_store(None)
    set_process_limit(2**30)


def test_the_process_store_keeps_one_gibibyte():
    assert open_store(None).max_bytes == 2**30


def test_a_batch_larger_than_the_limit_is_returned_and_computed_once(small_process_store):
    encoder, texts = Lengths(), np.array([f"long text {i}" for i in range(50)], dtype=object)
    encoder.fingerprint = "larger than the limit"
    remembered = Remembered(encoder, None, name="encoder", batch_size=7)
    assert remembered(texts).tolist() == [float(len(text)) for text in texts]
    assert encoder.asked == texts.tolist()


@pytest.mark.filterwarnings("ignore:values of .* are computed again")
def test_scorers_that_drop_each_others_values_get_all_values_and_finish(small_process_store):
    texts = np.array([f"shared text {i}" for i in range(40)], dtype=object)

    class Disturbed(Lengths):
        """A scorer during whose batches another fingerprint is written, so that its own is dropped."""

        fingerprint = "disturbed"

        def __call__(self, batch):
            small_process_store.put("other", KEYS, np.arange(10.0))
            return super().__call__(batch)

    scorer = Disturbed()
    remembered = Remembered(scorer, None, name="quality", batch_size=7)
    assert remembered(texts).tolist() == [float(len(text)) for text in texts]
    assert scorer.asked == texts.tolist(), "each text is computed once"
    assert remembered.n_computed == len(texts)
    small_process_store.put("other", KEYS, np.arange(10.0))
    assert remembered(texts).tolist() == [float(len(text)) for text in texts]
    assert remembered.n_computed == 2 * len(texts), "dropped values are computed again"


@pytest.mark.filterwarnings("ignore:values of .* are computed again")
def test_threads_with_a_store_that_is_too_small_get_all_values(small_process_store):
    def score(number, results):
        scorer = Lengths()
        scorer.fingerprint = f"thread {number % 2}"
        for repeat in range(20):
            texts = np.array([f"{repeat} {i}" for i in range(30)], dtype=object)
            values = Remembered(scorer, None, name="quality", batch_size=4)(texts)
            results.append(values.tolist() == [float(len(text)) for text in texts])

    results = []
    threads = [threading.Thread(target=score, args=(number, results)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [True] * 80


def test_a_scorer_may_reuse_its_output_buffer(tmp_path):
    class Buffered(Lengths):
        def iter_scores(self, texts):
            buffer = np.empty(1)
            for i, text in enumerate(texts):
                buffer[0] = len(text)
                yield np.array([i]), buffer

    texts = np.array(["a", "bbb", "cc"], dtype=object)
    assert Remembered(Buffered(), tmp_path, name="quality")(texts).tolist() == [1.0, 3.0, 2.0]


def test_threads_that_open_one_folder_share_one_store(tmp_path):
    for number in range(20):
        opened, barrier = [], threading.Barrier(4)

        def open_at_once(folder=tmp_path / str(number), opened=opened, barrier=barrier):
            barrier.wait()
            opened.append(open_store(folder))

        threads = [threading.Thread(target=open_at_once) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(opened) == 4
        assert len(set(map(id, opened))) == 1


def test_memory_that_is_not_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="cannot be used as a store"):
        open_store(tmp_path / "file")
    with pytest.raises(TypeError, match="memory must be None or the path of a folder"):
        open_store(3)
    (tmp_path / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(OSError, match="cannot be used as a store"):
        open_store(tmp_path)


def test_the_memory_map_grows(tmp_path):
    store = DiskStore(tmp_path)
    store.put("small", KEYS, np.arange(10.0))
    store._env.set_mapsize(2**20)
    vectors = np.ones((2000, 512), dtype=np.float32)
    keys = digests(np.array([str(i) for i in range(2000)], dtype=object))
    store.put("big", keys, vectors)
    assert store.get("big", keys)[1].all()


def batch_of(number, n_rows=200):
    """Return keys, scalars and vectors of a batch; each value follows from its key."""
    texts = np.array([f"{number} {i}" for i in range(n_rows)], dtype=object)
    keys = digests(texts)
    scalars = (keys[:, 0] % 1_000_003).astype(float)
    return keys, scalars, np.float32(scalars[:, None] / np.arange(1, 33))


def write(folder, first, sender):
    """Put one batch after another; send the number of each after it is done."""
    store = DiskStore(folder)
    for number in itertools.count(first):
        keys, scalars, vectors = batch_of(number)
        store.put("scalars", keys, scalars)
        store.put("vectors", keys, vectors)
        os.write(sender.fileno(), number.to_bytes(4, "little"))


def start_writer(forkserver, folder, first):
    receiver, sender = forkserver.Pipe(duplex=False)
    process = forkserver.Process(target=write, args=(folder, first, sender))
    process.start()
    sender.close()
    return process, receiver


def done_by(receiver):
    """Return the number of the next finished batch of a writer, None if the writer is dead."""
    data = os.read(receiver.fileno(), 4)
    return int.from_bytes(data, "little") if data else None


def kill_writers(folder, n_kills):
    """Kill one writer after another; record the batches that each reported, and how many may exist."""
    rng = np.random.default_rng(0)
    reported, next_ = [], 0
    for _ in range(n_kills):
        receiver, sender = multiprocessing.Pipe(duplex=False)
        writer = os.fork()
        if writer == 0:
            write(folder, next_, sender)
        sender.close()
        last = done_by(receiver)
        time.sleep(rng.uniform(0, 0.05))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        while (number := done_by(receiver)) is not None:
            last = number
        receiver.close()
        reported += range(next_, last + 1)
        next_ = last + 3  # later batches may have been started
    (folder / "reported").write_text(json.dumps([reported, next_]))


@pytest.mark.parametrize("n_kills", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_killed_writers_leave_only_complete_batches(tmp_path, forkserver, n_kills):
    process = forkserver.Process(target=kill_writers, args=(tmp_path, n_kills))
    process.start()
    process.join(240)
    assert process.exitcode == 0
    reported, next_ = json.loads((tmp_path / "reported").read_text())
    store, reported = DiskStore(tmp_path), set(reported)
    for number in range(next_):
        keys, scalars, vectors = batch_of(number)
        for name, right in (("scalars", scalars), ("vectors", vectors)):
            values, found = store.get(name, keys)
            assert found.all() or not found.any(), "a batch is complete or absent"
            assert found.all() or number not in reported, "a reported batch is kept"
            assert (values == right[found]).all(), "every value is correct"
    assert len(reported) >= n_kills


def test_processes_write_and_read_one_folder_at_the_same_time(tmp_path, forkserver):
    writers = [start_writer(forkserver, tmp_path, first) for first in (0, 10_000)]
    store = DiskStore(tmp_path)
    store.put("mine", KEYS, np.arange(10.0))
    last = [done_by(receiver) for _, receiver in writers]
    for _ in range(10):
        for writer, (_, receiver) in enumerate(writers):
            last[writer] = done_by(receiver)
            keys, scalars, vectors = batch_of(last[writer])
            assert (store.get("scalars", keys)[0] == scalars).all()
            assert (store.get("vectors", keys)[0] == vectors).all()
    for process, receiver in writers:
        process.kill()
        process.join(60)
        receiver.close()
    assert store.get("mine", KEYS)[0].tolist() == list(range(10))


FULL = textwrap.dedent(
    """
    import sys
    import numpy as np
    from skprune.row_table import digests
    from skprune.store import DiskStore, Remembered

    store = DiskStore(sys.argv[1])
    texts = np.array([str(i) for i in range(3000)], dtype=object)
    keys = digests(texts)
    store.put("kept", keys[:10], np.arange(10.0))
    if sys.argv[2] == "limit":
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        for start in range(0, 3000, 1000):
            store.put("lost", keys[start : start + 1000], np.ones((1000, 512), dtype=np.float32))
    except OSError as error:
        print(error)
    assert store.get("kept", keys[:10])[0].tolist() == list(range(10))
    found = store.get("lost", keys)[1]
    assert not found.all() and found.reshape(3, 1000).all(axis=1).sum() * 1000 == found.sum()
    store.clear("lost")
    store.put("kept", keys[10:20], np.arange(10.0))
    assert store.get("kept", keys[:20])[1].all()
    """
)
MOUNT = 'mount -t tmpfs -o size=4m none "$0" && exec "$@"'


@pytest.mark.parametrize("kind", ["limit", "tmpfs"])
def test_a_full_disk_raises_a_clear_error_and_keeps_earlier_values(tmp_path, kind):
    command = [sys.executable, "-c", FULL, str(tmp_path), kind]
    if kind == "tmpfs":
        command = ["unshare", "-rm", "sh", "-c", MOUNT, str(tmp_path), *command]
        if shutil.which("unshare") is None or subprocess.run([*command[:6], "true"]).returncode:
            pytest.skip("a small file system cannot be mounted here")
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert f"memory={str(tmp_path)!r}" in run.stdout
    assert "the disk is full" in run.stdout
    assert "everything kept before is still there" in run.stdout


READ_ONLY = textwrap.dedent(
    """
    import subprocess, sys, warnings
    import numpy as np
    from skprune import PerplexityFilter
    from skprune.row_table import digests
    from skprune.store import open_store

    folder = sys.argv[1]
    texts = np.array([str(i) for i in range(10)], dtype=object)
    def length(texts):
        return np.array([float(len(text)) for text in texts])
    length.fingerprint = "length"
    PerplexityFilter(perplexity=length, memory=folder).fit(texts[:5])
    open_store(folder).close()
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            PerplexityFilter(perplexity=length, memory=folder).fit(texts)
    print(*(warning.message for warning in caught), sep="\\n")
    store = open_store(folder)
    assert store.get("length", digests(texts))[1].tolist() == [True] * 5 + [False] * 5
    assert store.info()["values"].tolist() == [5]
    try:
        store.clear()
    except OSError as error:
        print(error)
    try:
        open_store(folder + "/new").claim("length", digests(texts))
    except OSError as error:
        print(error)
    """
)


def test_a_store_on_a_read_only_disk_can_be_read(tmp_path):
    command = [
        "unshare",
        "-rm",
        "sh",
        "-c",
        MOUNT,
        str(tmp_path),
        sys.executable,
        "-c",
        READ_ONLY,
        str(tmp_path),
    ]
    if shutil.which("unshare") is None or subprocess.run([*command[:6], "true"]).returncode:
        pytest.skip("a small file system cannot be mounted here")
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    warning, clear, new = run.stdout.splitlines()
    assert "cannot be written: values that are not in it are computed and not kept" in warning
    assert "cannot be written, and so not cleared" in clear
    assert "cannot be used as a store: [Errno 30] Read-only file system" in new


@pytest.mark.parametrize("call", ["info", "clear"])
def test_reading_a_folder_that_holds_no_store_creates_nothing(tmp_path, call):
    store = open_store(tmp_path / "typo")
    with pytest.raises(FileNotFoundError, match=r"memory='.*typo' holds no store: check the path"):
        getattr(store, call)()
    assert not store.get("a", KEYS)[1].any()
    assert not list(tmp_path.iterdir())
    store.put("a", KEYS, np.arange(10.0))
    assert store.info()["values"].tolist() == [10]


@pytest.mark.parametrize("kind", ["deleted", "swapped"])
def test_a_store_whose_folder_was_replaced_is_opened_anew(tmp_path, kind):
    with open_store(tmp_path / "other") as other:
        other.put("other", KEYS, np.arange(10.0))
    store = open_store(tmp_path / "store")
    store.put("a", KEYS, np.arange(10.0))
    shutil.rmtree(tmp_path / "store")
    if kind == "swapped":
        shutil.move(tmp_path / "other", tmp_path / "store")
        assert store.get("other", KEYS)[1].all()
    assert not store.get("a", KEYS)[1].any()
    store.put("b", KEYS, np.arange(10.0))
    store.close()
    assert (
        sorted(DiskStore(tmp_path / "store").info()["fingerprint"])
        == ["b", "other"][: 1 + (kind == "swapped")]
    )


def test_a_closed_store_is_opened_again_when_it_is_used(store):
    with store as same:
        same.put("a", KEYS, np.arange(10.0))
    store.close()
    store.close()
    assert store.get("a", KEYS)[0].tolist() == list(range(10))
    store.put("b", KEYS, np.arange(10.0))
    assert len(store.info()) == 2


def test_a_closed_store_has_no_open_files(tmp_path):
    def n_files():
        return len(
            [1 for link in os.scandir("/proc/self/fd") if str(tmp_path) in os.path.realpath(link.path)]
        )

    with DiskStore(tmp_path) as store:
        store.put("a", KEYS, np.arange(10.0))
        assert n_files()
    assert not n_files()


def test_vectors_in_the_process_store_are_shared_with_the_caller_and_not_copied():
    encoder = lambda texts: np.array([[len(text), 1.0] for text in texts])  # noqa: E731
    remembered = Remembered(encoder, None, name="encoder", batch_size=4)
    vectors = remembered(TEXTS, KEYS)
    blocks = remembered.store._kept[remembered.fingerprint].blocks
    assert len(blocks) == 3
    assert all(np.shares_memory(block, vectors) for block in blocks)
    with pytest.raises(ValueError, match="read-only"):
        vectors[0] = 0.0
    more = np.array([*TEXTS, "another"], dtype=object)
    assert remembered(more).tolist() == encoder(more).tolist()
    last = remembered.store._kept[remembered.fingerprint].blocks[-1]
    assert last.base is None, "a part of a larger array is copied, so that it does not keep that array alive"


def test_values_that_overflow_single_precision_are_refused(tmp_path):
    def encode(texts):
        return np.array([[1e300 if text == "text 3" else 1.0, 0.0] for text in texts])

    with pytest.raises(ValueError, match=r"encoder returned a value beyond the range of float32.*'text 3'"):
        Remembered(encode, None, name="encoder")(TEXTS)


@pytest.mark.parametrize("values", [np.ones(10) * 1j, ["high"] * 10], ids=["complex", "words"])
def test_values_that_are_not_real_numbers_are_refused(values):
    with pytest.raises(ValueError, match="quality must return real numbers, got"):
        Remembered(lambda texts: values, None, name="quality")(TEXTS)


def test_texts_with_their_hashes_are_not_hashed_again(monkeypatch):
    remembered = Remembered(Lengths(), None, name="quality")
    remembered.fingerprint = "with hashes"
    for name in ("row_table.digests", "store.remembered.RowTable"):
        monkeypatch.setattr(f"skprune.{name}", None)
    assert remembered(TEXTS, KEYS).tolist() == [6.0] * 10


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
