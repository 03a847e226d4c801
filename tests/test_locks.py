"""A forked child never waits for a lock that a thread of its parent held."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from skprune._locks import Lock

START = textwrap.dedent(
    """
    import os, signal, sys, threading, time
    import numpy as np
    from skprune.row_table import digests
    from skprune.store import open_store

    KEYS = digests(np.array(["a", "b"], dtype=object))

    def fork_and_wait(work):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if work() else 2
            finally:
                os._exit(code)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if os.waitpid(child, os.WNOHANG)[0]:
                break
            time.sleep(0.002)
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            print("a child hangs", flush=True)
            os._exit(1)
    """
)
HAMMERED = START + textwrap.dedent(
    """
    store = open_store(sys.argv[1] or None)

    def hammer():
        number = 0
        while True:
            keys = digests(np.array([f"{number} {row}" for row in range(500)], dtype=object))
            claim = store.claim("hammered", keys)
            store.put("hammered", keys, np.ones((500, 64)))
            claim.release()
            assert store.get("hammered", keys)[1].all()
            number += 1

    for _ in range(2):
        threading.Thread(target=hammer, daemon=True).start()
    time.sleep(0.2)
    for number in range(24):
        def work():
            for fingerprint in (f"child {number}", "hammered by all children"):
                claim = store.claim(fingerprint, KEYS)
                store.put(fingerprint, KEYS, np.ones(2))
                claim.release()
                claim.wait()
            return store.get(f"child {number}", KEYS)[1].all() and len(store.info()) > 1
        fork_and_wait(work)
    os._exit(0)
    """
)
HELD = START + textwrap.dedent(
    """
    from skprune.hub.loaded import _lock
    from skprune.language_models.ngram.model import _MODELS

    held = threading.Event()

    def hold():
        with _lock.rlock, _MODELS._lock.rlock:
            claim = open_store(None).claim("long", KEYS)
            held.set()
            time.sleep(600)

    threading.Thread(target=hold, daemon=True).start()
    held.wait()
    def work():
        with _lock.rlock:
            _MODELS.get("a", lambda: None)
            open_store(None).claim("long", KEYS).release()
            return True
    fork_and_wait(work)
    os._exit(0)
    """
)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


@pytest.mark.parametrize("where", ["disk", "process"])
def test_children_forked_while_threads_use_a_store_do_not_hang(tmp_path, where):
    folder = str(tmp_path / "store") if where == "disk" else ""
    run = subprocess.run(
        [sys.executable, "-c", HAMMERED, folder], capture_output=True, text=True, timeout=120
    )
    assert (run.returncode, run.stdout) == (0, ""), run.stderr


def test_children_forked_while_a_thread_loads_a_model_do_not_hang():
    run = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, ""), run.stderr


def test_a_child_still_holds_what_the_thread_that_forked_held():
    lock = Lock()
    with lock.rlock:
        child = os.fork()
        if child == 0:
            taken = []
            thread = threading.Thread(target=lambda: taken.append(lock.rlock.acquire(blocking=False)))
            thread.start()
            thread.join()
            os._exit(0 if taken == [False] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_fork_waits_for_a_lock_that_guards_state():
    lock, consistent, held = Lock(guards_state=True), [True], threading.Event()

    def change():
        with lock.rlock:
            consistent[0] = False
            held.set()
            threading.Event().wait(0.2)
            consistent[0] = True

    thread = threading.Thread(target=change)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if consistent[0] and lock.rlock.acquire(blocking=False) else 1)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
