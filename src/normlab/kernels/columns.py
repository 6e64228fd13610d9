"""Sets that lie side by side: pooled axes outside, kept ones inside, as in channels-last memory.

A problem is (outer, runs, inner, length), see `collapse`: `runs` rows of inner * length columns, the set of a column
is column // length. Every column is measured for itself; a set's columns, and the columns of different blocks of rows,
are merged by Chan's formula. Two ways through, chosen by the shape:

    together    a block of columns, all its rows, lies in the cache: measured and written by one task
    apart       blocks of rows are measured, merged, and then written: x comes from memory twice

Where rows are short, several are taken for one row of more columns (folded). A set whose squares leave the range of the
dtype is measured once more by itself, as `rows` does it, in a unit of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import pool
from .collapse import Problem
from .columns_backward import backward_together, pull_blocks, pull_settle_blocks, sum_blocks
from .columns_forward import forward_together, measure_blocks, recall_blocks, settle_blocks, write_blocks
from .halves import TOKENS, compute_dtype
from .strips import DEEP

__all__ = ["Cut", "Rule", "backward", "covers", "cut", "forward"]

ELEMENTS = 65_536  # of a block
COLUMNS = 256  # a block has at least so many, or all: shorter pieces of memory come slowly
SHORT, FOLDED = 64, 1024  # rows shorter than the first are folded; to the second, where 32 rows are left
TOGETHER = 131_072  # elements of the narrowest block of all rows, up to which the cache holds it
PAGE = 1024  # elements


class Rule(NamedTuple):
    """How a set is normalized, for kernels: `rule` is one of rows.INSIDE, FLOOR, OUTSIDE, NOTHING."""

    centre: bool
    by_count: bool  # std and rms: the squares are averaged; l2: they are not
    rule: int
    eps: float


class Cut(NamedTuple):
    """The blocks of a problem. Rows and columns are those after folding."""

    outer: int
    columns: int  # in a row
    length: int  # columns of a set side by side
    period: int  # columns after which the sets start over: what a row had before folding
    rows: int
    extra: int  # columns of the last row, where it is not a whole one
    block_rows: int
    block_columns: int
    by_row: int  # 1: the weight runs along the rows
    size: int  # elements of one of `outer`

    @property
    def down(self) -> int:
        """Blocks one below the other."""
        return -(-self.rows // self.block_rows)

    @property
    def blocks(self) -> int:
        """All blocks."""
        return self.outer * self.down * -(-self.columns // self.block_columns)


def covers(problem: Problem) -> str | None:
    """Why these kernels cannot do it; None where they can."""
    if problem.counts[0] > 1:
        return "the weight runs along the outermost kept axes"
    if problem.counts[1] > 1 and max(problem.counts[2:]) > 1:
        return "the weight runs along two axes that are not neighbours in memory"
    return None


def cut(problem: Problem) -> Cut:
    """The blocks, by the shape alone."""
    period, by_row = problem.inner * problem.length, int(problem.counts[1] > 1)
    fold = min(max(problem.runs // 32, min(problem.runs, -(-SHORT // period))), -(-FOLDED // period))
    fold = 1 if by_row else max(1, fold)
    columns, rows, extra = period * fold, problem.runs // fold, problem.runs % fold * period
    # Rows a multiple of a page apart share few sets of the cache, so that narrow blocks of them drive each other out.
    paged = problem.outer > 1 and columns % PAGE == 0 and rows * columns <= 4 * TOGETHER
    least = columns if paged else max(COLUMNS, ELEMENTS // rows)
    block_rows = rows
    if not by_row and (fold > 1 or rows * min(columns, COLUMNS) > TOGETHER):
        least = ELEMENTS // 64
        block_rows = ELEMENTS // min(columns, least)
        if rows >= DEEP:  # they are swept once and need not stay in the cache
            block_rows = -(-rows // max(1, rows * min(columns, least) // (4 * ELEMENTS)))
        block_rows = min(rows, block_rows)
    sets = -(-columns // problem.length // max(1, columns // least))  # of each block, about equal
    return Cut(
        problem.outer, columns, problem.length, period, rows, extra, block_rows,
        columns if fold > 1 else sets * problem.length, by_row, problem.runs * period,
    )  # fmt: skip


def _numbers(problem: Problem) -> np.ndarray | None:
    """Which element of the weight belongs to each column, or each row; None where they are the same."""
    counts, repeats = problem.counts, problem.repeats
    if counts[1] > 1:
        return None if counts[1] == problem.runs else np.arange(problem.runs) // repeats[1] % counts[1]
    if counts[2:] == (problem.inner, problem.length):
        return None
    across = np.arange(problem.inner) // repeats[2] % counts[2] * counts[3]
    return (across[:, None] + np.arange(problem.length) // repeats[3] % counts[3]).ravel()


def _call(problem: Problem, stored: np.dtype) -> tuple[Cut, tuple[Any, ...], Callable[..., np.ndarray]]:
    known: dict[Any, Any] = problem.__dict__.setdefault("_calls", {})  # problems are kept once each
    if stored not in known:
        c, wide = cut(problem), compute_dtype(stored)
        known[stored] = c, (TOKENS[stored], wide.type(0), wide.itemsize, tuple(c)), lambda *shape: np.empty(shape, wide)
    found: tuple[Cut, tuple[Any, ...], Callable[..., np.ndarray]] = known[stored]
    return found


def _along(problem: Problem, weight: Any) -> Any:
    if weight is None or isinstance(weight, int):  # an address: it lies as it is read
        return weight
    numbers = _numbers(problem)
    return weight if numbers is None else weight[numbers]


def _address(a: np.ndarray | int | None) -> int:
    """The address of an array; an address stays one."""
    if a is None or isinstance(a, int):
        return a or 0
    return int(a.__array_interface__["data"][0])


def forward(
    problem: Problem, stored: np.dtype, x_at: int, y_at: int, rule: Rule, weight: np.ndarray | None,
    bias: np.ndarray | None, kept: np.ndarray, limits: np.ndarray, known: bool = False,
) -> None:  # fmt: skip
    """Write y at `y_at`.

    Args:
        stored: the dtype of x and y as kernels take it, see `halves`.
        weight, bias: in memory's order and the dtype that is computed with, one element for each count of the problem.
        kept: (5, sets) of that dtype, see `rows`; written, or read where the statistics are `known`.
        limits: see `rows.LIMITS`.
    """
    c, one, empty = _call(problem, stored)
    weight, bias = _along(problem, weight), _along(problem, bias)
    flags = (int(rule.centre), int(rule.by_count), rule.rule, int(known))
    affine, kept_at, size = (_address(weight), _address(bias)), _address(kept), problem.size
    if c.down == 1 and c.columns == c.period:
        arguments = (*one, flags, _address(limits), x_at, y_at, *affine, kept_at)
        pool.run(forward_together, c.blocks, arguments, elements=7 * size)
        return
    found = empty(c.outer, 3, c.columns)
    if known:
        pool.run(recall_blocks, c.outer, (*one, *affine, kept_at, _address(found)), elements=found.size)
    else:
        parts = np.empty((c.outer, c.down, 3, c.columns))
        pool.run(measure_blocks, c.blocks, (*one, flags, x_at, _address(parts)), elements=2 * size)
        arguments = (*one, flags, _address(limits), x_at, *affine, kept_at, _address(parts), _address(found))
        pool.run(settle_blocks, c.outer, arguments, elements=parts.size)
    pool.run(write_blocks, c.blocks, (*one, x_at, y_at, _address(found)), elements=size)


def backward(
    problem: Problem, stored: np.dtype, dy_at: int, x_at: int, dx_at: int, rule: Rule, weight: np.ndarray | None,
    kept: np.ndarray, known: bool = False,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Write dx at `dx_at`; returns the sums of dy * z and of dy for each element of the weight, in float64.

    Args: as for `forward`, whose `kept` is read; with `known` statistics nothing flows back through them.
    """
    c, one, empty = _call(problem, stored)
    weight = _along(problem, weight)
    if c.by_row and weight is None:
        weight = np.ones(problem.runs, kept.dtype)
    flags = (int(rule.centre), int(rule.by_count), rule.rule, int(known))
    weight_at, kept_at, size = _address(weight), _address(kept), problem.size
    sums = np.zeros((c.blocks, 2, 1, c.rows) if c.by_row else (c.outer, 2, 2, c.period))
    if c.down == 1 and c.columns == c.period:
        arguments = (*one, flags, rule.eps, dy_at, x_at, dx_at, weight_at, kept_at, _address(sums))
        pool.run(backward_together, c.blocks, arguments, elements=9 * size)
    else:
        found, made = empty(c.outer, 3, c.columns), empty(c.outer, 3, c.columns)
        parts = np.empty((c.outer, c.down, 2, c.columns))
        pool.run(recall_blocks, c.outer, (*one, 0, 0, kept_at, _address(found)), elements=found.size)
        pool.run(sum_blocks, c.blocks, (*one, dy_at, x_at, _address(found), _address(parts)), elements=2 * size)
        arguments = (*one, flags, rule.eps, weight_at, kept_at, _address(parts), _address(made), _address(sums))
        pool.run(pull_settle_blocks, c.outer, arguments, elements=parts.size)
        arguments = (*one, flags, dy_at, x_at, dx_at, _address(found), _address(made))
        pool.run(pull_blocks, c.blocks, arguments, elements=2 * size)
    numbers, both = _numbers(problem), sums.sum((0, 2))
    if numbers is None:
        return both[0], both[1]
    many = math.prod(problem.counts)
    return np.bincount(numbers, both[0], many), np.bincount(numbers, both[1], many)
