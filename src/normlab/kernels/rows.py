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

from .compiling import EXACT, INLINE, kernel
from .halves import like, load, muladd, pointer
from .lines import fence
from .streams import pull_each_past, pull_past, write_each_past, write_past
from .sums import (
    largest,
    lift,
    lift_each_summed,
    moments,
    near,
    plus,
    pull,
    pull_each_summed,
    pull_sums,
    pull_sums_each,
    write,
    write_each,
)  # fmt: skip

__all__ = [
    "FLOOR", "INSIDE", "LIMITS", "MEAN", "NOTHING", "OUTSIDE", "RESIDUE", "ROWS", "RSTD", "SHAPE", "SQUARE", "UNIT",
    "backward", "backward_each", "carried", "carry", "centre_of", "find_unit", "flat", "fold", "forward", "inverse",
    "keep_slopes", "place",
]  # fmt: skip

# The weight of set (a, b) is row a // a_repeat % a_count * b_count + b // b_repeat % b_count, of `parts` elements that
# hold for `step` elements of a run each; where `each` is 1 there is one for every element of a run. `known`: the
# statistics are given, and nothing flows back through them. `past`: the output is written past the caches.
SHAPE = (
    "outer", "runs", "inner", "length", "parts", "step", "each", "a_repeat", "a_count", "b_repeat", "b_count",
    "centre", "by_count", "rule", "block", "known", "past",
)  # fmt: skip
LIMITS = ("eps", "low", "high", "huge", "tiny", "down", "up", "far")
INSIDE, OUTSIDE, FLOOR, NOTHING = range(4)
MEAN, RESIDUE, RSTD, SQUARE, UNIT = range(5)  # what is kept of a set, each in a row of its own
# Short sets are measured several at a time before they are written: a root and a division take as long as a few
# hundred elements, and the next set need not wait for them. More at a time cost up to a half where x comes from memory.
BATCH = 512
MOST = 16
# Products are added up in the dtype for so many rows, then in float64.
ROWS = 32


@njit(**EXACT)
def find_unit(x, start, stride, runs, length, limits):
    """A power of two that keeps the squares of a set, and eps beside them, in the dtype's range: see `formula`."""
    top = max(largest(x, start, stride, runs, length), math.sqrt(limits[0]))
    return limits[5] if top > limits[3] else limits[6] if 0 < top < limits[4] else 1.0


@njit(**INLINE)
def _measure(x, start, stride, runs, length, centre, limits, zero):
    """The mean, what its rounding left, the sum of squares about it, and the unit that all are in."""
    unit, count = like(1.0, zero), float(runs * length)
    shift, ranged, moved, placed = zero, False, False, not centre
    while True:  # once, but for rare sets: one place that calls is inlined, three are not
        if not placed:
            placed, shift = True, near(x, start, stride, runs, length, unit, zero)
        total, square = moments(x, start, stride, runs, length, unit, shift, zero)
        off = total / count if centre else 0.0
        if not ranged and not limits[1] <= square <= limits[2]:
            ranged = True
            unit = like(find_unit(x, start, stride, runs, length, limits), zero)
            if unit != 1:
                placed = not centre
                continue
        if not moved and off * total > limits[7] * (square - off * total):
            moved = True
            shift = like(float(shift) + off, zero)
            continue
        mean, residue = centre_of(shift, off, zero)
        about = square - off * total
        return mean, residue, 0.0 if about < 0 else about, unit


@njit(**INLINE)
def centre_of(shift, off, zero):
    """shift + off, in the dtype, and what that rounding left."""
    high, low = plus(float(shift), 0.0, off)
    mean = like(high, zero)
    return mean, like((high - float(mean)) + low, zero)


@njit(**INLINE)
def inverse(square, unit, eps, rule):
    """One over what divides; 0 for a set without spread."""
    if rule == INSIDE:
        below = math.sqrt(square + eps * unit * unit)
    elif rule == NOTHING:
        below = unit
    else:
        below, least = math.sqrt(square), eps * unit
        if rule == OUTSIDE:
            below = below + least
        elif below < least:
            below = least
    return 1.0 / below if below != 0 else 0.0


@njit(**INLINE)
def carried(offset, weight, bias):
    """offset * weight + bias; an infinite weight does not meet an offset of 0."""
    return muladd(offset, weight, bias) if offset != 0 else bias


@njit(**INLINE)
def add_to(sums, at, step, value):
    """Add to sums[at], and what that lost to sums[at + step]."""
    sums[at], sums[at + step] = plus(sums[at], sums[at + step], value)


@njit(**INLINE)
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
def forward(first, last, token, wide, shape_at, limits_at, x_at, y_at, weight_at, bias_at, kept_at):
    """y of the sets first ... last - 1, and their statistics."""
    x, y, kept = pointer(x_at, token), pointer(y_at, token), pointer(kept_at, wide)
    weight, bias = pointer(weight_at, wide), pointer(bias_at, wide)
    shape, limits, zero = pointer(shape_at, 0), pointer(limits_at, 0.0), like(0.0, wide)
    runs, length, parts, step = shape[1], shape[3], shape[4], shape[5]
    sets, stride = shape[0] * shape[2], shape[2] * length
    divisor = float(runs * length if shape[12] else 1)
    batch = max(1, min(MOST, BATCH // (runs * length)))
    for begin in range(first, last, batch):
        end = min(begin + batch, last)
        for s in range(begin, begin if shape[15] else end):
            start, _ = place(s, shape)
            mean, residue, square, unit = _measure(x, start, stride, runs, length, shape[11], limits, zero)
            kept[MEAN * sets + s], kept[RESIDUE * sets + s] = mean, residue
            kept[SQUARE * sets + s], kept[UNIT * sets + s] = like(square / divisor, zero), unit
        for s in range(begin, begin if shape[15] else end):
            square = kept[SQUARE * sets + s]
            kept[RSTD * sets + s] = like(
                inverse(float(square), float(kept[UNIT * sets + s]), limits[0], shape[13]), zero
            )
        for s in range(begin, end):
            start, row = place(s, shape)
            centre, rstd, unit = -kept[MEAN * sets + s], kept[RSTD * sets + s], kept[UNIT * sets + s]
            offset = -kept[RESIDUE * sets + s] * rstd
            for p in range(runs):
                at = start + p * stride
                if shape[6]:
                    if shape[16]:
                        write_each_past(
                            x, y, at, length, unit, centre, rstd, offset, weight, bias, row * length, bias_at != 0
                        )
                    else:
                        write_each(
                            x, y, at, length, unit, centre, rstd, offset, weight, bias, row * length, bias_at != 0
                        )
                    continue
                for k in range(parts):
                    w = load(weight, row * parts + k) if weight_at else like(1.0, zero)
                    b = load(bias, row * parts + k) if bias_at else zero
                    if shape[16]:
                        write_past(x, y, at + k * step, step, unit, centre, rstd * w, carried(offset, w, b))
                    else:
                        write(x, y, at + k * step, step, unit, centre, rstd * w, carried(offset, w, b))
    fence()


@njit(**INLINE)
def keep_slopes(slopes, at, total, along, kept, s, sets, limits, shape):
    """What multiplies g, what multiplies z, and what is added, to give dx of set s."""
    rstd, square, unit = float(kept[RSTD * sets + s]), float(kept[SQUARE * sets + s]), float(kept[UNIT * sets + s])
    share = 1.0 / (shape[1] * shape[3])
    slope = -along * (share if shape[12] else 1.0)
    if shape[13] != INSIDE:
        root = math.sqrt(square)
        if shape[13] == OUTSIDE and root > 0:
            slope = slope / (rstd * root)
        elif shape[13] == NOTHING or (shape[13] == FLOOR and not root > limits[0] * unit):
            slope = 0.0
    scale = rstd * unit
    slopes[3 * at], slopes[3 * at + 1], slopes[3 * at + 2] = scale, scale * slope, 0.0
    if shape[15]:
        slopes[3 * at + 1] = 0.0
    elif shape[11]:
        slopes[3 * at + 2] = -scale * total * share


@njit(**INLINE)
def flat(shape):
    """Whether nothing flows back through a spread: it is known, or there is none."""
    return shape[15] != 0 or shape[13] == NOTHING


@njit(**EXACT)
def _tell(sums, count, dw_at, db_at, wide):
    """What `add_to` added up for each element of the weight, and of the bias, where it is wanted."""
    dw, db = pointer(dw_at, wide), pointer(db_at, wide)
    for i in range(count):
        if dw_at:
            dw[i] = like(sums[i] + sums[count + i], wide)
        if db_at:
            db[i] = like(sums[2 * count + i] + sums[3 * count + i], wide)


@kernel
def backward(
    first, last, token, wide, shape_at, limits_at, dy_at, x_at, dx_at, weight_at, kept_at, parts_at, dw_at, db_at
):
    """dx of the sets first ... last - 1, and for each part of the weight the sums of g * z and g.

    The sums of every set at `parts_at`; or, where all sets are done in one call, added up as `fold` does it.
    """
    dy, x, dx = pointer(dy_at, token), pointer(x_at, token), pointer(dx_at, token)
    weight, kept, found = pointer(weight_at, wide), pointer(kept_at, wide), pointer(parts_at, 0.0)
    shape, limits, zero = pointer(shape_at, 0), pointer(limits_at, 0.0), like(0.0, wide)
    runs, length, parts, step = shape[1], shape[3], shape[4], shape[5]
    sets, stride = shape[0] * shape[2], shape[2] * length
    batch = max(1, min(MOST, BATCH // (runs * length)))
    told = dw_at != 0 or db_at != 0
    rows = shape[8] * shape[10] * parts if told else 0
    scratch = np.zeros(3 * MOST + 4 * parts + 4 * rows)
    slopes, sums = pointer(scratch.ctypes.data, 0.0), pointer(scratch.ctypes.data + 24 * MOST, 0.0)
    folded = pointer(scratch.ctypes.data + 24 * MOST + 32 * parts, 0.0)
    for begin in range(first, last, batch):
        end = min(begin + batch, last)
        for s in range(begin, end):
            start, row = place(s, shape)
            mean, rstd, unit = kept[MEAN * sets + s], kept[RSTD * sets + s], kept[UNIT * sets + s]
            offset = -kept[RESIDUE * sets + s] * rstd
            for i in range(4 * parts):
                sums[i] = 0.0
            for p in range(runs):
                for k in range(parts):
                    at = start + p * stride + k * step
                    t, a = pull_sums(dy, x, at, step, unit, -mean, rstd, offset, zero)
                    add_to(sums, k, parts, a)
                    add_to(sums, 2 * parts + k, parts, t)
            total = total_low = along = along_low = 0.0
            for k in range(parts):
                w = float(load(weight, row * parts + k)) if weight_at else 1.0
                a, t = sums[k] + sums[parts + k], sums[2 * parts + k] + sums[3 * parts + k]
                along, along_low = plus(along, along_low, w * a)
                total, total_low = plus(total, total_low, w * t)
                if parts_at:
                    found[2 * s * parts + k], found[(2 * s + 1) * parts + k] = a, t
                if told:
                    add_to(folded, row * parts + k, rows, a)
                    add_to(folded, 2 * rows + row * parts + k, rows, t)
            keep_slopes(slopes, s - begin, total + total_low, along + along_low, kept, s, sets, limits, shape)
        for s in range(begin, end):
            start, row = place(s, shape)
            mean, rstd, unit = kept[MEAN * sets + s], kept[RSTD * sets + s], kept[UNIT * sets + s]
            offset = -kept[RESIDUE * sets + s] * rstd
            at = 3 * (s - begin)
            scale, slope, level = slopes[at], like(slopes[at + 1], zero), like(slopes[at + 2], zero)
            for p in range(runs):
                for k in range(parts):
                    w = float(load(weight, row * parts + k)) if weight_at else 1.0
                    by = like(scale * w, zero)
                    at = start + p * stride + k * step
                    if flat(shape):
                        lift(dy, dx, at, step, by, level)
                    elif shape[16]:
                        pull_past(dy, x, dx, at, step, unit, -mean, rstd, offset, by, slope, level)
                    else:
                        pull(dy, x, dx, at, step, unit, -mean, rstd, offset, by, slope, level)
    if told:
        _tell(folded, rows, dw_at, db_at, wide)
    fence()
    scratch[0] = 0.0  # alive until here, whatever the pointer to it tells the compiler


@kernel
def backward_each(
    first, last, token, wide, shape_at, limits_at, dy_at, x_at, dx_at, weight_at, kept_at, parts_at, dw_at, db_at
):
    """`backward` where every element of a run has its own weight: blocks of `block` sets, and sums for each block."""
    dy, x, dx = pointer(dy_at, token), pointer(x_at, token), pointer(dx_at, token)
    weight, kept, found = pointer(weight_at, wide), pointer(kept_at, wide), pointer(parts_at, 0.0)
    shape, limits, zero = pointer(shape_at, 0), pointer(limits_at, 0.0), like(0.0, wide)
    runs, length = shape[1], shape[3]
    sets, stride, rows = shape[0] * shape[2], shape[2] * length, shape[8] * shape[10]
    width = rows * length
    batch = max(1, min(MOST, BATCH // (runs * length)))
    often = max(1, ROWS * rows // (runs * batch)) * batch
    told = dw_at != 0 or db_at != 0
    scratch = np.zeros(3 * MOST + 6 * width)
    totals = np.zeros(4 * width if told else 1)
    folded = pointer(totals.ctypes.data, 0.0)
    at = scratch.ctypes.data
    slopes, sums = pointer(at, 0.0), pointer(at + 24 * MOST, 0.0)
    dw, db = pointer(at + 24 * MOST + 32 * width, wide), pointer(at + 24 * MOST + 40 * width, wide)
    for block in range(first, last):
        start_set, end_set = block * shape[14], min((block + 1) * shape[14], sets)
        if block > first:
            scratch[:] = 0.0
        for begin in range(start_set, end_set, batch):
            end = min(begin + batch, end_set)
            for s in range(begin, end):
                start, row = place(s, shape)
                mean, rstd, unit = kept[MEAN * sets + s], kept[RSTD * sets + s], kept[UNIT * sets + s]
                offset = -kept[RESIDUE * sets + s] * rstd
                total = total_low = along = along_low = 0.0
                for p in range(runs):
                    at = start + p * stride
                    t, a = pull_sums_each(dy, x, at, length, unit, -mean, rstd, offset, weight, row * length, zero)
                    total, total_low = plus(total, total_low, t)
                    along, along_low = plus(along, along_low, a)
                keep_slopes(slopes, s - begin, total + total_low, along + along_low, kept, s, sets, limits, shape)
            for s in range(begin, end):
                start, row = place(s, shape)
                mean, rstd, unit = kept[MEAN * sets + s], kept[RSTD * sets + s], kept[UNIT * sets + s]
                offset = -kept[RESIDUE * sets + s] * rstd
                at = 3 * (s - begin)
                scale, slope, level = like(slopes[at], zero), like(slopes[at + 1], zero), like(slopes[at + 2], zero)
                for p in range(runs):
                    at = start + p * stride
                    if flat(shape):
                        lift_each_summed(
                            dy, x, dx, at, length, unit, -mean, rstd, offset, scale, level, weight, row * length, dw,
                            db, row * length,
                        )  # fmt: skip
                    elif shape[16]:
                        pull_each_past(
                            dy, x, dx, at, length, unit, -mean, rstd, offset, scale, slope, level, weight,
                            row * length, dw, db, row * length,
                        )  # fmt: skip
                    else:
                        pull_each_summed(
                            dy, x, dx, at, length, unit, -mean, rstd, offset, scale, slope, level, weight,
                            row * length, dw, db, row * length,
                        )  # fmt: skip
            if (end - start_set) % often == 0 or end == end_set:
                carry(dw, db, sums, width)
        for i in range(width):
            a, t = sums[i] + sums[width + i], sums[2 * width + i] + sums[3 * width + i]
            if told:
                add_to(folded, i, width, a)
                add_to(folded, 2 * width + i, width, t)
            elif parts_at:
                found[2 * block * width + i], found[(2 * block + 1) * width + i] = a, t
    if told:
        _tell(folded, width, dw_at, db_at, wide)
    fence()
    scratch[0] = totals[0] = 0.0


@njit(**EXACT)
def carry(dw, db, sums, width):
    """Add dw and db to their sums in float64, and start them again."""
    for i in range(width):
        add_to(sums, i, width, float(dw[i]))
        add_to(sums, 2 * width + i, width, float(db[i]))
        dw[i] = 0
        db[i] = 0


@kernel
def fold(first, last, wide, shape_at, items, width, rows, parts_at, dw_at, db_at):
    """The sums of sets or blocks added up, in their order, for each element of the weight."""
    shape, found = pointer(shape_at, 0), pointer(parts_at, 0.0)
    for _ in range(first, last):  # there is only one
        scratch = np.zeros(4 * rows * width)
        sums, half = pointer(scratch.ctypes.data, 0.0), rows * width
        for s in range(items):
            at = place(s, shape)[1] * width if rows > 1 else 0
            for i in range(width):
                add_to(sums, at + i, half, found[2 * s * width + i])
                add_to(sums, 2 * half + at + i, half, found[(2 * s + 1) * width + i])
        _tell(sums, half, dw_at, db_at, wide)
        scratch[0] = 0.0
