"""Backward passes of `columns`: the sums of dy * z and dy of every column, and with a set's sums the gradient of x."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math

import numpy as np
from numba import njit

from .columns_forward import block_of, blocks_of, part, recall, three
from .compiling import EXACT, kernel
from .halves import like, pointer
from .rows import FLOOR, NOTHING, OUTSIDE, RSTD, SQUARE, UNIT
from .strips import lift, lift_by_row, pull, pull_by_row, pull_sums, pull_sums_by_row
from .sums import plus

__all__ = ["backward_together", "pull_blocks", "pull_settle_blocks", "sum_blocks"]


@njit(**EXACT)
def _flat(rule):
    """Whether nothing flows back through a spread: it is known, or there is none."""
    return rule[3] != 0 or rule[2] == NOTHING


@njit(**EXACT)
def _settle(
    along, total, c, columns, first, period, sets, first_set, kept, weight, weighted, rule, eps, scale, slope, level,
    zero,
):  # fmt: skip
    """What multiplies dy, what multiplies z, and what is added, for every column."""
    length, all_sets = c[2], c[0] * c[3] // c[2]
    count = c[9] // c[3] * length
    for b in range(sets):
        a = a_low = t = t_low = 0.0
        for start in range(b * length, columns, period):
            for j in range(start, start + length):
                w = float(weight[(first + j) % c[3]]) if weighted else 1.0
                a, a_low = plus(a, a_low, w * along[j])
                t, t_low = plus(t, t_low, w * total[j])
        a, t = a + a_low, t + t_low
        s = first_set + b
        over, root = float(kept[RSTD * all_sets + s]), math.sqrt(float(kept[SQUARE * all_sets + s]))
        unit = float(kept[UNIT * all_sets + s])
        rstd = over * unit
        down = -rstd * a / (count if rule[1] else 1)
        if rule[2] == NOTHING or rule[3] or (rule[2] == FLOOR and not root > eps * unit):
            down = 0.0
        elif rule[2] == OUTSIDE and root > 0:
            down = down / (over * root)
        shift = -rstd * t / count if rule[0] and not rule[3] else 0.0
        for start in range(b * length, columns, period):
            for j in range(start, start + length):
                w = float(weight[(first + j) % c[3]]) if weighted else 1.0
                scale[j], slope[j], level[j] = like(rstd * w, zero), like(down, zero), like(shift, zero)


@kernel
def sum_blocks(first, last, token, wide, item, c, dy_at, x_at, found_at, parts_at):
    """The sums of dy * z and dy of every column of a block of rows."""
    dy, x, width = pointer(dy_at, token), pointer(x_at, token), c[1]
    scratch = np.empty(4 * c[7])
    work = scratch.ctypes.data
    along_low, total_low = part(work, 0, c[7], 0, 0.0, 8), part(work, 1, c[7], 0, 0.0, 8)
    one, two = part(work, 2, c[7], 0, wide, 8), part(work, 3, c[7], 0, wide, 8)
    for number in range(first, last):
        a, d, at, rows, columns, extra, column = block_of(number, c)
        mean, rstd, offset = three(found_at, a, width, column, wide, item)
        k = 2 * (a * blocks_of(c)[0] + d)
        along, total = part(parts_at, k, width, column, 0.0, 8), part(parts_at, k + 1, width, column, 0.0, 8)
        pull_sums(
            dy, x, at, width, rows, columns, extra, mean, rstd, offset, along, along_low, total, total_low, one, two,
            wide,
        )  # fmt: skip
    scratch[0] = 0.0  # alive until here, whatever the pointers to it tell the compiler


@njit(**EXACT)
def _report(along, total, columns, first, period, to):
    """The sums of the columns of each weight: four rows as wide as a period, each second what the one above lost."""
    for j in range(columns):
        k = (first + j) % period
        to[k], to[period + k] = plus(to[k], to[period + k], along[j])
        to[2 * period + k], to[3 * period + k] = plus(to[2 * period + k], to[3 * period + k], total[j])


@njit(**EXACT)
def _add(one, other, count):
    for j in range(count):
        one[j] += other[j]


@kernel
def pull_settle_blocks(first, last, token, wide, item, c, rule, eps, weight_at, kept_at, parts_at, found_at, sums_at):
    """The sums of all blocks of rows, those of each weight, and what each column's gradient is made with."""
    kept, weight, width, down = pointer(kept_at, wide), pointer(weight_at, wide), c[1], blocks_of(c)[0]
    for a in range(first, last):
        both = part(parts_at, 2 * a * down, width, 0, 0.0, 8)
        step = 1
        while step < down:
            for d in range(0, down - step, 2 * step):
                one = part(parts_at, 2 * (a * down + d), width, 0, 0.0, 8)
                _add(one, part(parts_at, 2 * (a * down + d + step), width, 0, 0.0, 8), 2 * width)
            step *= 2
        total = part(parts_at, 2 * a * down + 1, width, 0, 0.0, 8)
        _report(both, total, width, 0, c[3], part(sums_at, 4 * a, c[3], 0, 0.0, 8))
        scale, slope, level = three(found_at, a, width, 0, wide, item)
        _settle(
            both, total, c, width, 0, c[3], c[3] // c[2], a * c[3] // c[2], kept, weight, weight_at, rule, eps,
            scale, slope, level, wide,
        )  # fmt: skip


@kernel
def pull_blocks(first, last, token, wide, item, c, rule, dy_at, x_at, dx_at, found_at, made_at):
    """dx = dy * scale + z * slope + level."""
    dy, x, dx, width = pointer(dy_at, token), pointer(x_at, token), pointer(dx_at, token), c[1]
    for number in range(first, last):
        a, _, at, rows, columns, extra, column = block_of(number, c)
        mean, rstd, offset = three(found_at, a, width, column, wide, item)
        scale, slope, level = three(made_at, a, width, column, wide, item)
        if _flat(rule):
            lift(dy, dx, at, width, rows, columns, scale, level)
            lift(dy, dx, at + rows * width, width, 1, extra, scale, level)
            continue
        pull(dy, x, dx, at, width, rows, columns, mean, rstd, offset, scale, slope, level)
        pull(dy, x, dx, at + rows * width, width, 1, extra, mean, rstd, offset, scale, slope, level)


@kernel
def backward_together(first, last, token, wide, item, c, rule, eps, dy_at, x_at, dx_at, weight_at, kept_at, sums_at):
    """Sums and gradient of blocks of columns with all their rows."""
    dy, x, dx, width = pointer(dy_at, token), pointer(x_at, token), pointer(dx_at, token), c[1]
    weight, kept = pointer(weight_at, wide), pointer(kept_at, wide)
    scratch = np.empty(12 * c[7])
    work = scratch.ctypes.data
    along, along_low = part(work, 0, c[7], 0, 0.0, 8), part(work, 1, c[7], 0, 0.0, 8)
    total, total_low = part(work, 2, c[7], 0, 0.0, 8), part(work, 3, c[7], 0, 0.0, 8)
    one, two = part(work, 4, c[7], 0, wide, 8), part(work, 5, c[7], 0, wide, 8)
    mean, rstd, offset = three(work, 2, c[7], 0, wide, 8)
    scale, slope, level = three(work, 3, c[7], 0, wide, 8)
    for number in range(first, last):
        a, _, at, rows, columns, _, column = block_of(number, c)
        s, sets = (a * c[3] + column) // c[2], columns // c[2]
        recall(columns, c[2], columns, sets, s, c[0] * c[3] // c[2], kept, mean, rstd, offset)
        if c[8]:
            found = part(sums_at, 2 * number, rows, 0, 0.0, 8)
            pull_sums_by_row(
                dy, x, at, width, rows, columns, mean, rstd, offset, weight, along, along_low, total, total_low, one,
                two, found, wide,
            )  # fmt: skip
        else:
            pull_sums(
                dy, x, at, width, rows, columns, 0, mean, rstd, offset, along, along_low, total, total_low, one, two,
                wide,
            )  # fmt: skip
            _report(along, total, columns, column, c[3], part(sums_at, 4 * a, c[3], 0, 0.0, 8))
        weighted = weight_at != 0 and not c[8]
        _settle(
            along, total, c, columns, column, columns, sets, s, kept, weight, weighted, rule, eps, scale, slope, level,
            wide,
        )  # fmt: skip
        if _flat(rule):
            if c[8]:
                lift_by_row(dy, dx, at, width, rows, columns, rstd, level, weight)
            else:
                lift(dy, dx, at, width, rows, columns, scale, level)
        elif c[8]:
            pull_by_row(dy, x, dx, at, width, rows, columns, mean, rstd, offset, slope, level, weight)
        else:
            pull(dy, x, dx, at, width, rows, columns, mean, rstd, offset, scale, slope, level)
    scratch[0] = 0.0
