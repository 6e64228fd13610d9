"""How sets that lie in runs are gone through: the whole numbers that the kernels of `rows` and `runs` are given."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .collapse import Problem

__all__ = ["Layout", "lay_out"]

# From so many elements on a weight is a number for a loop; held for fewer, it is written out, one for each element.
HELD = 16
# A weight that starts over within a run is written out up to this length; longer runs are cut where it starts over.
WRITTEN_OUT = 16_384


@dataclass(frozen=True)
class Layout:
    """A problem whose weight runs along sets and within runs: a row of `parts` elements, each for `step` of a run.

    `each`: the weight is written out, one element for every element of a run.
    """

    problem: Problem
    parts: int
    step: int
    each: bool
    own: tuple[int, int]  # counts and repeats of the weight along a run, before it was written out

    @property
    def rows(self) -> int:
        """How many rows the weight has: sets with the same number share one."""
        return self.problem.counts[0] * self.problem.counts[2]

    @property
    def width(self) -> int:
        """Elements in a row of the weight, as the kernels take it."""
        return self.problem.length if self.each else self.parts

    def write_out(self, weight: np.ndarray) -> np.ndarray:
        """The weight, flat as it lies in memory, as the kernels take it: (rows, width)."""
        if not self.each or self.own == (self.problem.length, 1):
            return weight
        counts, repeats = self.own
        times = self.problem.length // (counts * repeats)
        return np.tile(np.repeat(weight.reshape(self.rows, counts), repeats, axis=1), (1, times))

    def take_in(self, gradient: np.ndarray) -> np.ndarray:
        """The other way: (rows, width) sums, added up for each element of the weight."""
        if not self.each or self.own == (self.problem.length, 1):
            return gradient
        return gradient.reshape(self.rows, -1, *self.own).sum((1, 3), dtype=np.float64).astype(gradient.dtype)


def lay_out(problem: Problem) -> Layout | str:
    """The problem in runs, or why not."""
    counts, repeats = problem.counts[3], problem.repeats[3]
    period = counts * repeats
    if problem.counts[1] > 1:
        return "the weight runs along pooled axes that lie outside kept ones"
    if counts == 1:
        return Layout(problem, 1, problem.length, False, (1, 1))
    if period < problem.length and problem.length > WRITTEN_OUT:
        times = problem.length // period
        if problem.inner == 1:
            problem = replace(problem, runs=problem.runs * times, length=period)
        elif problem.runs == 1 and math.prod(problem.counts[:1]) == 1:
            problem = replace(
                problem, outer=problem.outer * problem.inner, runs=times, inner=1, length=period,
                counts=(problem.counts[2], 1, 1, counts), repeats=(problem.repeats[2], 1, 1, repeats),
            )  # fmt: skip
        else:
            return "a weight starts over within runs that lie apart"
    if repeats >= HELD and period == problem.length:
        return Layout(problem, counts, repeats, False, (counts, repeats))
    return Layout(problem, counts, repeats, True, (counts, repeats))
