"""The run: processes started one after another, their samples judged, one document."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import NormlabError, UsageError, missing_extra, unknown
from ..processors import usable
from ..result import Result, machine, versions
from . import suite
from .answers import answers, summary
from .contestants import CONTESTANTS, present
from .judging import row
from .timing import low
from .worker import environment

__all__ = ["Benchmark", "bench"]

OnCase = Callable[[int, int, str], None]


class Benchmark(Result):
    """A finished benchmark."""

    def plot(self) -> Any:
        """The ratios as a matplotlib figure: how many times as long as normlab each contestant takes."""
        from .plotting import ratios

        return ratios(self._document)


def bench(
    methods: Sequence[str] | None = None, *, contestants: Sequence[str] | None = None, dtype: str = "float32",
    passes: Sequence[str] = suite.PASSES, tiers: Sequence[str] = suite.TIERS, threads: int = 1, shapes: int = 1,
    seconds: float = 0.1, on_case: OnCase | None = None,
) -> Benchmark:  # fmt: skip
    """Time methods on this machine, side by side.

    Args:
        methods: names; every method that can stand alone where left out.
        contestants: of `normlab torch`, `torch`, `torch compiled`, `normlab numpy`, `numpy`, `normlab jax`, `jax`,
            `normlab mlx`, `mlx`, `onnxruntime`; all whose package is installed where left out.
        dtype: "float32", "float64", "float16" or "bfloat16".
        passes: "forward", and "both" for forward and the gradients of x and all parameters.
        tiers: "L1", "L2", "L3", "memory": the smallest cache that holds input and output together.
        threads: how many processors the processes may use.
        shapes: at most so many for each tier and order of axes.
        seconds: how long each contestant is timed for each case.
        on_case: called with how many cases are done, how many there are, and the latest.
    Returns: a `Benchmark`; its document is `normlab.bench/1`.
    Raises: UsageError for what is not known; MissingExtraError where a contestant's package is not installed.
    """
    began = time.perf_counter()
    names = _names(contestants)
    cases = suite.cases(methods, dtype=dtype, passes=passes, tiers=tiers, threads=threads, shapes=shapes)
    if threads > usable():
        raise UsageError(f"bench: at most {usable()} threads can be used here, got {threads}.")
    if not cases:
        raise UsageError("bench: no case fits what was asked for.", hint="Ask for more tiers.")
    total = len(cases) * (1 + len(names))
    done = 0
    together = []
    for found in run_worker(cases, names, threads, seconds):
        done += 1
        together.append(found)
        if on_case is not None:
            on_case(done, total, found["case"]["method"])
    alone: list[dict[str, float]] = [{} for _ in cases]
    for name in names:
        takes_part = [k for k, found in enumerate(together) if name in found["samples"]]
        measured = run_worker([cases[k] for k in takes_part], [name], threads, seconds, alone=True)
        for k, found in zip(takes_part, measured, strict=True):
            if name in found["samples"]:
                alone[k][name] = low(found["samples"][name])
            done += 1
            if on_case is not None:
                on_case(done, total, name)
    rows = [
        row(found, own, suite.floor_units(case) * case.bytes)
        for case, found, own in zip(cases, together, alone, strict=True)
    ]
    settings = {
        "methods": list(methods) if methods else None, "contestants": names, "dtype": dtype, "passes": list(passes),
        "tiers": list(tiers), "threads": threads, "shapes": shapes, "seconds": seconds,
    }  # fmt: skip
    document = {
        "schema": "normlab.bench/1", "command": command(settings), "versions": _versions(),
        "machine": {**machine(), "caches_bytes": suite.caches()}, "settings": settings,
        "wall_s": time.perf_counter() - began, "rows": rows, "summary": summary(rows), "absent": _absent(),
        "verdicts": answers(rows, threads),
    }  # fmt: skip
    return Benchmark(document)


def run_worker(
    cases: Sequence[suite.Case], names: Sequence[str], threads: int, seconds: float, *, alone: bool = False
) -> Iterator[dict[str, Any]]:
    """What the process that times prints, case by case."""
    if not cases:
        return
    work = {
        "cases": [c.to_dict() for c in cases], "contestants": list(names), "threads": threads, "seconds": seconds,
        "alone": alone,
    }  # fmt: skip
    with tempfile.TemporaryFile("w+") as said, subprocess.Popen(
        [sys.executable, "-m", "normlab.benchmark.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
        text=True, env=environment(threads),
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(work))
            process.stdin.close()
            for line in process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
            if process.wait() != 0:
                said.seek(0)
                raise NormlabError(f"bench: the process that times ended early: {_last(said.read())}")
        finally:
            process.kill()


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it gave no reason"


def _names(contestants: Sequence[str] | None) -> list[str]:
    here = present()
    if contestants is None:
        return here
    for name in contestants:
        if name not in CONTESTANTS:
            raise unknown("contestant", str(name), CONTESTANTS)
        if name not in here:
            raise missing_extra(CONTESTANTS[name].extra, CONTESTANTS[name].needs)
    return [n for n in CONTESTANTS if n in contestants]


def _absent() -> list[dict[str, str]]:
    """The contestants whose package is not installed, with the extra that brings it."""
    here = present()
    return [{"name": c.name, "package": c.needs, "extra": c.extra} for c in CONTESTANTS.values() if c.name not in here]


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = versions()
    for name in ("torch", "numba", "jax", "mlx", "onnxruntime"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def command(settings: dict[str, Any]) -> str:
    """The command line that does the same."""
    words = ["normlab", "bench", *(settings["methods"] or [])]
    if set(settings["contestants"]) != set(present()):
        words += [w for n in settings["contestants"] for w in ("--contestant", n)]
    for name, usual in (("dtype", "float32"), ("threads", 1), ("shapes", 1), ("seconds", 0.1)):
        if settings[name] != usual:
            words += [f"--{name}", str(settings[name])]
    for flag, name, every in (("--pass", "passes", suite.PASSES), ("--tier", "tiers", suite.TIERS)):
        if tuple(settings[name]) != tuple(every):
            words += [w for one in settings[name] for w in (flag, one)]
    return shlex.join(words)
