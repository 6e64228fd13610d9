"""The window family: every element over a power of the energy of its neighbours along one axis.

    s = k + a * (sum of x^2 from `before` places before to `after` places behind, along the axis)
    y = x * s^-beta                                       no `pow` where beta is 1/2, 3/4 or 1
    dx_j = dy_j s_j^-beta - 2 a beta x_j * (sum of dy_i x_i s_i^(-beta - 1) over the i whose window holds j)

Each window is summed anew: a sum that rolls along would keep the rounding of all that passed through it, and a NaN for
ever. It is summed tile by tile, in the cache (`tiles`), as a sum of shifted copies of one flat array of squares.

Where s leaves the range in which this is right, the power is made NaN; a result that is not finite is worked out once
more by itself, in float64 and in a unit of its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from . import pool
from .compiling import EXACT, kernel
from .halves import TOKENS, as_array, compute_dtype, load, store
from .tiles import clear, cut, length, piece, pieces, tile_of

__all__ = ["window_power", "window_power_backward"]

# `arcp` lets 1 / sqrt become the processor's estimate, corrected once. No `reassoc`: there is no sum to reorder.
_jit = njit(**EXACT, fastmath={"contract", "arcp", "nsz"})

# Up to here s * sqrt(s) is finite, and an element of s's size times the result is no subnormal number.
LARGEST = {np.dtype(np.float32): 2.0**50, np.dtype(np.float64): 2.0**500}


@_jit
def _square(x: Any, at: int, q: Any) -> None:
    for i in range(q.size):
        v = load(x, at + i)
        q[i] = v * v


@_jit
def _square_and_multiply(x: Any, dy: Any, at: int, q: Any, t: Any) -> None:
    for i in range(q.size):
        v = load(x, at + i)
        q[i] = v * v
        t[i] = v * load(dy, at + i)


@_jit
def _sum_windows(q: Any, s: Any, step: int, width: int) -> None:
    """s[i] = q[i] + q[i + step] + ..., `width` of them."""
    n = s.size
    done = 1
    if width >= 5:
        q1, q2, q3, q4 = q[step:], q[2 * step :], q[3 * step :], q[4 * step :]
        for i in range(n):
            s[i] = ((q[i] + q1[i]) + (q2[i] + q3[i])) + q4[i]
        done = 5
    else:
        s[:] = q[:n]
    while done + 2 <= width:
        q1, q2 = q[done * step :], q[(done + 1) * step :]
        for i in range(n):
            s[i] += q1[i] + q2[i]
        done += 2
    if done < width:
        q1 = q[done * step :]
        for i in range(n):
            s[i] += q1[i]


@_jit
def _power(s: Any, constants: Any, beta: float) -> None:
    """s[i] becomes (k + a * s[i])^-beta, and NaN where that is not sure to be right."""
    one, k, a, largest, nan, _ = constants
    if beta == 0.75:
        for i in range(s.size):
            v = k + a * s[i]
            s[i] = one / np.sqrt(v * np.sqrt(v)) if v < largest else nan
    elif beta == 0.5:
        for i in range(s.size):
            v = k + a * s[i]
            s[i] = one / np.sqrt(v) if v < largest else nan
    elif beta == 1.0:
        for i in range(s.size):
            v = k + a * s[i]
            s[i] = one / v if v < largest else nan
    else:
        for i in range(s.size):
            v = k + a * s[i]
            s[i] = np.float64(v) ** -beta if v < largest else nan


@_jit
def _power_and_slope(s: Any, t: Any, constants: Any, beta: float) -> None:
    """As `_power`; t[i] is multiplied with (k + a * s[i])^(-beta - 1) as well."""
    one, k, a, largest, nan, _ = constants
    if beta == 0.75:
        for i in range(s.size):
            v = k + a * s[i]
            root = np.sqrt(v)
            p = one / np.sqrt(v * root) if v < largest else nan
            s[i] = p
            t[i] = (t[i] * p) * ((p * p) * root)  # 1 / v without a division
    else:
        for i in range(s.size):
            t[i] /= k + a * s[i]
        _power(s, constants, beta)
        for i in range(s.size):
            t[i] *= s[i]


@_jit
def _energy(x: Any, at: int, c: int, constants: Any, tiles: Any, reach: Any) -> Any:
    """k + a * (sum of squares in the window of channel c at `at`) of unit * x, and the unit, in float64."""
    channels, step = tiles[1], tiles[2]
    k, a = np.float64(constants[1]), np.float64(constants[2])
    largest = 0.0
    for other in range(max(c - reach[0], 0), min(c + reach[1] + 1, channels)):
        v = abs(np.float64(load(x, at + (other - c) * step)))
        largest = v if v > largest else largest
    unit = 2.0**-520 if largest > 1e150 else 1.0
    total = 0.0
    for other in range(max(c - reach[0], 0), min(c + reach[1] + 1, channels)):
        v = np.float64(load(x, at + (other - c) * step)) * unit
        total += v * v
    return k * unit * unit + a * total, unit


@_jit
def _scale(x: Any, y: Any, at: int, p: Any) -> Any:
    """y = x * p; whether all are finite."""
    finite = True
    for i in range(p.size):
        v = load(x, at + i) * p[i]
        finite &= abs(v) < np.inf
        store(y, at + i, v)
    return finite


@_jit
def _mend(x: Any, y: Any, at: int, p: Any, constants: Any, beta: float, tiles: Any, reach: Any) -> None:
    for i in range(p.size):
        if not abs(load(x, at + i) * p[i]) < np.inf:
            c = (at + i) // tiles[2] % tiles[1]
            s, unit = _energy(x, at + i, c, constants, tiles, reach)
            part = unit**beta
            store(y, at + i, np.float64(load(x, at + i)) * part * (s**-beta * part))


@kernel
def _forward(
    first: int, last: int, token: Any, xs: int, ys: int, constants: Any, beta: float, tiles: Any, reach: Any
) -> None:
    x, y, wide = as_array(xs, token), as_array(ys, token), np.array(constants[:1])
    before, after = reach
    margin = before + after
    room = length(tiles[3], tiles[4] + margin, tiles[5])
    q = np.zeros(room + margin * tiles[5], wide.dtype)
    buffer = np.empty(room, wide.dtype)
    for number in range(first, last):
        tile = tile_of(number, tiles)
        c, end, run = tile[2], tile[3], tile[5] - tile[4]
        low, high, origin = max(c - before, 0), min(end + after, tiles[1]), c - before
        clear(q, tiles, tile, low, high, origin, margin)
        for i in range(pieces(tiles, tile, low, high)):
            at, to, size = piece(i, tiles, tile, low, high, origin, margin)
            _square(x, at, q[to : to + size])
        s = buffer[: length(tile[1] - tile[0], end - c + margin, run)]
        _sum_windows(q, s, run, margin + 1)
        _power(s, constants, beta)
        for i in range(pieces(tiles, tile, c, end)):
            at, to, size = piece(i, tiles, tile, c, end, c, margin)
            if not _scale(x, y, at, s[to : to + size]):
                _mend(x, y, at, s[to : to + size], constants, beta, tiles, reach)


@_jit
def _pull(x: Any, dy: Any, dx: Any, at: int, p: Any, t: Any, double: Any) -> Any:
    """dx = dy * p - double * x * t, with `double` 2 a beta; whether all are finite."""
    finite = True
    for i in range(p.size):
        v = load(dy, at + i) * p[i] - double * load(x, at + i) * t[i]
        finite &= abs(v) < np.inf
        store(dx, at + i, v)
    return finite


@_jit
def _mend_pull(
    x: Any, dy: Any, dx: Any, at: int, p: Any, t: Any, constants: Any, beta: float, tiles: Any, reach: Any
) -> None:
    for i in range(p.size):
        if not abs(load(dy, at + i) * p[i] - constants[5] * load(x, at + i) * t[i]) < np.inf:
            store(dx, at + i, _pulled(x, dy, at + i, constants, beta, tiles, reach))


@_jit
def _pulled(x: Any, dy: Any, at: int, constants: Any, beta: float, tiles: Any, reach: Any) -> float:
    """dx of one element, in float64."""
    channels, step = tiles[1], tiles[2]
    a = np.float64(constants[2])
    c = at // step % channels
    own = np.float64(load(x, at))
    s, unit = _energy(x, at, c, constants, tiles, reach)
    part = unit**beta
    total = np.float64(load(dy, at)) * part * (s**-beta * part)
    for other in range(max(c - reach[1], 0), min(c + reach[0] + 1, channels)):
        there = at + (other - c) * step
        s, unit = _energy(x, there, other, constants, tiles, reach)
        part = unit**beta
        both = (np.float64(load(x, there)) * unit) * (own * unit) / s
        total -= 2.0 * a * beta * np.float64(load(dy, there)) * both * part * (s**-beta * part)
    return total


@kernel
def _backward(
    first: int, last: int, token: Any, xs: int, dys: int, dxs: int,
    constants: Any, beta: float, tiles: Any, reach: Any,
) -> None:  # fmt: skip
    x, dy, dx, wide = as_array(xs, token), as_array(dys, token), as_array(dxs, token), np.array(constants[:1])
    before, after = reach
    margin = before + after
    double = constants[5]
    room = length(tiles[3], tiles[4] + 2 * margin, tiles[5])
    q = np.zeros(room + margin * tiles[5], wide.dtype)
    t_buffer = np.zeros(room + 2 * margin * tiles[5], wide.dtype)
    buffer, sums = np.empty(room, wide.dtype), np.empty(room, wide.dtype)
    for number in range(first, last):
        tile = tile_of(number, tiles)
        c, end, run = tile[2], tile[3], tile[5] - tile[4]
        low, high, origin = max(c - margin, 0), min(end + margin, tiles[1]), c - margin
        clear(q, tiles, tile, low, high, origin, 2 * margin)
        clear(t_buffer, tiles, tile, low, high, origin, 2 * margin)
        for i in range(pieces(tiles, tile, low, high)):
            at, to, size = piece(i, tiles, tile, low, high, origin, 2 * margin)
            _square_and_multiply(x, dy, at, q[to : to + size], t_buffer[to : to + size])
        n = length(tile[1] - tile[0], end - c + 2 * margin, run)
        s, t = buffer[:n], t_buffer[before * run :]  # both start with channel c - after
        _sum_windows(q, s, run, margin + 1)
        _power_and_slope(s, t, constants, beta)
        _sum_windows(t, sums[:n], run, margin + 1)
        finite = True
        for i in range(pieces(tiles, tile, c, end)):
            at, to, size = piece(i, tiles, tile, c, end, c, 2 * margin)
            p, total = s[to + after * run : to + after * run + size], sums[to : to + size]
            if not _pull(x, dy, dx, at, p, total, double):
                finite = False
                _mend_pull(x, dy, dx, at, p, total, constants, beta, tiles, reach)
        if not finite:
            t_buffer[:] = 0  # where the window reaches beyond the edge there may be NaN now


def _layout(x: np.ndarray, axis: int) -> tuple[list[int], tuple[int, int, int]] | None:
    """The axes in the order of memory, and x as (outer, channels, inner) in it; None where memory has gaps."""
    order = sorted(range(x.ndim), key=lambda a: -abs(x.strides[a]) if x.shape[a] > 1 else -math.inf)
    if not x.transpose(order).flags.c_contiguous:
        return None
    place = order.index(axis % x.ndim)
    sizes = [x.shape[a] for a in order]
    return order, (math.prod(sizes[:place]), sizes[place], math.prod(sizes[place + 1 :]))


def _fits(a: np.ndarray, x: np.ndarray, order: list[int]) -> bool:
    same = a.shape == x.shape and a.dtype == x.dtype and a.flags.aligned
    return same and a.transpose(order).flags.c_contiguous


def _prepare(
    x: np.ndarray, out: np.ndarray | None, axis: int, before: int, after: int, k: float, alpha: float, beta: float
) -> Any:
    """The output, the order of memory, and a kernel's arguments; None where it cannot work on these arrays."""
    stored = np.dtype(np.int16) if x.dtype == np.float16 else x.dtype
    laid = _layout(x, axis) if stored in TOKENS and x.flags.aligned else None
    if laid is None:
        return None
    order, form = laid
    y = np.empty_like(x) if out is None else out
    if not _fits(y, x, order):
        return None
    wide = compute_dtype(stored)
    last = max(form[1] - 1, 0)
    reach = (min(before, last), min(after, last))
    largest = LARGEST[wide] if k >= 1 / LARGEST[wide] else 0.0  # no result is sure: each is worked out by itself
    constants = tuple(np.array([1, k, alpha, largest, np.nan, 2 * alpha * beta], wide))
    return y, order, TOKENS[stored], form, reach, constants


def window_power(
    x: np.ndarray, axis: int, before: int, after: int, k: float, alpha: float, beta: float,
    *, out: np.ndarray | None = None,
) -> np.ndarray | None:  # fmt: skip
    """x * (k + alpha * (sum of x^2 from `before` places before to `after` behind along `axis`))^-beta.

    Args:
        x: float32, float64, float16, or uint16 for the bits of bfloat16; any order of axes in memory, without gaps.
        alpha: what multiplies the sum (not yet divided by a size).
        out: x's shape, dtype and order in memory; new memory if None. Not x itself.

    Returns: `out`; None where the kernel refuses x: another dtype, gaps in memory, misaligned.

    Numerics: float32 for half precision, else the dtype of x; windows are summed in a fixed order; s^-beta is right to
    about one unit of the last place. A NaN stays in the windows that hold it.
    """
    prepared = _prepare(x, out, axis, before, after, k, alpha, beta)
    if prepared is None:
        return None
    y, _, token, form, reach, constants = prepared
    if x.size:
        tiles = cut(form, sum(reach))
        arguments = (token, _address(x), _address(y), constants, float(beta), tiles, reach)
        pool.run(_forward, tiles.total, arguments, elements=8 * x.size)
    return y


def window_power_backward(
    dy: np.ndarray, x: np.ndarray, axis: int, before: int, after: int, k: float, alpha: float, beta: float,
    *, out: np.ndarray | None = None,
) -> np.ndarray | None:  # fmt: skip
    """The gradient of x for `dy`, the gradient of `window_power`'s result: everything is worked out again from x.

    Args: as for `window_power`; `dy` has x's shape and dtype, and is copied where its order in memory is not x's.
    """
    prepared = _prepare(x, out, axis, before, after, k, alpha, beta)
    if prepared is None or (dy.shape, dy.dtype) != (x.shape, x.dtype):
        return None
    dx, order, token, form, reach, constants = prepared
    if not _fits(dy, x, order):
        same = np.empty_like(x)
        same[...] = dy
        dy = same
    if x.size:
        tiles = cut(form, 2 * sum(reach))
        arguments = (token, _address(x), _address(dy), _address(dx), constants, float(beta), tiles, reach)
        pool.run(_backward, tiles.total, arguments, elements=13 * x.size)
    return dx


def _address(a: np.ndarray) -> int:
    return int(a.__array_interface__["data"][0])
