"""The window kernels against long arithmetic: both memory orders, every dtype, the edges, and numbers out of range."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from comparing import compare, same_bytes

pytest.importorskip("numba", reason="kernels need Numba")

from normlab import kernels
from normlab.kernels import tiles

LAST = (0, 2, 3, 1)
# (shape, order in memory): channels 1, 31, 32, 33 and a prime; runs of positions about 512, what a tile takes; whole
# rows with several, one and less than one to a tile.
SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    *(((2, c, 5, 3), ()) for c in (1, 31, 32, 33)), ((2, 7, 511), ()), ((2, 7, 512), ()), ((2, 7, 513), ()), ((1, 101, 26, 27), ()),
    *(((2, c, 5, 3), LAST) for c in (1, 31, 33)), ((1500, 29), ()), ((1, 40_000), ()), ((3, 23, 6, 300), LAST), ((70, 3, 9, 13), ()),
]  # fmt: skip
WINDOWS = [(2, 2), (0, 0), (1, 0), (0, 3), (3, 4), (60, 60)]
RULE = {"k": 1.5, "alpha": 0.3, "beta": 0.75}


def lay(a: np.ndarray, memory: tuple[int, ...]) -> np.ndarray:
    return np.ascontiguousarray(a.transpose(memory)).transpose(np.argsort(memory)) if memory else np.ascontiguousarray(a)


def random(shape: tuple[int, ...], seed: int = 1, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def windows(q: np.ndarray, before: int, after: int) -> np.ndarray:
    """Sums along axis 1, each term by itself."""
    return np.stack([q[:, max(c - before, 0) : c + after + 1].sum(1) for c in range(q.shape[1])], 1)


def truth(
    x: np.ndarray, dy: np.ndarray, before: int, after: int, k: float, alpha: float, beta: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, dx, and the size of what dx is made of, in long double."""
    x, dy = x.astype(np.longdouble), dy.astype(np.longdouble)
    k, alpha, beta = np.longdouble(k), np.longdouble(alpha), np.longdouble(beta)
    s = k + alpha * windows(x * x, before, after)
    p = s**-beta
    reached = windows(dy * x * p / s, after, before)
    size = np.abs(dy * p) + 2 * alpha * beta * np.abs(x) * windows(np.abs(dy * x) * p / s, after, before)
    return x * p, dy * p - 2 * alpha * beta * x * reached, size


def check(x: np.ndarray, dy: np.ndarray, memory: tuple[int, ...], window: tuple[int, int], rule: dict[str, float]) -> None:
    laid = lay(x, memory)
    y = kernels.window_power(laid, 1, *window, **rule)
    dx = kernels.window_power_backward(lay(dy, memory), laid, 1, *window, **rule)
    wanted, wanted_dx, size = truth(x, dy, *window, **rule)
    assert y.strides == laid.strides == dx.strides and y.dtype == x.dtype
    tiny = np.finfo(x.dtype).tiny  # below it numbers have fewer digits
    compare(y, wanted.astype(np.float64), "transcendental", scale=np.abs(wanted) + tiny)
    compare(dx, wanted_dx.astype(np.float64), "transcendental", scale=size + tiny)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize(("shape", "memory"), SHAPES, ids=str)
def test_every_window_in_every_memory_order(
    shape: tuple[int, ...], memory: tuple[int, ...], window: tuple[int, int], dtype: str
) -> None:
    check(random(shape, 1, dtype), random(shape, 2, dtype), memory, window, RULE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.6, 0.75, 1.0, 2.0])
@pytest.mark.parametrize("memory", [(), LAST])
def test_every_power(memory: tuple[int, ...], beta: float, dtype: str) -> None:
    for k, alpha in ((2.0, 1e-4), (1.0, 0.0), (0.1, 3.0), (1e-30, 1.0)):
        check(random((2, 9, 5, 7), 1, dtype), random((2, 9, 5, 7), 2, dtype), memory, (2, 2), {"k": k, "alpha": alpha, "beta": beta})


@pytest.mark.parametrize("beta", [0.5, 0.6, 0.75, 1.0])
@pytest.mark.parametrize("size", [1e-30, 1e10, 1e15, 1e20, 1e37])
@pytest.mark.parametrize("memory", [(), LAST])
def test_squares_may_leave_the_range_of_float32(memory: tuple[int, ...], size: float, beta: float) -> None:
    """Every third channel is ordinary, so windows hold both kinds."""
    x = random((2, 12, 5, 7), 1, "float64")
    x[:, np.arange(12) % 3 > 0] *= size
    check(x.astype(np.float32), random(x.shape, 2), memory, (2, 2), RULE | {"beta": beta})


@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0])
def test_squares_may_leave_the_range_of_float64(beta: float) -> None:
    """Against the same numbers 2**600 times smaller: without k the result scales by a known power."""
    x, dy = random((2, 9, 40), 1, "float64"), random((2, 9, 40), 2, "float64")
    rule = {"alpha": 0.3, "beta": beta}
    large = kernels.window_power(x * 2.0**600, 1, 2, 2, k=1.0, **rule)
    ordinary = kernels.window_power(x * 2.0**200, 1, 2, 2, k=2.0**-800, **rule)
    compare(large, ordinary * 2.0 ** (400 * (1 - 2 * beta)), "identity", scale=np.abs(large))
    back = kernels.window_power_backward(dy, x * 2.0**600, 1, 2, 2, k=1.0, **rule)
    ordinary = kernels.window_power_backward(dy, x * 2.0**200, 1, 2, 2, k=2.0**-800, **rule) * 2.0 ** (-800 * beta)
    compare(back, ordinary, "transcendental", scale=np.abs(ordinary).max())


@pytest.mark.parametrize("memory", [(), LAST])
@pytest.mark.parametrize("planted", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_within_its_windows_reach(memory: tuple[int, ...], planted: float) -> None:
    x, dy = random((2, 20, 4, 9)), random((2, 20, 4, 9), 2)
    clean = kernels.window_power(lay(x, memory), 1, 2, 1, **RULE)
    clean_dx = kernels.window_power_backward(lay(dy, memory), lay(x, memory), 1, 2, 1, **RULE)
    x[1, 8, 2, 3] = planted
    y = kernels.window_power(lay(x, memory), 1, 2, 1, **RULE)
    dx = kernels.window_power_backward(lay(dy, memory), lay(x, memory), 1, 2, 1, **RULE)
    # Channel 8 is in the windows of 7 (one after) to 10 (two before); the gradients of three more on each side pass them.
    for got, wanted, reach in ((y, clean, slice(7, 11)), (dx, clean_dx, slice(5, 12))):
        mine = np.zeros(x.shape, bool)
        mine[1, reach, 2, 3] = True
        same_bytes(got[~mine], wanted[~mine])
    assert np.isnan(y[1, 8, 2, 3]) and np.isnan(dx[1, 8, 2, 3])
    with np.errstate(invalid="ignore"):
        there = truth(x, dy, 2, 1, **RULE)[0]
    assert np.array_equal(np.isnan(y), np.isnan(there))


@pytest.mark.parametrize("memory", [(), LAST])
def test_zeros_stay_zeros_and_what_is_left_is_the_power_of_k(memory: tuple[int, ...]) -> None:
    x, dy = lay(np.zeros((2, 6, 4, 5), np.float32), memory), lay(random((2, 6, 4, 5)), memory)
    assert not kernels.window_power(x, 1, 2, 2, 4.0, 1.0, 0.5).any()
    compare(kernels.window_power_backward(dy, x, 1, 2, 2, 4.0, 1.0, 0.5), dy / 2, "transcendental")


@pytest.mark.parametrize("memory", [(), LAST])
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_halves_are_computed_wide_and_rounded_once(memory: tuple[int, ...], kind: str) -> None:
    """Values about 300: their squares leave float16's range."""
    x, dy = 300 * random((2, 33, 5, 7)), random((2, 33, 5, 7), 2)
    if kind == "float16":
        stored, given, eps = x.astype(np.float16), dy.astype(np.float16), 2.0**-10
        wide, wide_dy = stored.astype(np.float32), given.astype(np.float32)
    else:
        eps, (stored, given) = 2.0**-7, ((a.view(np.uint32) >> 16).astype(np.uint16) for a in (x, dy))
        wide, wide_dy = ((a.astype(np.uint32) << 16).view(np.float32) for a in (stored, given))
    rule: dict[str, Any] = {"k": 1.0, "alpha": 1e-3, "beta": 0.75}
    y = kernels.window_power(lay(stored, memory), 1, 2, 2, **rule)
    dx = kernels.window_power_backward(lay(given, memory), lay(stored, memory), 1, 2, 2, **rule)
    wanted, wanted_dx, size = truth(wide, wide_dy, 2, 2, **rule)
    for got, right, scale in ((y, wanted, np.abs(wanted)), (dx, wanted_dx, size)):
        got = np.ascontiguousarray(got)
        number = got.astype(np.float32) if kind == "float16" else (got.astype(np.uint32) << 16).view(np.float32)
        assert got.dtype == stored.dtype
        assert (np.abs(number - right) <= eps * np.maximum(scale, 2.0**-14)).all()  # float16's steps shrink no further


@pytest.mark.parametrize(("shape", "memory"), [((40, 48, 20, 20), ()), ((40, 48, 20, 20), LAST), ((9000, 40), ())], ids=str)
def test_any_number_of_threads_and_four_callers_at_once_give_the_same_bytes(
    shape: tuple[int, ...], memory: tuple[int, ...]
) -> None:
    x, dy = lay(random(shape), memory), lay(random(shape, 2), memory)

    def both() -> list[np.ndarray]:
        return [kernels.window_power(x, 1, 2, 2, **RULE), kernels.window_power_backward(dy, x, 1, 2, 2, **RULE)]

    kernels.set_threads(1)
    try:
        alone = both()
        kernels.set_threads(2)
        found = [both()]
        callers = [threading.Thread(target=lambda: found.append(both())) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(120)
    finally:
        kernels.set_threads(None)
    assert len(found) == 5
    for one in found:
        for got, wanted in zip(one, alone, strict=True):
            same_bytes(got, wanted)


@pytest.mark.parametrize(("shape", "memory"), [((5, 9, 4, 13), ()), ((5, 9, 4, 13), LAST), ((5, 37), ())], ids=str)
def test_a_sample_is_the_same_beside_any_others(shape: tuple[int, ...], memory: tuple[int, ...]) -> None:
    x, dy = random(shape), random(shape, 2)
    y, dx = kernels.window_power(lay(x, memory), 1, 2, 2, **RULE), kernels.window_power_backward(lay(dy, memory), lay(x, memory), 1, 2, 2, **RULE)
    for k in range(5):
        alone, one = lay(x[k : k + 1], memory), lay(dy[k : k + 1], memory)
        same_bytes(np.ascontiguousarray(y[k : k + 1]), np.ascontiguousarray(kernels.window_power(alone, 1, 2, 2, **RULE)))
        same_bytes(np.ascontiguousarray(dx[k : k + 1]), np.ascontiguousarray(kernels.window_power_backward(one, alone, 1, 2, 2, **RULE)))


def test_a_gradient_in_another_memory_order_is_brought_to_that_of_x() -> None:
    x, dy = lay(random((2, 6, 4, 5)), LAST), random((2, 6, 4, 5), 2)
    same_bytes(kernels.window_power_backward(dy, x, 1, 2, 2, **RULE), kernels.window_power_backward(lay(dy, LAST), x, 1, 2, 2, **RULE))
    spread = np.broadcast_to(np.float32(2.0), x.shape)
    same_bytes(
        kernels.window_power_backward(spread, x, 1, 2, 2, **RULE), kernels.window_power_backward(lay(spread, LAST), x, 1, 2, 2, **RULE)
    )


def test_memory_may_be_given_and_what_is_not_covered_is_refused() -> None:
    x = random((4, 6, 5))
    out = np.empty_like(x)
    assert kernels.window_power(x, 1, 2, 2, **RULE, out=out) is out
    same_bytes(out, kernels.window_power(x, 1, 2, 2, **RULE))
    assert kernels.window_power(x, 1, 2, 2, **RULE, out=np.empty((4, 5, 6), np.float32).transpose(0, 2, 1)) is None
    assert kernels.window_power(x[:, ::2], 1, 2, 2, **RULE) is None
    assert kernels.window_power(x[::-1], 1, 2, 2, **RULE) is None
    assert kernels.window_power(x.astype(np.int32), 1, 2, 2, **RULE) is None
    assert kernels.window_power_backward(x.astype(np.float64), x, 1, 2, 2, **RULE) is None
    shifted = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape)
    assert kernels.window_power(shifted, 1, 2, 2, **RULE) is None
    with kernels.off():
        assert kernels.window_power(x, 1, 2, 2, **RULE) is None and kernels.window_power_backward(x, x, 1, 2, 2, **RULE) is None


@pytest.mark.parametrize("shape", [(0, 4, 3), (3, 0, 3), (3, 4, 0)])
def test_nothing_gives_nothing(shape: tuple[int, ...]) -> None:
    x = np.empty(shape, np.float32)
    assert kernels.window_power(x, 1, 2, 2, **RULE).shape == shape == kernels.window_power_backward(x, x, 1, 2, 2, **RULE).shape


def test_tiles_cover_every_element_once() -> None:
    for form in ((2, 7, 513), (1500, 29, 1), (1, 40_000, 1), (70, 3, 117), (1, 101, 702)):
        cut = tiles.cut(form, 4)
        seen = np.zeros(form, np.int64)
        for number in range(cut.total):
            r, r_end, c, c_end, j, j_end = tiles.tile_of(number, tuple(cut))
            seen[r:r_end, c:c_end, j:j_end] += 1
        assert (seen == 1).all(), form
