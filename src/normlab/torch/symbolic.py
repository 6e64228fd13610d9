"""Plans for shapes that may not be numbers yet: while torch.compile or torch.export traces, a size can be a symbol.

What depends on text alone is decided outside the trace, as a constant; what depends on a size is plain arithmetic,
which a trace can follow. Outside a trace the cached plans of `pattern` serve.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import calling, operations, pattern
from ..pattern import REST, Pattern, Plan, names_of, parse, parse_plain

__all__ = ["Operations", "plan"]

constant = torch.compiler.assume_constant_result
# What is read from text is the same for every shape.
for _decided in (calling.to_own, names_of, parse, parse_plain):
    constant(_decided)


class _Axis(NamedTuple):
    """One axis after the split: which axis of x it comes from, and its size, or what that is to be divided by."""

    axis: int
    size: int | None
    divisor: int
    pooled: bool
    name: str


@constant
def _sketch(line: str, ndim: int, sizes: tuple[tuple[str, int], ...]) -> tuple[_Axis, ...]:
    """The split axes of an array with `ndim` axes."""
    known, found, axis = dict(sizes), [], 0
    terms = pattern._cached(line, empty=True).terms
    for term in terms:
        if term.name == REST:
            length = ndim - len(terms) + 1
            found += [_Axis(axis + k, None, 1, term.factors[0].pooled, REST) for k in range(length)]
            axis += length
            continue
        parts = {f.name: known.get(f.name) if len(term.factors) > 1 else None for f in term.factors}
        divisor = math.prod(size for size in parts.values() if size is not None)
        found += [_Axis(axis, parts[f.name], divisor, f.pooled, f.name) for f in term.factors]
        axis += 1
    return tuple(found)


class SymbolicPlan(Plan):
    """A plan whose sizes may be symbols."""

    @property
    def count(self) -> int:
        """How many elements share one statistic."""
        return _product(self.split[a] for a in self.pooled)

    @property
    def sets(self) -> int:
        """How many statistics there are."""
        return _product(self.split[a] for a in self.kept)

    def align(self, line: str, who: str = "affine") -> tuple[tuple[int, ...], tuple[int, ...]]:
        """As `Plan.align`, for a line that is known to fit."""
        own: list[int] = []
        spread = [1] * len(self.split)
        for axes in _places(line, self.names):
            for axis in axes:
                spread[axis] = self.split[axis]
            own.append(_product(self.split[a] for a in axes))
        return tuple(own), tuple(spread)


@constant
def _places(line: str, names: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Which split axes each axis of an array stands for."""
    places: list[tuple[int, ...]] = []
    for term in parse_plain(line).terms:
        found = tuple(a for a, name in enumerate(names) if name in [f.name for f in term.factors])
        places += [(a,) for a in found] if term.name == REST else [found]
    return tuple(places)


def _product(sizes: Iterable[int]) -> int:
    """math.prod, which a trace does not follow."""
    result = 1
    for size in sizes:
        result = result * size
    return result


def plan(line: str, shape: tuple[int, ...], sizes: Mapping[str, int]) -> Plan:
    """`parse(line).plan(shape, sizes)`, whatever the shape is made of; nothing is checked."""
    known = tuple(sorted((n, int(s)) for n, s in sizes.items()))
    axes = _sketch(line, len(shape), known)
    split = tuple(shape[a.axis] // a.divisor if a.size is None else a.size for a in axes)
    pooled = tuple(k for k, a in enumerate(axes) if a.pooled)
    kept = tuple(k for k, a in enumerate(axes) if not a.pooled)
    return SymbolicPlan(_either(line), tuple(shape), split, tuple(a.name for a in axes), pooled, kept)


@constant
def _either(line: str) -> Pattern:
    return pattern._cached(line, empty=True)


@constant
def _letters(equation: str, shapes: Any, sizes: Any) -> Any:
    return operations._equation(equation, shapes, sizes)


class Operations(operations.Operations):
    """The operations of a call inside a trace."""

    def _plan(
        self, x: Tensor, line: str, sizes: Mapping[str, int], read: Callable[[str], Pattern] = parse
    ) -> Plan:  # fmt: skip
        return plan(line, tuple(x.shape), sizes)

    def _equation(self, equation: str, shapes: Any, sizes: Mapping[str, int]) -> tuple[str, Any, Any]:
        known = tuple(sorted(sizes.items()))
        if "(" in equation or known:
            return _letters(equation, tuple(tuple(operator.index(s) for s in shape) for shape in shapes), known)
        # Without split axes the sizes do not matter, and the result has no axis to merge.
        words, _, _ = _letters(equation, tuple(tuple(2 for _ in shape) for shape in shapes), known)
        left, _, right = words.partition("->")
        sized: dict[str, int] = {}
        for word, shape in zip(left.split(","), shapes, strict=True):
            sized |= dict(zip(word, shape, strict=True))
        return words, shapes, [sized[n] for n in right]
