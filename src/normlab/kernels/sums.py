"""The innermost loops of sets that lie in runs: what is summed over one, and what is written over one.

Sums are of float32 over blocks of 1,024 elements, in 64 lanes, and added up in float64 with what each addition lost.
A set's statistics are taken about `shift`, a value near its mean, so what is squared is as small as the spread. And

    z = ((x * unit - mean) - residue) * rstd

where mean + residue is the mean beyond the dtype's digits, and `unit` a power of two, 1 unless squares would leave the
dtype's range. Loops are given `centre` = -mean and `offset` = -residue * rstd: z = (x * unit + centre) * rstd + offset,
with one rounding for each sign.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math

from numba import njit

from .compiling import EXACT, INLINE, SUMMED
from .halves import bump, like, load, muladd, store

__all__ = [
    "largest", "lift", "lift_each_summed", "moments", "near", "plus", "pull", "pull_each_summed", "pull_sums",
    "pull_sums_each", "write", "write_each",
]  # fmt: skip

BLOCK = 1024


@njit(**INLINE)
def plus(high, low, value):
    """high + low + value, where low keeps what the additions lost (Knuth's two-sum)."""
    s = high + value
    t = s - high
    return s, low + ((high - (s - t)) + (value - t))


@njit(**INLINE)
def whole(high, low):
    """high + low; what an infinite sum lost is no number."""
    return high + low if math.isfinite(high) else high


@njit(**SUMMED, forceinline=True)
def _block(x, start, count, unit, shift, zero):
    total = zero
    square = zero
    for i in range(count):
        d = muladd(load(x, start + i), unit, -shift)
        total += d
        square += d * d
    return total, square


@njit(**INLINE)
def moments(x, start, stride, runs, length, unit, shift, zero):
    """The sums of d and d^2 over `runs` runs, `stride` apart; d = x * unit - shift."""
    if runs == 1 and length <= BLOCK:
        t, s = _block(x, start, length, unit, shift, zero)
        return float(t), float(s)
    total = total_low = square = square_low = 0.0
    for p in range(runs):
        for i in range(0, length, BLOCK):
            t, s = _block(x, start + p * stride + i, min(BLOCK, length - i), unit, shift, zero)
            total, total_low = plus(total, total_low, float(t))
            square, square_low = plus(square, square_low, float(s))
    return whole(total, total_low), whole(square, square_low)


@njit(**INLINE)
def near(x, start, stride, runs, length, unit, zero):
    """A value near the mean, in units of `unit`: that of eight elements, exact where they are equal."""
    first = load(x, start) * unit
    others = zero
    for i in range(1, 8):
        others += muladd(load(x, start + i * runs // 8 * stride + i * length // 8), unit, -first)
    return first + others * like(0.125, zero)


@njit(**EXACT)
def largest(x, start, stride, runs, length):
    """The largest magnitude; NaN where there is one."""
    top = 0.0
    for p in range(runs):
        for i in range(length):
            size = abs(float(load(x, start + p * stride + i)))
            top = size if not size <= top else top
    return top


@njit(**INLINE)
def write(x, y, start, count, unit, centre, scale, shift):
    """y = (x * unit + centre) * scale + shift."""
    for i in range(count):
        store(y, start + i, muladd(muladd(load(x, start + i), unit, centre), scale, shift))


@njit(**INLINE)
def write_each(x, y, start, count, unit, centre, rstd, offset, weight, bias, at, has_bias):
    """y = z * weight + bias, each with an element for each of the run's, from `at` on."""
    if has_bias:
        for i in range(count):
            z = muladd(muladd(load(x, start + i), unit, centre), rstd, offset)
            store(y, start + i, muladd(z, load(weight, at + i), load(bias, at + i)))
    else:
        for i in range(count):
            z = muladd(muladd(load(x, start + i), unit, centre), rstd, offset)
            store(y, start + i, z * load(weight, at + i))


@njit(**SUMMED, forceinline=True)
def _pull_block(dy, x, start, count, unit, centre, rstd, offset, zero):
    total = zero
    along = zero
    for i in range(count):
        z = muladd(muladd(load(x, start + i), unit, centre), rstd, offset)
        g = load(dy, start + i)
        total += g
        along += g * z
    return total, along


@njit(**INLINE)
def pull_sums(dy, x, start, count, unit, centre, rstd, offset, zero):
    """The sums of g and g * z over one run."""
    if count <= BLOCK:
        t, a = _pull_block(dy, x, start, count, unit, centre, rstd, offset, zero)
        return float(t), float(a)
    total = total_low = along = along_low = 0.0
    for i in range(0, count, BLOCK):
        t, a = _pull_block(dy, x, start + i, min(BLOCK, count - i), unit, centre, rstd, offset, zero)
        total, total_low = plus(total, total_low, float(t))
        along, along_low = plus(along, along_low, float(a))
    return whole(total, total_low), whole(along, along_low)


@njit(**SUMMED, forceinline=True)
def _pull_block_each(dy, x, start, count, unit, centre, rstd, offset, weight, at, zero):
    total = zero
    along = zero
    for i in range(count):
        z = muladd(muladd(load(x, start + i), unit, centre), rstd, offset)
        g = load(dy, start + i) * load(weight, at + i)
        total += g
        along += g * z
    return total, along


@njit(**INLINE)
def pull_sums_each(dy, x, start, count, unit, centre, rstd, offset, weight, at, zero):
    """The sums of g * weight and g * weight * z over one run."""
    if count <= BLOCK:
        t, a = _pull_block_each(dy, x, start, count, unit, centre, rstd, offset, weight, at, zero)
        return float(t), float(a)
    total = total_low = along = along_low = 0.0
    for i in range(0, count, BLOCK):
        n = min(BLOCK, count - i)
        t, a = _pull_block_each(dy, x, start + i, n, unit, centre, rstd, offset, weight, at + i, zero)
        total, total_low = plus(total, total_low, float(t))
        along, along_low = plus(along, along_low, float(a))
    return whole(total, total_low), whole(along, along_low)


@njit(**INLINE)
def pull(dy, x, dx, start, count, unit, centre, rstd, offset, scale, slope, level):
    """dx = g * scale + z * slope + level."""
    for i in range(count):
        z = muladd(muladd(load(x, start + i), unit, centre), rstd, offset)
        store(dx, start + i, muladd(load(dy, start + i), scale, muladd(z, slope, level)))


@njit(**INLINE)
def lift(dy, dx, start, count, scale, level):
    """dx = g * scale + level: nothing flows back through a spread, so what x is, were it NaN, is not asked."""
    for i in range(count):
        store(dx, start + i, muladd(load(dy, start + i), scale, level))


@njit(**INLINE)
def lift_each_summed(dy, x, dx, start, count, unit, centre, rstd, offset, scale, level, weight, at, dw, db, to):
    """`lift` with a weight for each element, and the sums of `pull_each_summed`."""
    for i in range(count):
        z = muladd(muladd(load(x, start + i), unit, centre), rstd, offset)
        given = load(dy, start + i)
        store(dx, start + i, muladd(given * load(weight, at + i), scale, level))
        bump(dw, to + i, given * z)
        bump(db, to + i, given)


@njit(**INLINE)
def pull_each_summed(dy, x, dx, start, count, unit, centre, rstd, offset, scale, slope, level, weight, at, dw, db, to):
    """dx = g * weight * scale + z * slope + level; g * z and g are added to dw and db from `to` on."""
    for i in range(count):
        z = muladd(muladd(load(x, start + i), unit, centre), rstd, offset)
        given = load(dy, start + i)
        g = given * load(weight, at + i)
        store(dx, start + i, muladd(g, scale, muladd(z, slope, level)))
        bump(dw, to + i, given * z)
        bump(db, to + i, given)
