"""Time of ``import skprune``, ``import numpy`` and ``import sklearn``, each in a fresh interpreter."""

import statistics
import subprocess
import sys
import time


def seconds(statement: str) -> float:
    """Return the median over nine fresh interpreters, without the start of the interpreter."""

    def once(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    return statistics.median(once(statement) - once("pass") for _ in range(9))


def main() -> None:
    """Print the table."""
    for module in ("skprune", "numpy", "sklearn"):
        print(f"import {module:<10}{seconds(f'import {module}'):.3f} s")


if __name__ == "__main__":
    main()
