"""A plan and its memory, brought to one form that every kernel understands. Framework-free, plain numbers, cached.

Axes are taken in the order in which they lie in memory, and neighbours of one kind are merged. What is left must be

    outer (kept)  runs (pooled)  inner (kept)  length (pooled)         any of them may be 1

so element (a, p, b, l) lies at ((a * runs + p) * inner + b) * length + l, and its set is a * inner + b. Batch
normalization of n c h w is (1, n, c, h*w), of n h w c it is (1, n*h*w, c, 1), layer normalization (rows, 1, 1, c).
A weight has `counts` elements along each of the four, each held for `repeats` steps; then it starts over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from ..pattern import Plan

__all__ = ["Problem", "collapse"]

Four = tuple[int, int, int, int]
ONES: Four = (1, 1, 1, 1)


@dataclass(frozen=True)
class Problem:
    """The four extents, and how the weight runs along them: its index along axis k is i // repeats[k] % counts[k]."""

    outer: int
    runs: int
    inner: int
    length: int
    counts: Four = ONES
    repeats: Four = ONES
    kept: tuple[int, ...] = ()  # sizes of the kept axes as they lie in memory ...
    back: tuple[int, ...] = ()  # ... and the transposition to the plan's order
    order: tuple[int, ...] = ()  # the split axes as they lie in memory

    @cached_property
    def sets(self) -> int:
        """How many statistics."""
        return self.outer * self.inner

    @cached_property
    def count(self) -> int:
        """How many elements share one."""
        return self.runs * self.length

    @cached_property
    def size(self) -> int:
        """How many elements in all."""
        return self.sets * self.count


def collapse(plan: Plan, strides: tuple[int, ...], affine: tuple[int, ...] | None) -> Problem | str:
    """The plan for memory with these `strides` (in elements, of the axes before they are split), or why not.

    `affine` is the shape of weight and bias that broadcasts over the split axes; None where there are none.
    """
    known: dict[tuple[tuple[int, ...], tuple[int, ...] | None], Problem | str]
    known = plan.__dict__.setdefault("_collapsed", {})  # plans are kept once each; their hash is far slower than this
    key = (strides, affine)
    found = known.get(key)
    if found is None:
        found = known[key] = _collapse(plan, strides, affine)
    return found


def _collapse(plan: Plan, strides: tuple[int, ...], affine: tuple[int, ...] | None) -> Problem | str:
    if 0 in plan.shape:
        return "the array is empty"
    steps = _split_strides(plan, strides)
    order = tuple(sorted((k for k, s in enumerate(plan.split) if s > 1), key=lambda k: -steps[k]))
    expected = 1
    for k in reversed(order):
        if steps[k] != expected:
            return "the elements do not lie densely in memory"
        expected *= plan.split[k]
    weighted = [affine is not None and affine[k] > 1 for k in range(len(plan.split))]
    # Runs of memory axes of one kind: [pooled, [(size, weighted), ...]].
    kinds: list[tuple[bool, list[tuple[int, bool]]]] = []
    for k in order:
        pooled = k in plan.pooled
        if not kinds or kinds[-1][0] != pooled:
            kinds.append((pooled, []))
        parts = kinds[-1][1]
        if parts and parts[-1][1] == weighted[k]:
            parts[-1] = (parts[-1][0] * plan.split[k], weighted[k])
        else:
            parts.append((plan.split[k], weighted[k]))
    four = _place(kinds)
    if four is None:
        return "pooled and kept axes change too often in memory"
    extents, counts, repeats = [1] * 4, [1] * 4, [1] * 4
    for place, parts in enumerate(four):
        extents[place] = math.prod(size for size, _ in parts)
        held = [k for k, (_, w) in enumerate(parts) if w]
        if len(held) > 1:
            return "the weight's axes are not neighbours in memory"
        if held:
            counts[place] = parts[held[0]][0]
            repeats[place] = math.prod(size for size, _ in parts[held[0] + 1 :])
    outer, runs, inner, length = extents
    kept = [k for k in order if k in plan.kept]
    there = [k for k in plan.kept if plan.split[k] > 1]
    return Problem(
        outer, runs, inner, length, counts=_four(counts), repeats=_four(repeats),
        kept=tuple(plan.split[k] for k in kept), back=tuple(kept.index(k) for k in there),
        order=(*(k for k in range(len(plan.split)) if k not in order), *order),
    )  # fmt: skip


def _four(numbers: list[int]) -> Four:
    a, b, c, d = numbers
    return a, b, c, d


def _split_strides(plan: Plan, strides: tuple[int, ...]) -> list[int]:
    """The strides of the split axes: factors of one axis lie inside it, outermost first."""
    steps: list[int] = []
    axis = 0
    for term in plan.pattern.terms:
        length = len(plan.shape) - (len(plan.pattern.terms) - 1) if term.name == "..." else 1
        for _ in range(length):
            sizes = plan.split[len(steps) : len(steps) + len(term.factors)]
            steps += [strides[axis] * math.prod(sizes[k + 1 :]) for k in range(len(sizes))]
            axis += 1
    return steps


def _place(kinds: list[tuple[bool, list[tuple[int, bool]]]]) -> list[list[tuple[int, bool]]] | None:
    """The runs of axes on the four places kept, pooled, kept, pooled, as far right as they go; None: too many."""
    four: list[list[tuple[int, bool]]] = [[], [], [], []]
    place = 3
    for pooled, parts in reversed(kinds):
        if (place % 2 == 1) != pooled:
            place -= 1
        if place < 0:
            return None
        four[place] = parts
        place -= 1
    return four
