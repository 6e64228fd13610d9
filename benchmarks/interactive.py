"""How long a person waits: import, --help, `normlab compare` from a cold start, and `compare` in process.

    .venv/bin/python benchmarks/interactive.py

Prints the median and the smallest of several runs, with processor and versions. BLAS is on one thread.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import normlab
from normlab.result import machine, versions

RUNS = 9


def timed(work: Callable[[], object]) -> str:
    """Median and smallest wall time of RUNS runs after one to warm up."""
    work()
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return f"median {statistics.median(seconds) * 1e3:7.1f} ms   smallest {min(seconds) * 1e3:7.1f} ms"


def process(*arguments: str) -> Callable[[], object]:
    """A fresh interpreter with these arguments."""
    return lambda: subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def inside(cotangents: int) -> Callable[[], object]:
    """Three arms, 100 units, batch 256, 20 layers, float32, in this process."""
    return lambda: normlab.compare(
        ["none", "bn", "ln"], layers=20, batch=256, dtype="float32", cotangents=cotangents
    )


def main() -> None:
    print(machine(), versions(), f"{os.cpu_count()} cores")
    print("python -c pass                  ", timed(process("-c", "pass")))
    print("import normlab                  ", timed(process("-c", "import normlab")))
    print("import numpy                    ", timed(process("-c", "import numpy")))
    print("normlab --help                  ", timed(process("-m", "normlab", "--help")))
    print("normlab compare                 ", timed(process("-m", "normlab", "compare")))
    print("compare in process, 1 cotangent ", timed(inside(1)))
    print("compare in process, 8 cotangents", timed(inside(8)))


if __name__ == "__main__":
    main()
