"""What `sums` writes, past the caches: line by line, the same operations and so the same bytes.

For outputs that no cache would hold; ends of a run that fill no line are written as usual.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from numba import njit

from .compiling import EXACT
from .lines import bump_line, head, lanes, load_line, muladd_lines, store_line, times
from .sums import pull, pull_each_summed, write, write_each

__all__ = ["pull_each_past", "pull_past", "write_each_past", "write_past"]


@njit(**EXACT)
def write_past(x, y, start, count, unit, centre, scale, shift):
    """See `sums.write`."""
    first = min(head(y, start), count)
    last = first + (count - first) // lanes(y) * lanes(y)
    write(x, y, start, first, unit, centre, scale, shift)
    for i in range(start + first, start + last, lanes(y)):
        z = muladd_lines(muladd_lines(load_line(y, x, i), unit, centre), scale, shift)
        store_line(y, i, z)
    write(x, y, start + last, count - last, unit, centre, scale, shift)


@njit(**EXACT)
def write_each_past(x, y, start, count, unit, centre, rstd, offset, weight, bias, at, has_bias):
    """See `sums.write_each`."""
    first = min(head(y, start), count)
    last = first + (count - first) // lanes(y) * lanes(y)
    write_each(x, y, start, first, unit, centre, rstd, offset, weight, bias, at, has_bias)
    if has_bias:
        for i in range(first, last, lanes(y)):
            z = muladd_lines(muladd_lines(load_line(y, x, start + i), unit, centre), rstd, offset)
            store_line(y, start + i, muladd_lines(z, load_line(y, weight, at + i), load_line(y, bias, at + i)))
    else:
        for i in range(first, last, lanes(y)):
            z = muladd_lines(muladd_lines(load_line(y, x, start + i), unit, centre), rstd, offset)
            store_line(y, start + i, times(z, load_line(y, weight, at + i)))
    write_each(
        x, y, start + last, count - last, unit, centre, rstd, offset, weight, bias, at + last, has_bias
    )  # fmt: skip


@njit(**EXACT)
def pull_past(dy, x, dx, start, count, unit, centre, rstd, offset, scale, slope, level):
    """See `sums.pull`."""
    first = min(head(dx, start), count)
    last = first + (count - first) // lanes(dx) * lanes(dx)
    pull(dy, x, dx, start, first, unit, centre, rstd, offset, scale, slope, level)
    for i in range(start + first, start + last, lanes(dx)):
        z = muladd_lines(muladd_lines(load_line(dx, x, i), unit, centre), rstd, offset)
        store_line(dx, i, muladd_lines(load_line(dx, dy, i), scale, muladd_lines(z, slope, level)))
    pull(dy, x, dx, start + last, count - last, unit, centre, rstd, offset, scale, slope, level)


@njit(**EXACT)
def pull_each_past(dy, x, dx, start, count, unit, centre, rstd, offset, scale, slope, level, weight, at, dw, db, to):
    """See `sums.pull_each_summed`."""
    first = min(head(dx, start), count)
    last = first + (count - first) // lanes(dx) * lanes(dx)
    pull_each_summed(
        dy, x, dx, start, first, unit, centre, rstd, offset, scale, slope, level, weight, at, dw, db, to
    )  # fmt: skip
    for i in range(first, last, lanes(dx)):
        z = muladd_lines(muladd_lines(load_line(dx, x, start + i), unit, centre), rstd, offset)
        given = load_line(dx, dy, start + i)
        g = times(given, load_line(dx, weight, at + i))
        store_line(dx, start + i, muladd_lines(g, scale, muladd_lines(z, slope, level)))
        bump_line(dw, to + i, times(given, z))
        bump_line(db, to + i, given)
    pull_each_summed(
        dy, x, dx, start + last, count - last, unit, centre, rstd, offset, scale, slope, level, weight, at + last, dw,
        db, to + last,
    )  # fmt: skip
