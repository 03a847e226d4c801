"""Processes and threads that want the same texts at the same time share the work, whatever happens to one."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from skprune.pools import digests
from skprune.store import MemoryStore, Remembered, open_store
from skprune.store.claims import Claim

TEXTS = np.array([f"text {i}" for i in range(40)], dtype=object)
KEYS = digests(TEXTS)


class Slow:
    """A scorer that writes down what it is asked."""

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
    assert sorted(asked) == sorted(f"text {i}" for i in range(60)), "each text once, between the two"
    assert sum(computed) == 60
    assert min(computed) >= 20, "what only one of them wants does not wait for the other"
    assert [path.name for path in (tmp_path / "scores" / "claims").iterdir()] == ["register"]


def test_the_claim_of_a_killed_process_passes_on(tmp_path, forkserver):
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
    time.sleep(0.5)  # it waits
    os.kill(killed.pid, signal.SIGKILL)
    killed.join(60)
    assert 20 <= n_computed.get(timeout=60) <= 30, "batches that were done are not computed again"
    heir.join(60)
    asked = log.read_text().splitlines()
    assert set(asked) == set(TEXTS)
    assert len(asked) - len(set(asked)) <= 5, "at most the batch in flight is computed twice"


def test_a_forked_child_does_not_hold_its_parents_claim(tmp_path):
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:  # claims, has a child, is killed while that lives on
        try:
            Claim(tmp_path, "a", KEYS)
            child = os.fork()
            if child:
                os.write(write, child.to_bytes(4, "little"))
            time.sleep(60)
        finally:
            os._exit(1)
    child = int.from_bytes(os.read(read, 4), "little")
    busy = Claim(tmp_path, "a", KEYS)
    assert not busy.mine.any()
    busy.release()
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    try:
        busy.wait()
        claim = Claim(tmp_path, "a", KEYS)
        assert claim.mine.all()
        claim.release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(read)
        os.close(write)


def test_claims_of_one_process_exclude_each_other_and_fingerprints_do_not(tmp_path):
    first = Claim(tmp_path, "a", KEYS[:30])
    second = Claim(tmp_path, "a", KEYS[20:])
    assert second.mine.tolist() == [False] * 10 + [True] * 10
    other = Claim(tmp_path, "b", KEYS)
    assert other.mine.all()
    waited = threading.Thread(target=second.wait)
    second.release()
    waited.start()
    waited.join(0.05)
    assert waited.is_alive(), "the first claim is held still"
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


def test_a_scorer_that_fails_gives_its_claim_back(tmp_path):
    def broken(texts):
        raise RuntimeError("no model")

    broken.fingerprint = "broken"
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no model"):
            Remembered(broken, tmp_path, name="quality")(TEXTS)
    claim = open_store(tmp_path).claim("broken", KEYS)
    assert claim.mine.all()
    claim.release()
