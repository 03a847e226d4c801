"""Measure one case for one size, and write each row to a file as soon as it is known.

python -m tests.benchmarks.peers.child CASE SIZE FILE

A process per case: a peer that cannot be imported, or needs too much memory, costs only its own row.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import warnings

MEMORY_LIMIT = 8 * 2**30
TIME_LIMIT = 900  # CPU seconds, so that a busy machine does not decide


def main() -> None:
    """Measure, and leave the rows in the file."""
    name, size, path = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CPU, (TIME_LIMIT, TIME_LIMIT + 10))
    os.nice(10)
    warnings.simplefilter("ignore")  # those of the peers
    from .cases import all_cases

    with open(path, "a", encoding="utf-8") as file:
        for found in all_cases()[name].measure(int(size)):
            file.write(json.dumps(found) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
