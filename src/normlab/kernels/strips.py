"""The innermost loops of sets that lie side by side: rows are gone through four at a time, every column for itself.

x is rows `stride` apart; what belongs to a column lies in arrays as long as a row. Nothing is summed along a row, so
every loop is a loop of vectors as it stands, and no element depends on the columns beside it. Sums are kept in the
dtype for `ROWS` rows, then added in float64 to a sum that also keeps what its additions lost.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from numba import njit

from .compiling import EXACT, SUMMED
from .halves import bump, like, load, muladd, store, sub
from .sums import plus

__all__ = [
    "DEEP", "apply", "apply_by_row", "lift", "lift_by_row", "measure", "pull", "pull_by_row", "pull_sums",
    "pull_sums_by_row",
]  # fmt: skip

ROWS = 16
# Blocks of so many rows are measured in one sweep, about a value near the mean of each column.
DEEP = 128


@njit(**EXACT)
def _sum_four(x, at, stride, cols, shift, sums):
    a, b, c = at + stride, at + 2 * stride, at + 3 * stride
    for j in range(cols):
        s = load(shift, j)
        first = sub(load(x, at + j), s) + sub(load(x, a + j), s)
        bump(sums, j, first + (sub(load(x, b + j), s) + sub(load(x, c + j), s)))


@njit(**EXACT)
def _sum_one(x, at, cols, shift, sums):
    for j in range(cols):
        bump(sums, j, sub(load(x, at + j), load(shift, j)))


@njit(**EXACT)
def _square_four(x, at, stride, cols, mean, left, sums):
    a, b, c = at + stride, at + 2 * stride, at + 3 * stride
    for j in range(cols):
        m, r = load(mean, j), load(left, j)
        d0, d1 = sub(sub(load(x, at + j), m), r), sub(sub(load(x, a + j), m), r)
        d2, d3 = sub(sub(load(x, b + j), m), r), sub(sub(load(x, c + j), m), r)
        bump(sums, j, muladd(d0, d0, d1 * d1) + muladd(d2, d2, d3 * d3))


@njit(**EXACT)
def _square_one(x, at, cols, mean, left, sums):
    for j in range(cols):
        d = sub(sub(load(x, at + j), load(mean, j)), load(left, j))
        bump(sums, j, d * d)


@njit(**EXACT)
def _flush(sums, cols, high, low, zero):
    """Add sums to high + low, and start them again."""
    for j in range(cols):
        high[j], low[j] = plus(high[j], low[j], float(sums[j]))
        sums[j] = zero


@njit(**EXACT)
def _clear(a, cols, zero):
    for j in range(cols):
        a[j] = zero


@njit(**EXACT)
def _both_four(x, at, stride, cols, shift, sums, squares):
    a, b, c = at + stride, at + 2 * stride, at + 3 * stride
    for j in range(cols):
        s = load(shift, j)
        d0, d1 = sub(load(x, at + j), s), sub(load(x, a + j), s)
        d2, d3 = sub(load(x, b + j), s), sub(load(x, c + j), s)
        bump(sums, j, (d0 + d1) + (d2 + d3))
        bump(squares, j, muladd(d0, d0, d1 * d1) + muladd(d2, d2, d3 * d3))


@njit(**EXACT)
def _both_one(x, at, cols, shift, sums, squares):
    for j in range(cols):
        d = sub(load(x, at + j), load(shift, j))
        bump(sums, j, d)
        bump(squares, j, d * d)


@njit(**EXACT)
def _sum_rows(x, at, stride, rows, cols, extra, step, high, low, shift, sums, zero):
    for first in range(0, rows, step):
        last = min(first + step, rows)
        for p in range(first, last - 3, 4):
            _sum_four(x, at + p * stride, stride, cols, shift, sums)
        for p in range(last - (last - first) % 4, last):
            _sum_one(x, at + p * stride, cols, shift, sums)
        _flush(sums, cols, high, low, zero)
    _sum_one(x, at + rows * stride, extra, shift, sums)
    _flush(sums, extra, high, low, zero)


@njit(**EXACT)
def _sum_squares(x, at, stride, rows, cols, extra, step, square, lost, mean, left, sums, zero):
    for first in range(0, rows, step):
        last = min(first + step, rows)
        for p in range(first, last - 3, 4):
            _square_four(x, at + p * stride, stride, cols, mean, left, sums)
        for p in range(last - (last - first) % 4, last):
            _square_one(x, at + p * stride, cols, mean, left, sums)
        _flush(sums, cols, square, lost, zero)
    _square_one(x, at + rows * stride, extra, mean, left, sums)
    _flush(sums, extra, square, lost, zero)


@njit(**EXACT)
def _sum_both(x, at, stride, rows, cols, extra, high, low, square, lost, shift, sums, squares, zero):
    """One sweep: sums and squares about `shift`, then the squares about the mean; whether that cost few digits."""
    for first in range(0, rows, ROWS):
        last = min(first + ROWS, rows)
        for p in range(first, last - 3, 4):
            _both_four(x, at + p * stride, stride, cols, shift, sums, squares)
        for p in range(last - (last - first) % 4, last):
            _both_one(x, at + p * stride, cols, shift, sums, squares)
        _flush(sums, cols, high, low, zero)
        _flush(squares, cols, square, lost, zero)
    _both_one(x, at + rows * stride, extra, shift, sums, squares)
    _flush(sums, extra, high, low, zero)
    _flush(squares, extra, square, lost, zero)
    near = True
    for j in range(cols):
        total = high[j] + low[j]
        off = total / (rows + 1 if j < extra else rows)
        square[j] = (square[j] + lost[j]) - off * total
        near &= off * total <= square[j]  # the mean lies within one spread of the shift
        lost[j] = 0.0
    return near


@njit(**EXACT)
def _centre(rows, cols, extra, high, low, mean, left, zero):
    """From a shift (`mean`) and the sums about it: the mean, as high + low in float64, as mean + left in the dtype."""
    for j in range(cols):
        count = rows + 1 if j < extra else rows
        high[j], low[j] = plus(float(mean[j]), 0.0, (high[j] + low[j]) / count)
        mean[j] = like(high[j], zero)
        left[j] = like((high[j] - float(mean[j])) + low[j], zero)


@njit(**EXACT)
def measure(x, at, stride, rows, cols, extra, centre, high, low, square, lost, mean, left, sums, zero):
    """The mean of each column, high + low, and the sum of squares about it (about 0 without `centre`).

    The first `extra` columns have one more row. `mean` + `left`: the mean in the dtype; `lost` and `sums` are for work.
    """
    wide = like(1.0 + 2.0**-40, zero) != 1
    step = 4 if wide else ROWS  # float64 has nothing wider to add up in
    _clear(high, cols, 0.0)
    _clear(low, cols, 0.0)
    _clear(square, cols, 0.0)
    _clear(lost, cols, 0.0)
    _clear(left, cols, zero)
    _clear(sums, cols, zero)
    for j in range(cols):
        mean[j] = load(x, at + j) if centre else zero
    if centre and rows >= DEEP and not wide:
        _sum_rows(x, at, stride, 2 * ROWS, cols, 0, step, high, low, mean, sums, zero)
        _centre(2 * ROWS, cols, 0, high, low, mean, left, zero)
        _clear(high, cols, 0.0)
        _clear(low, cols, 0.0)
        _clear(left, cols, zero)
        if _sum_both(x, at, stride, rows, cols, extra, high, low, square, lost, mean, sums, left, zero):
            _centre(rows, cols, extra, high, low, mean, left, zero)
            return
        _clear(high, cols, 0.0)
        _clear(low, cols, 0.0)
        _clear(square, cols, 0.0)
    if centre:
        _sum_rows(x, at, stride, rows, cols, extra, step, high, low, mean, sums, zero)
        _centre(rows, cols, extra, high, low, mean, left, zero)
    _sum_squares(x, at, stride, rows, cols, extra, step, square, lost, mean, left, sums, zero)
    for j in range(cols):
        square[j] += lost[j]


@njit(**EXACT)
def _apply_four(x, y, at, stride, cols, mean, scale, shift):
    a, b, c = at + stride, at + 2 * stride, at + 3 * stride
    for j in range(cols):
        m, s, t = load(mean, j), load(scale, j), load(shift, j)
        store(y, at + j, muladd(sub(load(x, at + j), m), s, t))
        store(y, a + j, muladd(sub(load(x, a + j), m), s, t))
        store(y, b + j, muladd(sub(load(x, b + j), m), s, t))
        store(y, c + j, muladd(sub(load(x, c + j), m), s, t))


@njit(**EXACT)
def apply(x, y, at, stride, rows, cols, mean, scale, shift):
    """y = (x - mean) * scale + shift."""
    for p in range(0, rows - 3, 4):
        _apply_four(x, y, at + p * stride, stride, cols, mean, scale, shift)
    for p in range(rows - rows % 4, rows):
        row = at + p * stride
        for j in range(cols):
            store(y, row + j, muladd(sub(load(x, row + j), load(mean, j)), load(scale, j), load(shift, j)))


@njit(**EXACT)
def _apply_row(x, y, at, cols, mean, rstd, offset, w, b):
    for j in range(cols):
        z = muladd(sub(load(x, at + j), load(mean, j)), load(rstd, j), load(offset, j))
        store(y, at + j, muladd(z, w, b))


@njit(**EXACT)
def apply_by_row(x, y, at, stride, rows, cols, mean, rstd, offset, weight, bias, weighted, biased, zero):
    """y = ((x - mean) * rstd + offset) * weight + bias, with a weight and a bias for each row."""
    for p in range(rows):
        w = weight[p] if weighted else like(1.0, zero)
        b = bias[p] if biased else zero
        _apply_row(x, y, at + p * stride, cols, mean, rstd, offset, w, b)


@njit(**EXACT)
def _pull_four(dy, x, at, stride, cols, mean, rstd, offset, along, total):
    a, b, c = at + stride, at + 2 * stride, at + 3 * stride
    for j in range(cols):
        m, r, o = load(mean, j), load(rstd, j), load(offset, j)
        g0, g1, g2, g3 = load(dy, at + j), load(dy, a + j), load(dy, b + j), load(dy, c + j)
        z0, z1 = muladd(sub(load(x, at + j), m), r, o), muladd(sub(load(x, a + j), m), r, o)
        z2, z3 = muladd(sub(load(x, b + j), m), r, o), muladd(sub(load(x, c + j), m), r, o)
        bump(along, j, muladd(g0, z0, g1 * z1) + muladd(g2, z2, g3 * z3))
        bump(total, j, (g0 + g1) + (g2 + g3))


@njit(**EXACT)
def _pull_one(dy, x, at, cols, mean, rstd, offset, along, total):
    for j in range(cols):
        g, z = load(dy, at + j), muladd(sub(load(x, at + j), load(mean, j)), load(rstd, j), load(offset, j))
        bump(along, j, g * z)
        bump(total, j, g)


@njit(**EXACT)
def pull_sums(dy, x, at, stride, rows, cols, extra, mean, rstd, offset, along, along_low, total, total_low, a, t, zero):
    """The sums of dy * z and dy of each column; `a` and `t` are work space."""
    _clear(along, cols, 0.0)
    _clear(along_low, cols, 0.0)
    _clear(total, cols, 0.0)
    _clear(total_low, cols, 0.0)
    _clear(a, cols, zero)
    _clear(t, cols, zero)
    for first in range(0, rows, ROWS):
        last = min(first + ROWS, rows)
        p = first
        while p + 4 <= last:
            _pull_four(dy, x, at + p * stride, stride, cols, mean, rstd, offset, a, t)
            p += 4
        while p < last:
            _pull_one(dy, x, at + p * stride, cols, mean, rstd, offset, a, t)
            p += 1
        _flush(a, cols, along, along_low, zero)
        _flush(t, cols, total, total_low, zero)
    _pull_one(dy, x, at + rows * stride, extra, mean, rstd, offset, a, t)
    _flush(a, extra, along, along_low, zero)
    _flush(t, extra, total, total_low, zero)
    for j in range(cols):
        along[j] += along_low[j]
        total[j] += total_low[j]


@njit(**SUMMED)
def _pull_weighted(dy, x, at, cols, mean, rstd, offset, w, a, t, zero):
    """As `_pull_one` for dy * w; and the sums of dy * z and dy of the row."""
    along = zero
    total = zero
    for j in range(cols):
        g, z = load(dy, at + j), muladd(sub(load(x, at + j), load(mean, j)), load(rstd, j), load(offset, j))
        along += g * z
        total += g
        bump(a, j, g * w * z)
        bump(t, j, g * w)
    return along, total


@njit(**EXACT)
def pull_sums_by_row(
    dy, x, at, stride, rows, cols, mean, rstd, offset, weight, along, along_low, total, total_low, a, t, found, zero
):
    """As `pull_sums` for dy times its row's weight; found[p], found[rows + p]: the sums of dy * z and dy of row p."""
    _clear(along, cols, 0.0)
    _clear(along_low, cols, 0.0)
    _clear(total, cols, 0.0)
    _clear(total_low, cols, 0.0)
    _clear(a, cols, zero)
    _clear(t, cols, zero)
    for first in range(0, rows, ROWS):
        for p in range(first, min(first + ROWS, rows)):
            one, other = _pull_weighted(dy, x, at + p * stride, cols, mean, rstd, offset, weight[p], a, t, zero)
            found[p], found[rows + p] = float(one), float(other)
        _flush(a, cols, along, along_low, zero)
        _flush(t, cols, total, total_low, zero)
    for j in range(cols):
        along[j] += along_low[j]
        total[j] += total_low[j]


@njit(**EXACT)
def _pull_row(dy, x, dx, at, cols, mean, rstd, offset, scale, slope, level):
    for j in range(cols):
        z = muladd(sub(load(x, at + j), load(mean, j)), load(rstd, j), load(offset, j))
        store(dx, at + j, muladd(load(dy, at + j), load(scale, j), muladd(z, load(slope, j), load(level, j))))


@njit(**EXACT)
def _pull_two(dy, x, dx, at, stride, cols, mean, rstd, offset, scale, slope, level):
    b = at + stride
    for j in range(cols):
        m, r, o = load(mean, j), load(rstd, j), load(offset, j)
        w, s, t = load(scale, j), load(slope, j), load(level, j)
        z0, z1 = muladd(sub(load(x, at + j), m), r, o), muladd(sub(load(x, b + j), m), r, o)
        store(dx, at + j, muladd(load(dy, at + j), w, muladd(z0, s, t)))
        store(dx, b + j, muladd(load(dy, b + j), w, muladd(z1, s, t)))


@njit(**EXACT)
def pull(dy, x, dx, at, stride, rows, cols, mean, rstd, offset, scale, slope, level):
    """dx = dy * scale + z * slope + level."""
    for p in range(0, rows - 1, 2):
        _pull_two(dy, x, dx, at + p * stride, stride, cols, mean, rstd, offset, scale, slope, level)
    if rows % 2:
        _pull_row(dy, x, dx, at + (rows - 1) * stride, cols, mean, rstd, offset, scale, slope, level)


@njit(**EXACT)
def _pull_row_weighted(dy, x, dx, at, cols, mean, rstd, offset, slope, level, w):
    for j in range(cols):
        r = load(rstd, j)
        z = muladd(sub(load(x, at + j), load(mean, j)), r, load(offset, j))
        store(dx, at + j, muladd(load(dy, at + j) * w, r, muladd(z, load(slope, j), load(level, j))))


@njit(**EXACT)
def pull_by_row(dy, x, dx, at, stride, rows, cols, mean, rstd, offset, slope, level, weight):
    """dx = dy * weight * rstd + z * slope + level, with a weight for each row."""
    for p in range(rows):
        _pull_row_weighted(dy, x, dx, at + p * stride, cols, mean, rstd, offset, slope, level, weight[p])


@njit(**EXACT)
def _lift_row(dy, dx, at, cols, scale, level):
    for j in range(cols):
        store(dx, at + j, muladd(load(dy, at + j), load(scale, j), load(level, j)))


@njit(**EXACT)
def lift(dy, dx, at, stride, rows, cols, scale, level):
    """dx = dy * scale + level: nothing flows back through a spread, so what x is, were it NaN, is not asked."""
    for p in range(rows):
        _lift_row(dy, dx, at + p * stride, cols, scale, level)


@njit(**EXACT)
def _lift_row_weighted(dy, dx, at, cols, rstd, level, w):
    for j in range(cols):
        store(dx, at + j, muladd(load(dy, at + j) * w, load(rstd, j), load(level, j)))


@njit(**EXACT)
def lift_by_row(dy, dx, at, stride, rows, cols, rstd, level, weight):
    """`lift` with a weight for each row."""
    for p in range(rows):
        _lift_row_weighted(dy, dx, at + p * stride, cols, rstd, level, weight[p])
