"""Processes and threads that want the same texts at the same time share the work, even if one dies."""

import os
import signal
import threading
import time

import numpy as np
import portalocker
import pytest

from skprune.row_table import digests
from skprune.store import MemoryStore, Remembered, open_store
from skprune.store.claims import FileClaim

TEXTS = np.array([f"text {i}" for i in range(40)], dtype=object)
KEYS = digests(TEXTS)


class Slow:
    """A slow scorer that logs the texts it is called with."""

    fingerprint = "slow"

    def __init__(self, log):
        self.log = log

    def __call__(self, texts):
        for text in texts:
            time.sleep(0.02)
            with open(self.log, "a") as log:
                log.write(f"{text}\n")
        return np.array([float(len(t)) for t in texts])


def work(folder, first, last, begin, n_computed):
    texts = [f"text {i}" for i in range(first, last)]
    scores = Remembered(Slow(folder / "log"), folder / "scores", name="perplexity", batch_size=5)
    begin.wait(60)
    assert scores(np.array(texts, dtype=object)).tolist() == [float(len(t)) for t in texts]
    n_computed.put(scores.n_computed)


def test_two_processes_compute_each_text_once(tmp_path, forkserver):
    begin, n_computed = forkserver.Event(), forkserver.Queue()
    workers = [
        forkserver.Process(target=work, args=(tmp_path, *part, begin, n_computed))
        for part in [(0, 40), (20, 60)]
    ]
    for worker in workers:
        worker.start()
    begin.set()
    computed = [n_computed.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
    asked = (tmp_path / "log").read_text().splitlines()
    assert sorted(asked) == sorted(f"text {i}" for i in range(60)), "the two processes compute each text once"
    assert sum(computed) == 60
    assert min(computed) >= 20, "texts that only one process wants do not wait for the other"
    assert [path.name for path in (tmp_path / "scores" / "claims").iterdir()] == ["register"]


def test_another_process_takes_over_the_claim_of_a_killed_one(tmp_path, forkserver):
    begin, n_computed = forkserver.Event(), forkserver.Queue()
    begin.set()
    killed, heir = (
        forkserver.Process(target=work, args=(tmp_path, 0, 40, begin, n_computed)) for _ in range(2)
    )
    killed.start()
    log = tmp_path / "log"
    while not log.exists() or log.read_text().count("\n") < 12:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGSTOP)
    heir.start()
    time.sleep(0.5)  # the heir waits
    os.kill(killed.pid, signal.SIGKILL)
    killed.join(60)
    assert 20 <= n_computed.get(timeout=60) <= 30, "finished batches are not computed again"
    heir.join(60)
    asked = log.read_text().splitlines()
    assert set(asked) == set(TEXTS)
    assert len(asked) - len(set(asked)) <= 5, "at most the current batch is computed twice"


def test_a_forked_child_does_not_hold_its_parents_claim(tmp_path):
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:  # takes a claim, forks a child, and is killed while the child lives on
        try:
            FileClaim(tmp_path, "a", KEYS)
            child = os.fork()
            if child:
                os.write(write, child.to_bytes(4, "little"))
            time.sleep(60)
        finally:
            os._exit(1)
    child = int.from_bytes(os.read(read, 4), "little")
    busy = FileClaim(tmp_path, "a", KEYS)
    assert not busy.mine.any()
    busy.release()
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    try:
        busy.wait()
        claim = FileClaim(tmp_path, "a", KEYS)
        assert claim.mine.all()
        claim.release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(read)
        os.close(write)


def test_a_child_forked_while_a_claim_is_taken_does_not_block_later_claims(tmp_path, monkeypatch):
    children = []

    def write_and_fork(claim):
        write(claim)
        if (child := os.fork()) == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)

    write = FileClaim._write
    with monkeypatch.context() as patch:
        patch.setattr(FileClaim, "_write", write_and_fork)
        FileClaim(tmp_path, "a", KEYS).release()
    try:
        later = FileClaim(tmp_path, "a", KEYS)
        assert later.mine.all()
        later.release()
    finally:
        os.kill(children[0], signal.SIGKILL)
        os.waitpid(children[0], 0)


def test_a_file_system_without_locks_is_an_error_that_names_the_folder(tmp_path, monkeypatch):
    def fail(*arguments):
        raise portalocker.LockException from OSError(37, "No locks available")

    monkeypatch.setattr(portalocker, "lock", fail)
    with pytest.raises(OSError, match=r"memory='.*': the folder cannot be locked: .*No locks available"):
        open_store(tmp_path).claim("a", KEYS)


def test_claims_on_one_fingerprint_exclude_each_other(tmp_path):
    first = FileClaim(tmp_path, "a", KEYS[:30])
    second = FileClaim(tmp_path, "a", KEYS[20:])
    assert second.mine.tolist() == [False] * 10 + [True] * 10
    other = FileClaim(tmp_path, "b", KEYS)
    assert other.mine.all()
    waited = threading.Thread(target=second.wait)
    second.release()
    waited.start()
    waited.join(0.05)
    assert waited.is_alive(), "the first claim is still held"
    first.release()
    waited.join(10)
    assert not waited.is_alive()
    other.release()


@pytest.mark.parametrize("where", ["process", "disk"])
def test_threads_compute_each_text_once(tmp_path, where):
    store = MemoryStore() if where == "process" else open_store(tmp_path)
    asked, lock = [], threading.Lock()

    def slow(texts):
        with lock:
            asked.extend(texts)
        time.sleep(0.02)
        return np.array([float(len(t)) for t in texts])

    slow.fingerprint = "slow"
    results = []

    def work(first, last):
        remembered = Remembered(slow, None, name="quality", batch_size=5)
        remembered.store = store
        results.append((remembered(TEXTS[first:last]), first, last))

    threads = [threading.Thread(target=work, args=part) for part in [(0, 30), (10, 40), (0, 40)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(asked) == sorted(TEXTS)
    for values, first, last in results:
        assert values.tolist() == [float(len(t)) for t in TEXTS[first:last]]
    assert len(results) == 3


def test_a_failing_scorer_releases_its_claim(tmp_path):
    def broken(texts):
        raise RuntimeError("no model")

    broken.fingerprint = "broken"
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no model"):
            Remembered(broken, tmp_path, name="quality")(TEXTS)
    claim = open_store(tmp_path).claim("broken", KEYS)
    assert claim.mine.all()
    claim.release()
