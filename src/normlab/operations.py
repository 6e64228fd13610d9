"""What a `forward` may use: statistics by a line of the notation, and a short list of other operations.

Each face hands a `forward` one `Operations`, made of a module `xp` that speaks NumPy's language. Arrays stand in the
definition's own layout, widened; statistics come back in a shape that broadcasts with `x`, and so do parameters and
state whose axes are x's. Python's own operators (+ - * / ** and comparisons) do the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from .errors import UsageError
from .pattern import REST, Pattern, Plan, names_of, parse, parse_plain

__all__ = ["Operations"]

Array = Any
_ELEMENTWISE = ("sqrt", "exp", "log", "tanh", "abs", "sign", "maximum", "minimum", "where", "clip", "cumsum")


class Operations:
    """The operations of one call. `erf`, `random`, `stop` and `eigh` differ between frameworks and are handed in."""

    def __init__(
        self, xp: Any, layout: str, *, erf: Callable[[Array], Array], random: Callable[[tuple[int, ...]], Array],
        stop: Callable[[Array], Array], eigh: Callable[[Array], tuple[Array, Array]],
    ) -> None:  # fmt: skip
        self.xp, self.layout = xp, layout
        self.erf = erf  # the error function
        self.random = random  # uniform numbers in [0, 1) of a shape, from the call's key
        self.stop = stop  # the value, without a gradient
        self.eigh = eigh  # eigenvalues (ascending) and eigenvectors of symmetric matrices in the last two axes

    def __getattr__(self, name: str) -> Any:
        if name in _ELEMENTWISE:
            return getattr(self.xp, name)
        raise UsageError(f"a forward may not use {name!r}; it may use {', '.join(sorted((*_ELEMENTWISE, *_OWN)))}.")

    def sigmoid(self, x: Array) -> Array:
        """1 / (1 + exp(-x)), without overflow."""
        return 0.5 * (1.0 + self.xp.tanh(0.5 * x))

    def softmax(self, x: Array, axis: int = -1) -> Array:
        """exp(x) over its sum along `axis`, without overflow."""
        e = self.xp.exp(x - self.stop(self.xp.max(x, axis=axis, keepdims=True)))
        return e / self.xp.sum(e, axis=axis, keepdims=True)

    def mean(self, x: Array, line: str, **sizes: int) -> Array:
        """The mean of each set, in a shape that broadcasts with x."""
        return self._per_set(x, line, sizes, lambda s, axes: self.xp.mean(s, axis=axes, keepdims=True))

    def sum(self, x: Array, line: str, **sizes: int) -> Array:
        """The sum of each set, in a shape that broadcasts with x."""
        return self._per_set(x, line, sizes, lambda s, axes: self.xp.sum(s, axis=axes, keepdims=True))

    def max(self, x: Array, line: str, **sizes: int) -> Array:
        """The largest element of each set, in a shape that broadcasts with x."""
        return self._per_set(x, line, sizes, lambda s, axes: self.xp.max(s, axis=axes, keepdims=True))

    def var(self, x: Array, line: str, **sizes: int) -> Array:
        """The population variance of each set about its mean (centred twice), in a shape that broadcasts with x."""

        def measure(s: Array, axes: tuple[int, ...]) -> Array:
            d = s - self.xp.mean(s, axis=axes, keepdims=True)
            d = d - self.xp.mean(d, axis=axes, keepdims=True)
            return self.xp.mean(d * d, axis=axes, keepdims=True)

        return self._per_set(x, line, sizes, measure)

    def standardize(self, x: Array, line: str, *, eps: float, centre: bool = True, **sizes: int) -> Array:
        """(x - mean) / sqrt(var + eps); with `centre=False` x / sqrt(mean square + eps)."""
        if not centre:
            return x / self.sqrt(self.mean(x * x, line, **sizes) + eps)
        d = x - self.mean(x, line, **sizes)
        d = d - self.mean(d, line, **sizes)
        return d / self.sqrt(self.mean(d * d, line, **sizes) + eps)

    def affine(self, y: Array, params: Mapping[str, Array | None]) -> Array:
        """y * weight + bias, whichever of the two there are."""
        y = y if params.get("weight") is None else y * params["weight"]
        return y if params.get("bias") is None else y + params["bias"]

    def eye(self, size: int) -> Array:
        """The identity matrix."""
        return self.xp.eye(size)

    def count(self, x: Array, line: str, **sizes: int) -> int:
        """How many elements share one statistic."""
        return self._plan(x, line, sizes).count

    def align(self, a: Array, axes: str, x: Array) -> Array:
        """`a`, whose axes `axes` names, in a shape that broadcasts with x."""
        return self.xp.reshape(a, self._plan(x, self.layout, {}, parse_plain).align(axes)[1])

    def einsum(self, equation: str, *arrays: Array, **sizes: int) -> Array:
        """Sums of products by names: `einsum("n (g d) ..., n (g e) ... -> g d e", x, x, g=2)`; axes split and merge."""
        equation_, splits, merged = self._equation(equation, tuple(tuple(a.shape) for a in arrays), sizes)
        parts = [self.xp.reshape(a, shape) for a, shape in zip(arrays, splits, strict=True)]
        return self.xp.reshape(self.xp.einsum(equation_, *parts), merged)

    def window_sum(self, x: Array, name: str, before: int, after: int) -> Array:
        """For each position along the axis `name`, the sum from `before` positions before it to `after` behind it."""
        axis = names_of(self.layout).index(name)
        size = x.shape[axis]
        before, after = min(before, size - 1), min(after, size - 1)  # beyond the edge there is nothing
        pad = [(0, 0)] * len(x.shape)
        pad[axis] = (before, after)
        padded = self.xp.pad(x, pad, "constant")
        total = 0.0
        for shift in range(before + after + 1):
            total = total + padded[(slice(None),) * axis + (slice(shift, shift + size),)]
        return total

    def window_power(
        self, x: Array, name: str, before: int, after: int, *, k: float, alpha: float, beta: float
    ) -> Array:  # fmt: skip
        """x * (k + alpha * the window's sum of squares)^-beta, with the windows of `window_sum`."""
        return x * (k + alpha * self.window_sum(x * x, name, before, after)) ** -beta

    # Where shapes are decided. A face that computes with shapes which are no numbers yet has its own two.
    def _plan(
        self, x: Array, line: str, sizes: Mapping[str, int], read: Callable[[str], Pattern] = parse
    ) -> Plan:  # fmt: skip
        return read(line).plan(tuple(x.shape), sizes)

    def _equation(
        self, equation: str, shapes: tuple[tuple[int, ...], ...], sizes: Mapping[str, int]
    ) -> tuple[str, list[list[int]], list[int]]:
        return _equation(equation, shapes, tuple(sorted(sizes.items())))

    def _per_set(self, x: Array, line: str, sizes: dict[str, int], measure: Callable[..., Array]) -> Array:
        plan = self._plan(x, line, sizes)
        s = measure(self.xp.reshape(x, plan.split), plan.pooled)
        if len(plan.split) == len(plan.shape):
            return s
        # A split axis whose outer factor is kept: every element of the axis gets its own set's value.
        lengths, axis = [], 0
        for term in plan.pattern.terms:
            length = 1 if term.name != REST else len(plan.shape) - len(plan.pattern.terms) + 1
            for _ in range(length):
                factors = range(axis, axis + (len(term.factors) if term.name is None else 1))
                lengths.append([plan.split[a] if len(factors) > 1 else s.shape[a] for a in factors])
                axis = factors.stop
        full = [size for part in lengths for size in part]
        return self.xp.reshape(s * self.xp.ones(full, dtype=s.dtype), [math.prod(part) for part in lengths])


_OWN = [n for n in vars(Operations) if not n.startswith("_")] + ["erf", "random", "stop", "eigh"]


@lru_cache(maxsize=512)
def _equation(
    equation: str, shapes: tuple[tuple[int, ...], ...], sizes: tuple[tuple[str, int], ...]
) -> tuple[str, list[list[int]], list[int]]:
    """The letters, the split shapes and the merged result shape of an `Operations.einsum`."""
    left, arrow, right = equation.partition("->")
    lines = [parse_plain(part.strip()) for part in left.split(",")]
    result = parse_plain(right.strip())
    if not arrow or len(lines) != len(shapes):
        raise UsageError(f"einsum: {equation!r} must name {len(shapes)} arrays and, behind ->, the result.")
    known: dict[str, int] = dict(sizes)
    for line, shape in zip(lines, shapes, strict=True):  # whole axes first: they tell the sizes of factors elsewhere
        names = [t.name for t in line.terms]
        if REST not in names:
            known |= {n: size for n, size in zip(names, shape, strict=True) if n is not None}
    letters: dict[str, str] = {}
    rest: list[int] = []
    words, splits = [], []

    def letter(name: str) -> str:
        return letters.setdefault(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[len(letters)])

    for line, shape in zip(lines, shapes, strict=True):
        plan = line.plan(shape, {n: s for n, s in known.items() if n in line.names})
        rest = [s for s, n in zip(plan.split, plan.names, strict=True) if n == REST] or rest
        splits.append(list(plan.split))
        known |= {n: s for n, s in zip(plan.names, plan.split, strict=True) if n != REST}
        first = plan.names.index(REST) if REST in plan.names else 0
        words.append("".join(letter(f"{REST}{k - first}" if n == REST else n) for k, n in enumerate(plan.names)))
    merged: list[int] = []
    out = ""
    for term in result.terms:
        if term.name == REST:
            out += "".join(letter(f"{REST}{k}") for k in range(len(rest)))
            merged += rest
        else:
            out += "".join(letter(f.name) for f in term.factors)
            merged.append(math.prod(known[f.name] for f in term.factors))
    return ",".join(words) + "->" + out, splits, merged
