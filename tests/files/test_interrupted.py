"""A job that is killed or runs out of space loses nothing, and resumes to the same bytes."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import portalocker
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skprune import PerplexityFilter, RandomFilter
from skprune.files import prune
from skprune.scorers import NGramScorer

SCRIPT = """
    import os, signal, sys
    import numpy as np
    from skprune import PerplexityFilter, RandomFilter
    from skprune.files import prune

    class Slow:
        fingerprint = "length"

        def __init__(self, calls=None):
            self.calls = calls

        def __call__(self, texts):
            if self.calls is not None:
                if self.calls == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                self.calls -= 1
            with open("scored.log", "a") as log:
                log.write(f"{len(texts)}\\n")
            return [float(len(text)) for text in texts]

    def run(calls=None):
        PerplexityFilter._batch_size = 100
        filter = PerplexityFilter(keep=0.3, perplexity=Slow(calls), random_state=0)
        return prune("in", filter, text="text", out="out", removed="gone")
"""


def run(code, cwd, **options):
    script = textwrap.dedent(SCRIPT) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, **options)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for name in "abcd":
        texts = ["x" * int(n) for n in rng.integers(1, 400, size=1000)]
        pq.write_table(pa.table({"text": texts, "n": range(1000)}), tmp_path / "in" / f"{name}.parquet")
    return tmp_path


def contents(folder):
    """The bytes of all visible files in the two output folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in ("out", "gone")
        for path in sorted((folder / name).rglob("*.parquet"))
        if ".skprune" not in path.parts
    }


@pytest.fixture
def undisturbed(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("undisturbed")
    (other / "in").symlink_to(folder / "in")
    shortest = PerplexityFilter(keep=0.3, perplexity=lambda texts: [len(t) for t in texts], random_state=0)
    prune(other / "in", shortest, text="text", out=other / "out", removed=other / "gone")
    return contents(other)


@pytest.mark.slow
def test_a_job_killed_while_it_scores_resumes_with_the_scores_it_had(folder, undisturbed):
    assert run("run(2)", folder).returncode == -signal.SIGKILL
    assert not contents(folder)
    finished = run("run()", folder)
    assert finished.returncode == 0, finished.stderr
    assert contents(folder) == undisturbed
    scored = (folder / "scored.log").read_text().split()
    parts = [pq.read_table(path)["text"].to_pylist() for path in (folder / "in").iterdir()]
    distinct = len(set().union(*parts))
    assert sum(map(int, scored)) == distinct


@pytest.mark.slow
def test_a_job_killed_while_it_writes_resumes_after_the_files_that_are_done(folder, undisturbed):
    killed = """
        from skprune.files import job
        replacing, count = job.Job.replacing, [0]
        def killing(self, name, path):
            count[0] += 1
            if count[0] == 6:  # the removed rows of the third file
                import threading
                threading.Timer(0.0, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
                import time; time.sleep(5)
            return replacing(self, name, path)
        job.Job.replacing = killing
        run()
    """
    assert run(killed, folder).returncode == -signal.SIGKILL
    done = contents(folder)
    assert sorted(done) == ["gone/a.parquet", "gone/b.parquet", "out/a.parquet", "out/b.parquet"]
    times = {path: os.stat(folder / path).st_mtime_ns for path in done}
    finished = run("run()", folder)
    assert finished.returncode == 0, finished.stderr
    assert contents(folder) == undisturbed
    assert times == {path: os.stat(folder / path).st_mtime_ns for path in done}
    assert not list(folder.glob("*/.skprune/aside-*"))
    assert not (folder / "out/.skprune/scores").exists()


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.3, 0.8, 1.3, 1.8, 2.3])
def test_a_job_killed_at_any_time_resumes_to_the_same_bytes(folder, undisturbed, moment):
    script = textwrap.dedent(SCRIPT) + "run()"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=folder)
    time.sleep(moment)
    process.kill()
    process.wait()
    finished = run("run()", folder)
    assert finished.returncode == 0, finished.stderr
    assert contents(folder) == undisturbed


def test_an_open_seed_is_drawn_once_for_a_job(folder, monkeypatch):
    monkeypatch.chdir(folder)
    first = prune("in", RandomFilter(0.3), text="text", out="out")
    before = contents(folder)
    for path in ("out/.skprune", "out"):
        for file in (folder / path).glob("*0003.json" if path.endswith("skprune") else "d.parquet"):
            file.unlink()  # the state of a job that was killed before the last file
    again = prune("in", RandomFilter(0.3), text="text", out="out")
    assert contents(folder) == before
    assert (again.kept, again.reasons) == (first.kept, first.reasons)


def test_a_job_that_is_done_is_not_repeated(folder, monkeypatch):
    monkeypatch.chdir(folder)
    pruner = PerplexityFilter(perplexity=NGramScorer(order=2), random_state=0)
    first = prune("in", pruner, text="text", out="out")
    monkeypatch.setattr(PerplexityFilter, "fit", None)
    again = prune("in", pruner, text="text", out="out")
    assert (again.rows, again.kept, again.reasons) == (first.rows, first.kept, first.reasons)


@pytest.mark.parametrize("lost", ["out/b.parquet", "gone/b.parquet"])
def test_a_file_that_was_removed_since_is_written_again(folder, lost, monkeypatch):
    monkeypatch.chdir(folder)
    arguments = {"text": "text", "out": "out", "removed": "gone"}
    prune("in", RandomFilter(0.3, random_state=0), **arguments)
    before = contents(folder)
    (folder / lost).unlink()
    prune("in", RandomFilter(0.3, random_state=0), **arguments)
    assert contents(folder) == before


def test_another_job_in_the_folder_is_refused(folder, monkeypatch):
    monkeypatch.chdir(folder)
    prune("in", RandomFilter(0.3, random_state=0), text="text", out="out", removed="gone")
    before = contents(folder)
    with pytest.raises(FileExistsError, match=r"holds another job: filter.keep was 0.3 .*is 0.2 now"):
        prune("in", RandomFilter(0.2, random_state=0), text="text", out="out", removed="gone")
    with pytest.raises(FileExistsError, match="out and removed hold different jobs"):
        prune("in", RandomFilter(0.3, random_state=0), text="text", out="elsewhere", removed="gone")
    pq.write_table(pa.table({"text": ["new"], "n": [1]}), "in/d.parquet")
    with pytest.raises(FileExistsError, match=r"holds another job: files.d.parquet was"):
        prune("in", RandomFilter(0.3, random_state=0), text="text", out="out", removed="gone")
    assert contents(folder) == before


def test_a_folder_in_use_is_refused(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "out" / ".skprune").mkdir(parents=True)
    with (folder / "out" / ".skprune" / "lock").open("a") as lock:
        portalocker.lock(lock, portalocker.LOCK_EX | portalocker.LOCK_NB)
        with pytest.raises(BlockingIOError, match="is in use by another process; wait for it, or"):
            prune("in", RandomFilter(0.3), text="text", out="out")
    assert prune("in", RandomFilter(0.3), text="text", out="out").kept


def test_inputs_that_change_during_the_job_are_noticed(folder, monkeypatch):
    monkeypatch.chdir(folder)

    def touch(texts):
        os.utime("in/c.parquet")
        return [len(text) for text in texts]

    with pytest.raises(ValueError, match=r"c.parquet was changed while it was read; remove"):
        prune("in", PerplexityFilter(perplexity=touch), text="text", out=folder / "out")


def test_a_full_disk_is_explained_and_the_job_resumes(folder, undisturbed, monkeypatch):
    """A limit on the size of files stands in for the full disk: writes fail with EFBIG, not ENOSPC."""
    monkeypatch.chdir(folder)
    limited = """
        import resource
        from skprune.files import pruning
        write, count = pruning._write, [0]
        def limit(*arguments):
            count[0] += 1
            if count[0] == 3:
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            return write(*arguments)
        pruning._write = limit
        run()
    """
    failed = run(limited, folder)
    assert "OSError: [Errno 27]" in failed.stderr
    assert "the disk is full, or a quota or a limit on file sizes is reached" in failed.stderr
    assert sorted(contents(folder)) == ["gone/a.parquet", "gone/b.parquet", "out/a.parquet", "out/b.parquet"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    finished = run("run()", folder)
    assert finished.returncode == 0, finished.stderr
    assert contents(folder) == undisturbed
