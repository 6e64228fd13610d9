"""What surrounds the kernels: threads, forks, bytes, refusals, and what is kept on the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comparing import same_bytes
from kernel_cases import Case
from normlab import kernels
from normlab.kernels import pool
from normlab.pattern import parse

pytest.importorskip("numba", reason="kernels need Numba")

SHARED = [
    Case("... [c]", (700, 768), "c"),
    Case("... [c]", (3, 200_000), "c", why="long"),
    Case("[n] c [...]", (16, 20, 40, 40), "c"),
    Case("n (g [c]) [...]", (9, 24, 60, 60), "(g c)", sizes={"g": 4}),
    Case("[n] c [...]", (16, 40, 30, 30), "c", (0, 2, 3, 1)),
]


@pytest.fixture(autouse=True)
def everything_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small: what is tried here is that sharing changes nothing."""
    monkeypatch.setattr(pool, "WORTH_ELEMENTS", 1)


def random(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def both_ways(case: Case, x: np.ndarray, dy: np.ndarray, threads: int | None = None) -> list[np.ndarray]:
    weight, bias = random(case.spread or (), 3), random(case.spread or (), 4)
    done = kernels.standardize(x, case.plan, weight=weight, bias=bias, threads=threads)
    assert done is not None
    back = kernels.standardize_backward(dy, x, case.plan, done.kept, weight=weight, bias=bias, threads=threads)
    assert back is not None and back[1] is not None and back[2] is not None
    return [done.y, done.kept, *back]  # type: ignore[list-item]


@pytest.mark.parametrize("case", SHARED, ids=str)
def test_any_number_of_threads_gives_the_same_bytes(case: Case) -> None:
    x, dy = case.lay(random(case.shape)), case.lay(random(case.shape, 2))
    alone = both_ways(case, x, dy, 1)
    for threads in (1, 2, 3, 7):
        for got, wanted in zip(both_ways(case, x, dy, threads), alone, strict=True):
            same_bytes(got, wanted, f"{threads} threads")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint16])
@pytest.mark.parametrize("case", SHARED[:4], ids=str)
def test_what_is_written_past_the_caches_has_the_same_bytes(
    case: Case, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every place that a line can start; 64 bytes hold no number of elements that all these runs are made of."""
    from normlab.kernels import standardizing

    x, dy = (random(case.shape, k).astype(dtype) for k in (1, 2))
    if dtype == np.uint16:
        x, dy = ((random(case.shape, k).view(np.uint32) >> 16).astype(dtype) for k in (1, 2))
    weight, bias = (random(case.spread or (), k) for k in (3, 4))
    made = {}
    for past, eps in ((False, 1e-5), (True, 1e-5 + 1e-20)):  # another eps, so that it is decided anew; the same in use
        if past:
            for name in ("PAST_BYTES", "LINES_BYTES", "MANY_BYTES"):
                monkeypatch.setattr(standardizing, name, 0)
        for shift in (0, 1, 5) if past else (0,):
            y, dx = (np.empty(x.size + shift, dtype)[shift:].reshape(x.shape) for _ in range(2))
            done = kernels.standardize(x, case.plan, weight=weight, bias=bias, eps=eps, out=y)
            assert done is not None and done.standardizer.past_anywhere == past
            back = kernels.standardize_backward(dy, x, case.plan, done.kept, weight=weight, bias=bias, eps=eps, out=dx)
            assert back is not None
            made[past, shift] = [y, *back]
    for shift in (0, 1, 5):
        for got, wanted in zip(made[True, shift], made[False, 0], strict=True):
            same_bytes(got, wanted, f"shifted by {shift}")


@pytest.mark.parametrize("length", [7, 96, 1025, 140_000])
def test_a_row_is_the_same_beside_any_others(length: int) -> None:
    """33 rows make two batches and, of gradients, two blocks; alone, a row is the first of its batch."""
    x, dy = random((33, length)), random((33, length), 2)
    y, kept, dx, _, _ = both_ways(Case("... [c]", x.shape, "c"), x, dy)
    for k in (0, 1, 16, 32):
        alone = both_ways(Case("... [c]", (1, length), "c"), x[k : k + 1].copy(), dy[k : k + 1].copy())
        for got, wanted in ((y[k], alone[0][0]), (dx[k], alone[2][0]), (kept[:, k], alone[1][:, 0])):
            same_bytes(got, wanted)


def test_several_threads_may_call_at_once() -> None:
    wanted = []
    inputs = [
        (case, case.lay(random(case.shape, k)), case.lay(random(case.shape, k + 9))) for k, case in enumerate(SHARED)
    ]
    for one in inputs:
        wanted.append(both_ways(*one))
    failures: list[str] = []

    def work(number: int) -> None:
        for turn in range(6):
            k = (number + turn) % len(inputs)
            for got, want in zip(both_ways(*inputs[k], threads=2), wanted[k], strict=True):
                if got.tobytes() != want.tobytes():
                    failures.append(str(SHARED[k]))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not failures and not any(t.is_alive() for t in threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what the warning fears is what is tried here
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX's, where another test imported it; not used here
def test_a_forked_child_has_a_pool_of_its_own() -> None:
    case = SHARED[0]
    x, dy = random(case.shape), random(case.shape, 2)
    wanted = both_ways(case, x, dy, 2)  # so the parent has workers, which the child has not
    child = os.fork()
    if child == 0:
        code = 1
        try:
            got = both_ways(case, x, dy, 2)
            code = 0 if all(a.tobytes() == b.tobytes() for a, b in zip(got, wanted, strict=True)) else 2
        finally:
            os._exit(code)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


def test_what_a_kernel_raises_is_heard() -> None:
    def kernel(first: int, last: int, token: np.ndarray) -> None:
        if last > 3:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"), pool.at_most(2):
        pool.run(kernel, 8, (np.empty(0),), elements=10**9)


def refused(x: np.ndarray, line: str = "n [c]", **how: Any) -> str:
    plan = parse(line).plan(x.shape)
    why = kernels.covers(x, plan, **how)
    assert kernels.standardize(x, plan, **how) is None
    return why or ""


def test_what_is_not_covered_is_refused_in_words() -> None:
    x = random((8, 12))
    assert "densely" in refused(x[:, ::2])
    assert "densely" in refused(x[::-1])
    assert "densely" in refused(np.broadcast_to(x[:1], (5, 12)))
    shifted = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape)
    assert "aligned" in refused(shifted)
    assert "empty" in refused(x[:0])
    assert "no kernel" in refused(x, spread="mean_abs")
    assert "no kernel" in refused(x, centre=False)
    assert "no kernel" in refused(x.astype(np.int32))
    assert "no kernel" in refused(x.astype(np.float32).byteswap().view(x.dtype.newbyteorder()))
    assert "different axes" in refused(x, weight=random((1, 12)), bias=random((8, 1)))
    assert "too often" in refused(random((2, 3, 4, 5, 6)), "[a] b [c] d [e]")


def test_a_read_only_array_needs_no_second_kernel() -> None:
    x = random((40, 30))
    plan = parse("n [c]").plan(x.shape)
    done = kernels.standardize(x, plan)
    ready = len(kernels.compiled())
    x.flags.writeable = False
    again = kernels.standardize(x, plan)
    assert done is not None and again is not None and len(kernels.compiled()) == ready
    same_bytes(again.y, done.y)


def test_kernels_can_be_switched_off() -> None:
    x = random((4, 8))
    plan = parse("n [c]").plan(x.shape)
    with kernels.off():
        assert not kernels.available() and kernels.standardize(x, plan) is None
        assert "off" in (kernels.covers(x, plan) or "")
    assert kernels.available() and kernels.standardize(x, plan) is not None


def fresh(code: str, **environment: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return run.stdout.strip()


def test_asking_for_kernels_imports_no_compiler() -> None:
    assert fresh("import sys, normlab.kernels as k; k.available(); print('numba' in sys.modules)") == "False"


def test_the_number_of_threads_can_be_told() -> None:
    code = "from normlab.kernels import pool; print(pool.threads())"
    assert fresh(code, NORMLAB_THREADS="3") == "3"
    assert fresh(code, NORMLAB_THREADS="") == str(len(os.sched_getaffinity(0)))


def test_a_second_process_reads_what_the_first_compiled() -> None:
    code = (
        "import numpy as np; from normlab import kernels; from normlab.pattern import parse\n"
        "kernels.standardize(np.ones((4, 8), np.float32), parse('n [c]').plan((4, 8)))\n"
        "print([c.cached for c in kernels.compiled()])"
    )
    fresh(code)
    assert fresh(code) == "[True]"


def test_a_change_in_any_file_of_kernels_makes_them_anew() -> None:
    """Numba itself looks at the one file that a kernel stands in."""
    from normlab.kernels import compiling, rows

    assert rows.forward._cache._cache_file._source_stamp == compiling.STAMP


def test_the_stamp_knows_every_file(tmp_path: Path) -> None:
    from normlab.kernels import compiling

    (tmp_path / "rows.py").write_text("1\n")
    (tmp_path / "sums.py").write_text("1\n")
    before = compiling.stamp(tmp_path)
    (tmp_path / "sums.py").write_text("2\n")
    assert compiling.stamp(tmp_path) != before
