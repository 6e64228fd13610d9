"""Times 32 seeds in stacks on two threads beside the same seeds one after another; prints a table.

    .venv/bin/python benchmarks/seeds.py
"""

from __future__ import annotations

import functools
import os
import platform
import time

import numpy as np

from normlab.experiments.claims.training import stack_of
from normlab.experiments.repeatable import by_the_formula
from normlab.experiments.training.running import SLOTS, run_all
from normlab.result import machine

SEEDS, STEPS, THREADS, TURNS = 32, 40, 2, 3


def seconds(arm: str, batch: int, slots: int, threads: int) -> float:
    """The least time of some turns: a shared machine only ever adds."""
    groups = [range(k, k + slots) for k in range(0, SEEDS, slots)]
    found = []
    for _ in range(TURNS):
        makers = [functools.partial(stack_of, arm, group, 0.1, batch=batch, steps=STEPS) for group in groups]
        started = time.perf_counter()
        with by_the_formula():
            run_all(makers, lambda number, runs: None, threads=threads)
        found.append(time.perf_counter() - started)
    return min(found)


def main() -> None:
    print(f"{machine()['processor']}, {os.cpu_count()} processors,")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{SEEDS} seeds, {STEPS} steps, 5 sigmoid layers of 100 units on the digits")
    print(f"stacks of {SLOTS}, {THREADS} threads")
    print(f"{'arm':6}{'batch':>6}{'one by one s':>14}{'at once s':>11}{'ratio':>7}")
    for arm in ("none", "bn", "ln", "gn"):
        for batch in (32, 64, 128):
            alone, together = seconds(arm, batch, 1, 1), seconds(arm, batch, SLOTS, THREADS)
            print(f"{arm:6}{batch:6}{alone:14.2f}{together:11.2f}{alone / together:7.2f}", flush=True)


if __name__ == "__main__":
    main()
