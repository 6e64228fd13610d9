"""Sets too long for a core's cache, in runs: cut into slots that any thread may take, swept once for each step.

A slot is one part of one run (see `rows.SHAPE`), or a piece of it of at most `PIECE` elements; short ones are taken
several at a time. Slots are numbered set by set. Forward: sums of each slot, statistics of each set, then the output.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

from .compiling import INLINE, kernel
from .halves import like, load, pointer
from .lines import fence
from .rows import (
    MEAN,
    RESIDUE,
    ROWS,
    RSTD,
    SQUARE,
    UNIT,
    carried,
    carry,
    centre_of,
    find_unit,
    flat,
    inverse,
    keep_slopes,
    place,
)  # fmt: skip
from .streams import pull_each_past, pull_past, write_each_past, write_past
from .sums import (
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
    "PIECE", "group_of", "measure_slots", "pull_each_pieces", "pull_slots", "settle", "settle_pull", "slots_of",
    "sum_slots", "write_slots",
]  # fmt: skip

PIECE = 16_384
MEASURE, RANGED, MOVED = 1, 2, 4  # of a set: its sums are wanted; its unit and its shift were chosen again


@njit(**INLINE)
def slots_of(shape):
    """Pieces of a part, parts of a run, and slots of a set."""
    parts = 1 if shape[6] else shape[4]
    pieces = -(-(shape[3] if shape[6] else shape[5]) // PIECE)
    return pieces, parts, shape[1] * parts * pieces


def group_of(part: int) -> int:
    """How many slots are taken at a time where a part of a run has so many elements."""
    return max(1, PIECE // part)


@njit(**INLINE)
def _slot(number, shape):
    """The set of a slot, where it starts, its elements, and where its weight is."""
    pieces, parts, each_set = slots_of(shape)
    s = number // each_set
    inside = number - s * each_set
    piece = inside % pieces
    part = inside // pieces % parts
    start, row = place(s, shape)
    length = shape[3] if shape[6] else shape[5]
    at = start + inside // pieces // parts * shape[2] * shape[3] + part * shape[5] + piece * PIECE
    where = row * shape[3] + piece * PIECE if shape[6] else row * parts + part
    return s, at, min(PIECE, length - piece * PIECE), where


@kernel
def measure_slots(first, last, token, wide, shape_at, group, slots, x_at, kept_at, found_at, state_at):
    """The sums of d and d^2 of every slot whose set wants them."""
    x, kept, found, state = pointer(x_at, token), pointer(kept_at, wide), pointer(found_at, 0.0), pointer(state_at, 0)
    shape, zero = pointer(shape_at, 0), like(0.0, wide)
    sets = shape[0] * shape[2]
    for number in range(first * group, min(last * group, slots)):
        s, at, count, _ = _slot(number, shape)
        if state[s] & MEASURE:
            unit, shift = kept[UNIT * sets + s], kept[MEAN * sets + s]
            found[2 * number], found[2 * number + 1] = moments(x, at, 0, 1, count, unit, shift, zero)


@kernel
def settle(first, last, token, wide, shape_at, limits_at, x_at, kept_at, found_at, state_at):
    """Begin each set, or judge its sums: its statistics, or what to measure it about once more."""
    x, kept, found, state = pointer(x_at, token), pointer(kept_at, wide), pointer(found_at, 0.0), pointer(state_at, 0)
    shape, limits, zero = pointer(shape_at, 0), pointer(limits_at, 0.0), like(0.0, wide)
    runs, length, sets, stride = shape[1], shape[3], shape[0] * shape[2], shape[2] * shape[3]
    _, _, each_set = slots_of(shape)
    count = float(runs * length)
    for s in range(first, last):
        start, _ = place(s, shape)
        if state[s] < 0:  # nothing is known yet
            state[s] = MEASURE
            kept[UNIT * sets + s] = like(1.0, zero)
            kept[MEAN * sets + s] = near(x, start, stride, runs, length, like(1.0, zero), zero) if shape[11] else zero
            continue
        if not state[s] & MEASURE:
            continue
        total = total_low = square = square_low = 0.0
        for k in range(s * each_set, (s + 1) * each_set):
            total, total_low = plus(total, total_low, found[2 * k])
            square, square_low = plus(square, square_low, found[2 * k + 1])
        total, square = total + total_low, square + square_low
        shift, unit = kept[MEAN * sets + s], kept[UNIT * sets + s]
        off = total / count if shape[11] else 0.0
        if not state[s] & RANGED and not limits[1] <= square <= limits[2]:
            state[s] |= RANGED
            unit = like(find_unit(x, start, stride, runs, length, limits), zero)
            if unit != 1:
                kept[UNIT * sets + s] = unit
                kept[MEAN * sets + s] = near(x, start, stride, runs, length, unit, zero) if shape[11] else zero
                continue
        if not state[s] & MOVED and off * total > limits[7] * (square - off * total):
            state[s] |= MOVED
            kept[MEAN * sets + s] = like(float(shift) + off, zero)
            continue
        state[s] = 0
        about = square - off * total
        about = (0.0 if about < 0 else about) / (count if shape[12] else 1.0)
        kept[MEAN * sets + s], kept[RESIDUE * sets + s] = centre_of(shift, off, zero)
        kept[SQUARE * sets + s] = like(about, zero)
        kept[RSTD * sets + s] = like(inverse(about, float(unit), limits[0], shape[13]), zero)


@kernel
def write_slots(first, last, token, wide, shape_at, group, slots, x_at, y_at, weight_at, bias_at, kept_at):
    """y."""
    x, y, kept = pointer(x_at, token), pointer(y_at, token), pointer(kept_at, wide)
    weight, bias = pointer(weight_at, wide), pointer(bias_at, wide)
    shape, zero = pointer(shape_at, 0), like(0.0, wide)
    sets = shape[0] * shape[2]
    for number in range(first * group, min(last * group, slots)):
        s, at, count, where = _slot(number, shape)
        centre, rstd, unit = -kept[MEAN * sets + s], kept[RSTD * sets + s], kept[UNIT * sets + s]
        offset = -kept[RESIDUE * sets + s] * rstd
        if shape[6]:
            if shape[16]:
                write_each_past(x, y, at, count, unit, centre, rstd, offset, weight, bias, where, bias_at != 0)
            else:
                write_each(x, y, at, count, unit, centre, rstd, offset, weight, bias, where, bias_at != 0)
        else:
            w = load(weight, where) if weight_at else like(1.0, zero)
            b = load(bias, where) if bias_at else zero
            if shape[16]:
                write_past(x, y, at, count, unit, centre, rstd * w, carried(offset, w, b))
            else:
                write(x, y, at, count, unit, centre, rstd * w, carried(offset, w, b))
    fence()


@kernel
def sum_slots(first, last, token, wide, shape_at, group, slots, dy_at, x_at, weight_at, kept_at, found_at):
    """The sums of g and g * z of every slot; with the weight where there is one for each element."""
    dy, x, weight = pointer(dy_at, token), pointer(x_at, token), pointer(weight_at, wide)
    kept, found = pointer(kept_at, wide), pointer(found_at, 0.0)
    shape, zero = pointer(shape_at, 0), like(0.0, wide)
    sets = shape[0] * shape[2]
    for number in range(first * group, min(last * group, slots)):
        s, at, count, where = _slot(number, shape)
        centre, rstd, unit = -kept[MEAN * sets + s], kept[RSTD * sets + s], kept[UNIT * sets + s]
        offset = -kept[RESIDUE * sets + s] * rstd
        if shape[6]:
            t, a = pull_sums_each(dy, x, at, count, unit, centre, rstd, offset, weight, where, zero)
        else:
            t, a = pull_sums(dy, x, at, count, unit, centre, rstd, offset, zero)
        found[2 * number], found[2 * number + 1] = t, a


@kernel
def settle_pull(first, last, wide, shape_at, limits_at, weight_at, kept_at, found_at, slopes_at, parts_at):
    """What each set's dx is made of, and the sums of g * z and g for each part of its weight."""
    weight, kept, found = pointer(weight_at, wide), pointer(kept_at, wide), pointer(found_at, 0.0)
    slopes, held = pointer(slopes_at, 0.0), pointer(parts_at, 0.0)
    shape, limits = pointer(shape_at, 0), pointer(limits_at, 0.0)
    pieces, parts, each_set = slots_of(shape)
    sets = shape[0] * shape[2]
    for s in range(first, last):
        _, row = place(s, shape)
        total = total_low = along = along_low = 0.0
        for k in range(parts):
            t = t_low = a = a_low = 0.0
            for p in range(shape[1]):
                number = s * each_set + (p * parts + k) * pieces
                for j in range(number, number + pieces):
                    t, t_low = plus(t, t_low, found[2 * j])
                    a, a_low = plus(a, a_low, found[2 * j + 1])
            w = float(load(weight, row * parts + k)) if weight_at and not shape[6] else 1.0
            total, total_low = plus(total, total_low, w * (t + t_low))
            along, along_low = plus(along, along_low, w * (a + a_low))
            if parts_at and not shape[6]:
                held[2 * s * parts + k], held[(2 * s + 1) * parts + k] = a + a_low, t + t_low
        keep_slopes(slopes, s, total + total_low, along + along_low, kept, s, sets, limits, shape)


@kernel
def pull_slots(first, last, token, wide, shape_at, group, slots, dy_at, x_at, dx_at, weight_at, kept_at, slopes_at):
    """dx, where a weight is held for a part of a run."""
    dy, x, dx = pointer(dy_at, token), pointer(x_at, token), pointer(dx_at, token)
    weight, kept, slopes = pointer(weight_at, wide), pointer(kept_at, wide), pointer(slopes_at, 0.0)
    shape, zero = pointer(shape_at, 0), like(0.0, wide)
    sets = shape[0] * shape[2]
    for number in range(first * group, min(last * group, slots)):
        s, at, count, where = _slot(number, shape)
        centre, rstd, unit = -kept[MEAN * sets + s], kept[RSTD * sets + s], kept[UNIT * sets + s]
        offset = -kept[RESIDUE * sets + s] * rstd
        w = float(load(weight, where)) if weight_at else 1.0
        scale, slope, level = slopes[3 * s] * w, like(slopes[3 * s + 1], zero), like(slopes[3 * s + 2], zero)
        by = like(scale, zero)
        if flat(shape):
            lift(dy, dx, at, count, by, level)
        elif shape[16]:
            pull_past(dy, x, dx, at, count, unit, centre, rstd, offset, by, slope, level)
        else:
            pull(dy, x, dx, at, count, unit, centre, rstd, offset, by, slope, level)
    fence()


@kernel
def pull_each_pieces(
    first, last, token, wide, shape_at, group, dy_at, x_at, dx_at, weight_at, kept_at, slopes_at, parts_at
):
    """dx, where every element of a run has its own weight: `group` runs of one piece at a time, summed for each."""
    dy, x, dx = pointer(dy_at, token), pointer(x_at, token), pointer(dx_at, token)
    weight, kept, slopes = pointer(weight_at, wide), pointer(kept_at, wide), pointer(slopes_at, 0.0)
    held, shape, zero = pointer(parts_at, 0.0), pointer(shape_at, 0), like(0.0, wide)
    runs, length, sets = shape[1], shape[3], shape[0] * shape[2]
    pieces, _, _ = slots_of(shape)
    most = min(PIECE, length)
    scratch = np.empty(6 * most)
    at = scratch.ctypes.data
    sums, dw, db = pointer(at, 0.0), pointer(at + 32 * most, wide), pointer(at + 40 * most, wide)
    for block in range(first, last):
        piece, begin = block % pieces, block // pieces * group
        end = min(begin + group, sets * runs)
        scratch[:] = 0.0
        count = min(PIECE, length - piece * PIECE)
        for visit in range(begin, end):
            s, at, _, where = _slot(visit * pieces + piece, shape)
            centre, rstd, unit = -kept[MEAN * sets + s], kept[RSTD * sets + s], kept[UNIT * sets + s]
            offset = -kept[RESIDUE * sets + s] * rstd
            scale, slope = like(slopes[3 * s], zero), like(slopes[3 * s + 1], zero)
            level = like(slopes[3 * s + 2], zero)
            if flat(shape):
                lift_each_summed(
                    dy, x, dx, at, count, unit, centre, rstd, offset, scale, level, weight, where, dw, db, 0
                )  # fmt: skip
            elif shape[16]:
                pull_each_past(
                    dy, x, dx, at, count, unit, centre, rstd, offset, scale, slope, level, weight, where, dw, db, 0
                )  # fmt: skip
            else:
                pull_each_summed(
                    dy, x, dx, at, count, unit, centre, rstd, offset, scale, slope, level, weight, where, dw, db, 0
                )  # fmt: skip
            if (visit - begin) % ROWS == ROWS - 1 or visit == end - 1:
                carry(dw, db, sums, count)
        to = block // pieces * 2 * length + piece * PIECE
        for i in range(count):
            held[to + i], held[to + length + i] = sums[i] + sums[count + i], sums[2 * count + i] + sums[3 * count + i]
    fence()
    scratch[0] = 0.0
