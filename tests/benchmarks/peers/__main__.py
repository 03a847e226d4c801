"""Compare skprune with other libraries, and write docs/benchmarks-peers.md.

    make bench-peers ARGS="[--sizes N ...] [--only TEXT] [--fresh]"

Rows that docs/benchmarks-peers.json has already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .cases import Case, all_cases
from .child import MEMORY_LIMIT, TIME_LIMIT
from .page import PAGE, figures, save, write

# One thread for each library that has a setting for it. hnswlib has none that small-text passes on.
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
QUIET = {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", help="measure only these numbers of rows")
    parser.add_argument("--only", default="", help="measure only cases whose name contains this")
    parser.add_argument("--fresh", action="store_true", help="measure the chosen rows again")
    arguments = parser.parse_args()
    for name, case in all_cases().items():
        for n in case.sizes:
            chosen = arguments.only in name and (arguments.sizes is None or n in arguments.sizes)
            if chosen and (arguments.fresh or case.key(n) not in figures()):
                print(f"{case.key(n):<40}", end="", flush=True)
                found = measure(name, case, n)
                save(figures() | {case.key(n): found})  # another run may have added rows meanwhile
                print(f"{found['seconds']:6.0f} s  {found['failed']}", flush=True)
    write(figures())
    print(f"wrote {PAGE}")


def measure(name: str, case: Case, n: int) -> dict[str, Any]:
    """Measure one case in a process of its own; whatever stops it is part of the result."""
    start, failed = time.perf_counter(), ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows"
        path.touch()
        command = [sys.executable, "-m", f"{__package__}.child", name, str(n), str(path)]
        process = subprocess.run(command, env=os.environ | THREADS | QUIET, capture_output=True, text=True)
        if process.returncode:
            failed = reason(process)
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {
        "rows": rows,
        "failed": failed,
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "load": round(os.getloadavg()[1], 1),
        "seconds": round(time.perf_counter() - start, 1),
    }


def commit() -> str:
    """Return the commit of the working tree, or nothing outside a repository."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def reason(process: subprocess.CompletedProcess[str]) -> str:
    """Return why a process failed, in one line."""
    last = (process.stderr.strip().splitlines() or [""])[-1]
    if "MemoryError" in process.stderr or process.returncode in (-9, -6):
        return f"it needed more than {MEMORY_LIMIT >> 30} GiB"
    if process.returncode == -signal.SIGXCPU:
        return f"it needed more than {TIME_LIMIT // 60} CPU minutes"
    return last or f"it ended with status {process.returncode}"


if __name__ == "__main__":
    main()
