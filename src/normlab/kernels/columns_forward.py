"""Forward passes of `columns`: kernels over blocks of rows and columns, and the merging of what they measured."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

from .compiling import EXACT, kernel
from .halves import like, pointer
from .rows import MEAN, RESIDUE, RSTD, SQUARE, UNIT, _measure, inverse
from .strips import apply, apply_by_row, measure
from .sums import plus

__all__ = [
    "block_of", "blocks_of", "forward_together", "measure_blocks", "part", "recall", "recall_blocks", "settle_blocks",
    "three", "write_blocks",
]  # fmt: skip


@njit(**EXACT)
def _merge(high, low, square, columns, period, length, b, rows, extra):
    """Set b's columns merged: its mean, what that left, its sum of squares and its count."""
    base, offset, total, lost, count = high[b * length], low[b * length], 0.0, 0.0, 0.0
    for start in range(b * length, columns, period):
        for j in range(start, start + length):
            n = rows + 1.0 if j < extra else rows + 0.0
            d = ((high[j] - base) + low[j]) - offset
            offset += d * (n / (count + n))
            total, lost = plus(total, lost, square[j] + d * d * (count * n / (count + n)))
            count += n
    mean, left = plus(base, 0.0, offset)
    return mean, left, total + lost, count


@njit(**EXACT)
def _again(x, start, stride, runs, length, centre, limits, zero):
    """A set whose squares left the dtype's range, or were no numbers, by itself."""
    return _measure(x, start, stride, runs, length, centre, limits, zero)


@njit(**EXACT)
def _settle(
    high, low, square, x, start, c, columns, extra, first_set, all_sets, kept, mean, rstd, offset, limits, rule, zero
):
    """The statistics of the sets of some columns, which begin at `start`, and for every column."""
    length, period = c[2], min(c[3], columns)
    for b in range(period // length):
        m, left, total, count = _merge(high, low, square, columns, period, length, b, c[4], extra)
        rounded, unit = like(m, zero), 1.0
        residue = like((m - float(rounded)) + left, zero)
        if not limits[1] <= total <= limits[2]:
            runs = c[9] // c[3]
            rounded, residue, total, found = _again(x, start + b * length, c[3], runs, length, rule[0], limits, zero)
            unit = float(found)
        spread = total / count if rule[1] else total
        over = inverse(spread, unit, limits[0], rule[2])
        s = first_set + b
        kept[MEAN * all_sets + s], kept[RESIDUE * all_sets + s] = rounded, residue
        kept[RSTD * all_sets + s], kept[SQUARE * all_sets + s] = like(over, zero), like(spread, zero)
        kept[UNIT * all_sets + s] = like(unit, zero)
        for first in range(b * length, columns, period):
            for j in range(first, first + length):
                mean[j], rstd[j] = like(float(rounded) / unit, zero), like(over * unit, zero)
                offset[j] = like(-float(residue) * over, zero)


@njit(**EXACT)
def recall(columns, length, period, sets, first_set, all_sets, kept, mean, rstd, offset):
    """What `_settle` gave every column, from what was kept of the sets, by whichever kernel."""
    for b in range(sets):
        s = first_set + b
        unit, over = kept[UNIT * all_sets + s], kept[RSTD * all_sets + s]
        for start in range(b * length, columns, period):
            for j in range(start, start + length):
                mean[j], rstd[j] = kept[MEAN * all_sets + s] / unit, over * unit
                offset[j] = -kept[RESIDUE * all_sets + s] * over


@njit(**EXACT)
def _weigh(columns, first, period, rstd, offset, weight, bias, weighted, biased):
    """rstd and offset become what multiplies x - mean and what is added then."""
    for j in range(columns):
        k = (first + j) % period
        if weighted:
            rstd[j] *= weight[k]
            offset[j] *= weight[k]
        if biased:
            offset[j] += bias[k]


@njit(**EXACT)
def blocks_of(c):
    """How many blocks lie one below the other, and side by side."""
    return (c[4] + c[6] - 1) // c[6], (c[1] + c[7] - 1) // c[7]


@njit(**EXACT)
def block_of(number, c):
    """A block: which of `outer`, which row of blocks, its start, rows, columns, extra columns, and first column."""
    down, across = blocks_of(c)
    a, d, first = number // (down * across), number // across % down, number % across * c[7]
    rows, columns = min(c[6], c[4] - d * c[6]), min(c[7], c[1] - first)
    extra = max(0, min(columns, c[5] - first)) if d == down - 1 else 0
    return a, d, a * c[9] + d * c[6] * c[1] + first, rows, columns, extra, first


@njit(**EXACT)
def part(at, k, width, column, token, item):
    """Row k, from `column` on, of an array of rows as wide as `width`, of numbers of `item` bytes."""
    return pointer(at + item * (k * width + column), token)


@njit(**EXACT)
def three(at, a, width, column, wide, item):
    """Three rows of numbers for the columns from `column` on, of the a-th of `outer`."""
    first, second = part(at, 3 * a, width, column, wide, item), part(at, 3 * a + 1, width, column, wide, item)
    return first, second, part(at, 3 * a + 2, width, column, wide, item)


@kernel
def measure_blocks(first, last, token, wide, item, c, rule, x_at, parts_at):
    """The mean (high + low) and the sum of squares of every column of a block of rows."""
    x, width = pointer(x_at, token), c[1]
    scratch = np.empty(4 * c[7])
    work = scratch.ctypes.data
    lost, mean = part(work, 0, c[7], 0, 0.0, 8), part(work, 1, c[7], 0, wide, 8)
    left, sums = part(work, 2, c[7], 0, wide, 8), part(work, 3, c[7], 0, wide, 8)
    for number in range(first, last):
        a, d, at, rows, columns, extra, column = block_of(number, c)
        k = 3 * (a * blocks_of(c)[0] + d)
        high, low = part(parts_at, k, width, column, 0.0, 8), part(parts_at, k + 1, width, column, 0.0, 8)
        square = part(parts_at, k + 2, width, column, 0.0, 8)
        measure(x, at, width, rows, columns, extra, rule[0], high, low, square, lost, mean, left, sums, wide)
    scratch[0] = 0.0  # alive until here, whatever the pointers to it tell the compiler


@njit(**EXACT)
def _stack(one, other, n, m, start, stop, width):
    """Merge into columns of n elements those of another block, of m. Three rows: mean, what it left, squares."""
    share = m / (n + m)
    for j in range(start, stop):
        d = ((other[j] - one[j]) + other[width + j]) - one[width + j]
        one[width + j] += d * share
        one[2 * width + j] += other[2 * width + j] + d * d * (n * share)


@kernel
def settle_blocks(
    first, last, token, wide, item, c, rule, limits_at, x_at, weight_at, bias_at, kept_at, parts_at, found_at
):
    """The blocks of rows merged, the statistics of all sets of one of `outer`, and what each column is written with."""
    x, kept, limits = pointer(x_at, token), pointer(kept_at, wide), pointer(limits_at, 0.0)
    width, sets = c[1], c[3] // c[2]
    down = blocks_of(c)[0]
    for a in range(first, last):
        k = 3 * a * down
        high, low = part(parts_at, k, width, 0, 0.0, 8), part(parts_at, k + 1, width, 0, 0.0, 8)
        square = part(parts_at, k + 2, width, 0, 0.0, 8)
        step = 1
        while step < down:  # pairs, then pairs of pairs: rounding grows with the logarithm of the blocks
            for d in range(0, down - step, 2 * step):
                one = part(parts_at, k + 3 * d, width, 0, 0.0, 8)
                other = part(parts_at, k + 3 * (d + step), width, 0, 0.0, 8)
                n, m = 1.0 * step * c[6], 1.0 * min(step * c[6], c[4] - (d + step) * c[6])
                extra = c[5] if d + 2 * step >= down else 0
                _stack(one, other, n, m + 1.0, 0, extra, width)
                _stack(one, other, n, m, extra, width, width)
            step *= 2
        mean, rstd, offset = three(found_at, a, width, 0, wide, item)
        _settle(
            high, low, square, x, a * c[9], c, width, c[5], a * sets, c[0] * sets, kept, mean, rstd, offset, limits,
            rule, wide,
        )  # fmt: skip
        _weigh(width, 0, c[3], rstd, offset, pointer(weight_at, wide), pointer(bias_at, wide), weight_at, bias_at)


@kernel
def write_blocks(first, last, token, wide, item, c, x_at, y_at, found_at):
    """y = (x - mean) * scale + shift."""
    x, y, width = pointer(x_at, token), pointer(y_at, token), c[1]
    for number in range(first, last):
        a, _, at, rows, columns, extra, column = block_of(number, c)
        mean, scale, shift = three(found_at, a, width, column, wide, item)
        apply(x, y, at, width, rows, columns, mean, scale, shift)
        apply(x, y, at + rows * width, width, 1, extra, mean, scale, shift)


@kernel
def forward_together(first, last, token, wide, item, c, rule, limits_at, x_at, y_at, weight_at, bias_at, kept_at):
    """Statistics and output of blocks of columns with all their rows."""
    x, y, kept, limits = pointer(x_at, token), pointer(y_at, token), pointer(kept_at, wide), pointer(limits_at, 0.0)
    weight, bias, width = pointer(weight_at, wide), pointer(bias_at, wide), c[1]
    scratch = np.empty(9 * c[7])
    work = scratch.ctypes.data
    high, low = part(work, 0, c[7], 0, 0.0, 8), part(work, 1, c[7], 0, 0.0, 8)
    square, lost = part(work, 2, c[7], 0, 0.0, 8), part(work, 3, c[7], 0, 0.0, 8)
    mean, left = part(work, 4, c[7], 0, wide, 8), part(work, 5, c[7], 0, wide, 8)
    sums, rstd = part(work, 6, c[7], 0, wide, 8), part(work, 7, c[7], 0, wide, 8)
    offset = part(work, 8, c[7], 0, wide, 8)
    for number in range(first, last):
        a, _, at, rows, columns, _, column = block_of(number, c)
        s, all_sets = (a * c[3] + column) // c[2], c[0] * c[3] // c[2]
        if rule[3]:
            recall(columns, c[2], columns, columns // c[2], s, all_sets, kept, mean, rstd, offset)
        else:
            measure(x, at, width, rows, columns, 0, rule[0], high, low, square, lost, mean, left, sums, wide)
            _settle(
                high, low, square, x, a * c[9] + column, c, columns, 0, s, all_sets, kept, mean, rstd, offset, limits,
                rule, wide,
            )  # fmt: skip
        if c[8]:
            apply_by_row(x, y, at, width, rows, columns, mean, rstd, offset, weight, bias, weight_at, bias_at, wide)
        else:
            _weigh(columns, column, c[3], rstd, offset, weight, bias, weight_at, bias_at)
            apply(x, y, at, width, rows, columns, mean, rstd, offset)
    scratch[0] = 0.0


@kernel
def recall_blocks(first, last, token, wide, item, c, weight_at, bias_at, kept_at, found_at):
    """What each column is written with, from statistics that are known."""
    kept, width, sets = pointer(kept_at, wide), c[1], c[3] // c[2]
    for a in range(first, last):
        mean, rstd, offset = three(found_at, a, width, 0, wide, item)
        recall(width, c[2], c[3], sets, a * sets, c[0] * sets, kept, mean, rstd, offset)
        _weigh(width, 0, c[3], rstd, offset, pointer(weight_at, wide), pointer(bias_at, wide), weight_at, bias_at)
