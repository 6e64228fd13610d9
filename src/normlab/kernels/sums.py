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
from .halves import bump, like, load, muladd, store, sub

__all__ = [
    "largest", "moments", "near", "plus", "pull", "pull_each_summed", "pull_four_summed", "pull_sums",
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
def near(x, start, stride, runs, length, zero):
    """A value near the mean: that of four elements, exact where they are equal."""
    first = load(x, start)
    others = zero
    for i in range(1, 4):
        others += load(x, start + i * runs // 4 * stride + i * length // 4) - first
    return first + others * like(0.25, zero)


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
def pull_each_summed(dy, x, dx, start, count, unit, centre, rstd, offset, scale, slope, level, weight, at, dw, db):
    """dx = g * weight * scale + z * slope + level; g * z and g are added to dw and db."""
    for i in range(count):
        z = muladd(muladd(load(x, start + i), unit, centre), rstd, offset)
        given = load(dy, start + i)
        g = given * load(weight, at + i)
        store(dx, start + i, muladd(g, scale, muladd(z, slope, level)))
        bump(dw, at + i, given * z)
        bump(db, at + i, given)


@njit(**INLINE)
def pull_four_summed(dy, x, dx, start, count, c, weight, dw, db):
    """`pull_each_summed` for four rows that follow each other, so dw and db are read and written once for the four."""
    u0, m0, r0, o0, s0, p0, l0 = c[0], c[1], c[2], c[3], c[4], c[5], c[6]
    u1, m1, r1, o1, s1, p1, l1 = c[7], c[8], c[9], c[10], c[11], c[12], c[13]
    u2, m2, r2, o2, s2, p2, l2 = c[14], c[15], c[16], c[17], c[18], c[19], c[20]
    u3, m3, r3, o3, s3, p3, l3 = c[21], c[22], c[23], c[24], c[25], c[26], c[27]
    second, third, fourth = start + count, start + 2 * count, start + 3 * count
    for i in range(count):
        w = load(weight, i)
        z0 = muladd(muladd(load(x, start + i), u0, m0), r0, o0)
        z1 = muladd(muladd(load(x, second + i), u1, m1), r1, o1)
        z2 = muladd(muladd(load(x, third + i), u2, m2), r2, o2)
        z3 = muladd(muladd(load(x, fourth + i), u3, m3), r3, o3)
        g0, g1, g2, g3 = load(dy, start + i), load(dy, second + i), load(dy, third + i), load(dy, fourth + i)
        store(dx, start + i, muladd(g0 * w, s0, muladd(z0, p0, l0)))
        store(dx, second + i, muladd(g1 * w, s1, muladd(z1, p1, l1)))
        store(dx, third + i, muladd(g2 * w, s2, muladd(z2, p2, l2)))
        store(dx, fourth + i, muladd(g3 * w, s3, muladd(z3, p3, l3)))
        bump(dw, i, muladd(g0, z0, g1 * z1) + muladd(g2, z2, g3 * z3))
        bump(db, i, (g0 + g1) + (g2 + g3))
