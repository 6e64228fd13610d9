"""Sets short enough to lie in a core's cache while they are worked on: one at a time, start to finish.

A set is `runs` runs of `length` elements (a row is one run). Forward: its sums, its statistics, then its output, so x
comes from memory once. Backward likewise: the sums of g and g * z, then dx; z is computed again from x.
`shape` holds whole numbers, in the order of `SHAPE`, `limits` numbers of the dtype in the order of `LIMITS`.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math

import numpy as np
from numba import njit

from .compiling import EXACT, kernel
from .halves import TOKENS, as_array, load
from .sums import (
    largest, moments, near, plus, pull, pull_each_summed, pull_four_summed, pull_sums, pull_sums_each, write, write_each,
)  # fmt: skip

__all__ = ["INSIDE", "FLOOR", "LIMITS", "NOTHING", "OUTSIDE", "SHAPE", "backward", "backward_each", "fold", "forward"]

# The weight: for set (a, b) its row a // a_repeat % a_count * b_count + b // b_repeat % b_count of `parts` elements; each
# holds for `step` elements of a run, or, where `each` is 1, there is one for every element of a run.
SHAPE = (
    "outer", "runs", "inner", "length", "parts", "step", "each", "a_repeat", "a_count", "b_repeat", "b_count",
    "centre", "by_count", "rule", "block",
)  # fmt: skip
LIMITS = ("eps", "low", "high", "huge", "tiny", "down", "up")
INSIDE, OUTSIDE, FLOOR, NOTHING = range(4)
MEAN, RESIDUE, RSTD, SQUARE, UNIT = range(5)  # what is kept of a set, each in a row of its own
# Where the mean lies more than two spreads from the shift the squares lose digits: they are taken again.
FAR = 4.0
DOUBLE = TOKENS[np.dtype(np.float64)]
# Products are added up in the dtype for so many rows, then in float64.
ROWS = 32


@njit(**EXACT)
def _measure(x, start, stride, runs, length, centre, limits, zero, number):
    """The mean, what its rounding left, the sum of squares about it, and the unit that all are in."""
    unit, count = number(1), runs * length
    shift = near(x, start, stride, runs, length, zero, number) if centre else zero
    total, square = moments(x, start, stride, runs, length, unit, shift, zero)
    if not limits[1] <= square <= limits[2]:
        top = max(largest(x, start, stride, runs, length), math.sqrt(limits[0]))
        unit = number(limits[5] if top > limits[3] else limits[6] if 0 < top < limits[4] else 1.0)
        if unit != 1:
            shift = shift * unit
            total, square = moments(x, start, stride, runs, length, unit, shift, zero)
    if not centre:
        return zero, zero, square, unit
    off = total / count
    if off * total > FAR * (square - off * total):
        shift = number(float(shift) + off)
        total, square = moments(x, start, stride, runs, length, unit, shift, zero)
        off = total / count
    mean, left = plus(float(shift), 0.0, off)
    rounded = number(mean)
    return rounded, number((mean - float(rounded)) + left), square - off * total, unit


@njit(**EXACT)
def inverse(square, unit, eps, rule):
    """One over what divides; 0 for a set without spread."""
    root = math.sqrt(square)
    below = root
    if rule == NOTHING:
        below = unit
    elif rule == INSIDE:
        below = math.sqrt(square + eps * unit * unit)
    elif rule == OUTSIDE:
        below = root + eps * unit
    elif root < eps * unit:
        below = eps * unit
    return 1.0 / below if below != 0 else 0.0


@njit(**EXACT)
def place(s, shape):
    """Where set s starts, and which row of the weight is its."""
    a, b = (s // shape[2], s % shape[2]) if shape[0] > 1 else (0, s)
    row = 0
    if shape[8] > 1:
        row = a // shape[7] % shape[8] * shape[10]
    if shape[10] > 1:
        row += b // shape[9] % shape[10]
    return (a * shape[1] * shape[2] + b) * shape[3], row


@kernel
def forward(first, last, token, wide, shape, limits, x_at, y_at, weight_at, bias_at, kept_at):
    """y of the sets first ... last - 1, and their statistics."""
    x, y, kept = as_array(x_at, token), as_array(y_at, token), as_array(kept_at, wide)
    weight, bias = as_array(weight_at, wide), as_array(bias_at, wide)
    number = wide.dtype.type
    zero = number(0)
    runs, length, parts, step = shape[1], shape[3], shape[4], shape[5]
    sets, stride = shape[0] * shape[2], shape[2] * length
    for s in range(first, last):
        start, row = place(s, shape)
        mean, residue, square, unit = _measure(x, start, stride, runs, length, shape[11], limits, zero, number)
        if shape[12]:
            square = square / (runs * length)
        square = 0.0 if square < 0 else square
        rstd = inverse(square, float(unit), limits[0], shape[13])
        kept[MEAN * sets + s], kept[RESIDUE * sets + s], kept[RSTD * sets + s] = mean, residue, number(rstd)
        kept[SQUARE * sets + s], kept[UNIT * sets + s] = number(square), unit
        offset = -float(residue) * rstd
        for p in range(runs):
            at = start + p * stride
            if shape[6]:
                write_each(
                    x, y, at, length, unit, -mean, number(rstd), number(offset), weight, bias, row * length, bias_at != 0
                )
                continue
            for k in range(parts):
                w = float(load(weight, row * parts + k)) if weight_at else 1.0
                shift = offset * w + float(load(bias, row * parts + k)) if bias_at else offset * w
                write(x, y, at + k * step, step, unit, -mean, number(rstd * w), number(shift))


@njit(**EXACT)
def _slopes(total, along, rstd, square, unit, limits, shape):
    """What multiplies g, what multiplies z, and what is added, to give dx."""
    count = shape[1] * shape[3]
    scale = rstd * unit
    slope = -scale * along / (count if shape[12] else 1)
    root = math.sqrt(square)
    if shape[13] == NOTHING:
        slope = 0.0
    elif shape[13] == OUTSIDE and root > 0:
        slope = slope / (rstd * root)
    elif shape[13] == FLOOR and not root > limits[0] * unit:
        slope = 0.0
    return scale, slope, -scale * total / count if shape[11] else 0.0


@kernel
def backward(first, last, token, wide, shape, limits, dy_at, x_at, dx_at, weight_at, kept_at, parts_at):
    """dx of the sets first ... last - 1, and for each part of the weight the sums of g * z and g."""
    dy, x, dx = as_array(dy_at, token), as_array(x_at, token), as_array(dx_at, token)
    weight, kept, found = as_array(weight_at, wide), as_array(kept_at, wide), as_array(parts_at, DOUBLE)
    number = wide.dtype.type
    zero = number(0)
    runs, length, parts, step = shape[1], shape[3], shape[4], shape[5]
    sets, stride = shape[0] * shape[2], shape[2] * length
    sums = np.empty((4, parts))
    for s in range(first, last):
        start, row = place(s, shape)
        mean, unit, rstd = kept[MEAN * sets + s], kept[UNIT * sets + s], kept[RSTD * sets + s]
        offset = -kept[RESIDUE * sets + s] * rstd
        sums[:] = 0.0
        for p in range(runs):
            for k in range(parts):
                at = start + p * stride + k * step
                t, a = pull_sums(dy, x, at, step, unit, -mean, rstd, offset, zero)
                sums[0, k], sums[1, k] = plus(sums[0, k], sums[1, k], a)
                sums[2, k], sums[3, k] = plus(sums[2, k], sums[3, k], t)
        total = total_low = along = along_low = 0.0
        for k in range(parts):
            w = float(load(weight, row * parts + k)) if weight_at else 1.0
            a, t = sums[0, k] + sums[1, k], sums[2, k] + sums[3, k]
            along, along_low = plus(along, along_low, w * a)
            total, total_low = plus(total, total_low, w * t)
            if parts_at:
                found[2 * s * parts + k], found[(2 * s + 1) * parts + k] = a, t
        scale, slope, level = _slopes(
            total + total_low, along + along_low, float(rstd), float(kept[SQUARE * sets + s]), float(unit), limits, shape
        )
        for p in range(runs):
            for k in range(parts):
                w = float(load(weight, row * parts + k)) if weight_at else 1.0
                at = start + p * stride + k * step
                pull(
                    dy, x, dx, at, step, unit, -mean, rstd, offset, number(scale * w), number(slope), number(level)
                )  # fmt: skip


@kernel
def backward_each(first, last, token, wide, shape, limits, dy_at, x_at, dx_at, weight_at, kept_at, parts_at):
    """`backward` where every element of a run has its own weight: blocks of `block` sets, and sums for each block."""
    dy, x, dx = as_array(dy_at, token), as_array(x_at, token), as_array(dx_at, token)
    weight, kept, found = as_array(weight_at, wide), as_array(kept_at, wide), as_array(parts_at, DOUBLE)
    number = wide.dtype.type
    zero = number(0)
    runs, length = shape[1], shape[3]
    sets, stride, rows = shape[0] * shape[2], shape[2] * length, shape[8] * shape[10]
    width = rows * length
    dw, db = np.empty(width, wide.dtype), np.empty(width, wide.dtype)
    sums, c = np.empty((4, width)), np.empty(28, wide.dtype)
    often = max(1, ROWS * rows // runs)
    for block in range(first, last):
        start_set, end_set = block * shape[14], min((block + 1) * shape[14], sets)
        dw[:], db[:], sums[:] = 0, 0, 0
        s = start_set
        while s < end_set:
            four = 4 if runs == 1 and rows == 1 and s + 4 <= end_set else 1
            for j in range(four):
                start, row = place(s + j, shape)
                mean, unit, rstd = kept[MEAN * sets + s + j], kept[UNIT * sets + s + j], kept[RSTD * sets + s + j]
                offset = -kept[RESIDUE * sets + s + j] * rstd
                total = total_low = along = along_low = 0.0
                for p in range(runs):
                    at = start + p * stride
                    t, a = pull_sums_each(dy, x, at, length, unit, -mean, rstd, offset, weight, row * length, zero)
                    total, total_low = plus(total, total_low, t)
                    along, along_low = plus(along, along_low, a)
                scale, slope, level = _slopes(
                    total + total_low, along + along_low, float(rstd), float(kept[SQUARE * sets + s + j]), float(unit),
                    limits, shape,
                )  # fmt: skip
                at = 7 * j
                c[at], c[at + 1], c[at + 2], c[at + 3] = unit, -mean, rstd, offset
                c[at + 4], c[at + 5], c[at + 6] = number(scale), number(slope), number(level)
            if four == 4:
                pull_four_summed(dy, x, dx, s * length, length, c, weight, dw, db)
            else:
                start, row = place(s, shape)
                for p in range(runs):
                    pull_each_summed(
                        dy, x, dx, start + p * stride, length, c[0], c[1], c[2], c[3], c[4], c[5], c[6], weight,
                        row * length, dw, db,
                    )  # fmt: skip
            before = (s - start_set) // often
            s += four
            if (s - start_set) // often > before or s >= end_set:
                _carry(dw, db, sums, width)
        for i in range(width):
            found[2 * block * width + i] = sums[0, i] + sums[1, i]
            found[(2 * block + 1) * width + i] = sums[2, i] + sums[3, i]


@njit(**EXACT)
def _carry(dw, db, sums, width):
    """Add dw and db to their sums in float64, and start them again."""
    for i in range(width):
        sums[0, i], sums[1, i] = plus(sums[0, i], sums[1, i], float(dw[i]))
        sums[2, i], sums[3, i] = plus(sums[2, i], sums[3, i], float(db[i]))
        dw[i] = 0
        db[i] = 0


@kernel
def fold(first, last, wide, shape, items, width, rows, parts_at, out_at):
    """The sums of sets or blocks added up, in their order, for each element of the weight."""
    found, out = as_array(parts_at, DOUBLE), as_array(out_at, wide)
    for _ in range(first, last):  # there is only one
        sums = np.zeros((4, rows * width))
        for s in range(items):
            at = place(s, shape)[1] * width if rows > 1 else 0
            for i in range(width):
                sums[0, at + i], sums[1, at + i] = plus(sums[0, at + i], sums[1, at + i], found[2 * s * width + i])
                sums[2, at + i], sums[3, at + i] = plus(sums[2, at + i], sums[3, at + i], found[(2 * s + 1) * width + i])
        for i in range(rows * width):
            out[i] = sums[0, i] + sums[1, i]
            out[rows * width + i] = sums[2, i] + sums[3, i]
