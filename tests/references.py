"""What a statistics-based method must give, worked out with mpmath from its definition's fields.

Nothing here is shared with the package: it reads the line of notation with its own few lines, numbers the sets element
by element, and computes with 300 bits, so that sums of float64 numbers are exact. No method is known by name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from mpmath import mp, mpf

from comparing import Exact
from normlab.definition import Choice, Definition

__all__ = ["Reference", "exact", "largest_of", "number_sets", "reference"]

BITS = 300


def exact(values: Any) -> Exact:
    """An array of mpf as high + low."""
    flat = np.asarray(values, dtype=object)
    high = np.array([float(v) for v in flat.ravel()]).reshape(flat.shape)
    low = np.array([float(v - mpf(h)) for v, h in zip(flat.ravel(), high.ravel(), strict=True)]).reshape(flat.shape)
    return Exact(high, low)


def _coordinates(layout: str, shape: tuple[int, ...], trailing: int = 1) -> tuple[list[str], list[str]]:
    """The name of every axis (`...` repeats; the last `trailing` axes of a layout "... c" are all channels)."""
    words = layout.split()
    rest = len(shape) - (len(words) - ("..." in words)) - (trailing - 1)
    names: list[str] = []
    for word in words:
        names += ["..."] * rest if word == "..." else [word] * (trailing if word in ("c", "o") else 1)
    return words, names


@lru_cache(maxsize=256)
def number_sets(
    line: str, layout: str, shape: tuple[int, ...], sizes: tuple[tuple[str, int], ...] = (), trailing: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The number of the set of every element, and of its channel, by going through the elements one at a time."""
    given = dict(sizes)
    # Every name of the line with: is it pooled, and which axis of the line (a counter) does it belong to.
    pooled: dict[str, bool] = {}
    axis_of: dict[str, int] = {}
    inside = grouped = False
    axis = -1
    for token in re.findall(r"\.\.\.|\w+|[\[\]()]", line):
        if token in "[]":
            inside = token == "["
        elif token in "()":
            grouped = token == "("
            axis += grouped
        else:
            axis += not grouped
            pooled[token], axis_of[token] = inside, axis
    _, names = _coordinates(layout, shape, trailing)
    main = "o" if "o" in names else "c"
    channels = int(np.prod([s for s, n in zip(shape, names, strict=True) if n == main]))
    sets: dict[tuple[Any, ...], int] = {}
    numbers = np.zeros(shape, np.int64)
    channel = np.zeros(shape, np.int64)
    for index in np.ndindex(*shape):
        c = 0
        for i, s, n in zip(index, shape, names, strict=True):
            c = c * s + i if n == main else c
        channel[index] = c
        key: list[Any] = []
        for position, (i, s, name) in enumerate(zip(index, shape, names, strict=True)):
            if name == main and name in axis_of:
                continue  # below, once for all its axes
            known = name if name in axis_of else "..."
            parts = [n for n in axis_of if axis_of[n] == axis_of[known]]
            for part, value in _split(parts, i, s, given):
                if not pooled[part]:
                    key.append((part, position, value))
        if main in axis_of:
            parts = [n for n in axis_of if axis_of[n] == axis_of[main]]
            key += [(part, value) for part, value in _split(parts, c, channels, given) if not pooled[part]]
        numbers[index] = sets.setdefault(tuple(key), len(sets))
    return numbers, channel


def _split(parts: Sequence[str], index: int, size: int, given: Mapping[str, int]) -> list[tuple[str, int]]:
    """The coordinates along the factors of one axis, outermost first."""
    if len(parts) == 1:
        return [(parts[0], index)]
    known = {p: given[p] for p in parts if p in given}
    missing = [p for p in parts if p not in given]
    if missing:
        known[missing[0]] = size // int(np.prod(list(known.values())))
    found = []
    for part in reversed(parts):
        found.append((part, index % known[part]))
        index //= known[part]
    return found[::-1]


class Reference:
    """The result of one call, and its gradients for a cotangent, with `BITS` bits."""

    def __init__(
        self, x: np.ndarray, sets: np.ndarray, channel: np.ndarray, *, centre: bool, spread: str | None, eps: float,
        eps_rule: str, weight: np.ndarray | None = None, bias: np.ndarray | None = None,
        running: tuple[np.ndarray, np.ndarray] | None = None, mask: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.sets, self.channel, self.shape = sets.ravel(), channel.ravel(), x.shape
        self.centre, self.spread, self.eps_rule, self.running = centre, spread, eps_rule, running
        counts = np.ones(x.size, bool) if mask is None else mask.ravel()
        with mp.workprec(BITS):
            self.eps = mpf(float(eps))
            self.x = [mpf(float(v)) for v in x.ravel()]
            self.weight = None if weight is None else [mpf(float(v)) for v in np.ravel(weight)]
            self.bias = None if bias is None else [mpf(float(v)) for v in np.ravel(bias)]
            self.members: dict[int, list[int]] = defaultdict(list)
            self.counted: dict[int, list[int]] = defaultdict(list)
            for i, s in enumerate(self.sets):
                self.members[int(s)].append(i)
                if counts[i]:
                    self.counted[int(s)].append(i)
            self.z: list[Any] = [mpf(0)] * len(self.x)
            self.mean: dict[int, Any] = {}
            self.var: dict[int, Any] = {}
            self._below: dict[int, tuple[Any, Any, list[Any], Any]] = {}
            for s, own in self.members.items():
                self._forward(s, own)

    def _forward(self, s: int, own: list[int]) -> None:
        if self.running is not None:
            for i in own:
                mean, var = (mpf(float(a.ravel()[self.channel[i] if a.size > 1 else 0])) for a in self.running)
                below = self._divisor(mp.sqrt(var))
                d = self.x[i] - (mean if self.centre else 0)
                self.z[i] = d / below if below else mpf(0)
            return
        counted = self.counted[s]
        m = max(len(counted), 1)
        mean = mp.fsum(self.x[i] for i in counted) / m
        self.mean[s], self.var[s] = mean, mp.fsum((self.x[i] - mean) ** 2 for i in counted) / m
        about = mean if self.centre or self.spread == "std" else mpf(0)
        base = [self.x[i] - about for i in counted]
        root = self._root(base, m)
        below = self._divisor(root) if self.spread is not None else mpf(1)
        self._below[s] = (below, root, base, m)
        lost = self._lost(s)
        for i in own:
            d = self.x[i] - (mean if self.centre else 0)
            self.z[i] = d / below if below and i not in lost else mpf(0)

    def _lost(self, s: int) -> set[int]:
        """What is masked out beside elements without spread: there is nothing to measure it by, so it gives 0."""
        _, root, _, _ = self._below[s]
        return set() if root or self.spread is None else set(self.members[s]) - set(self.counted[s])

    def _root(self, base: list[Any], m: int) -> Any:
        if self.spread in ("std", "rms", "l2"):
            total = mp.fsum(b * b for b in base)
            return mp.sqrt(total / m if self.spread != "l2" else total)
        if self.spread in ("mean_abs", "l1"):
            total = mp.fsum(abs(b) for b in base)
            return total / m if self.spread == "mean_abs" else total
        return max((abs(b) for b in base), default=mpf(0)) if self.spread == "max" else mpf(1)

    def _divisor(self, root: Any) -> Any:
        if self.eps_rule == "inside":
            return mp.sqrt(root * root + self.eps)
        return root + self.eps if self.eps_rule == "outside" else max(root, self.eps)

    @property
    def y(self) -> Exact:
        """The output."""
        with mp.workprec(BITS):
            y = [z if self.weight is None else z * self.weight[c] for z, c in zip(self.z, self.channel, strict=True)]
            y = [v if self.bias is None else v + self.bias[c] for v, c in zip(y, self.channel, strict=True)]
            return exact(np.array(y, dtype=object).reshape(self.shape))

    def statistic(self, which: str) -> Exact:
        """"mean" or the population "var" of every set, in the order of their numbers."""
        with mp.workprec(BITS):
            found = getattr(self, which)
            return exact([found[s] for s in sorted(found)])

    def gradients(self, dy: np.ndarray) -> tuple[Exact, Exact, Exact, np.ndarray]:
        """Of x, weight and bias; and, as a scale for small sets, the largest |g| / D of each element's set."""
        with mp.workprec(BITS):
            g = [mpf(float(v)) for v in dy.ravel()]
            channels = int(self.channel.max()) + 1
            dweight, dbias = [mpf(0)] * channels, [mpf(0)] * channels
            for i, c in enumerate(self.channel):
                dweight[c] += g[i] * self.z[i]
                dbias[c] += g[i]
            if self.weight is not None:
                g = [v * self.weight[c] for v, c in zip(g, self.channel, strict=True)]
            dx: list[Any] = [mpf(0)] * len(g)
            scale = np.zeros(len(g))
            for s, own in self.members.items():
                for i, value in self._backward(s, own, g):
                    dx[i] = value
                below = self._below[s][0] if s in self._below else mpf(1)
                scale[own] = float(max(abs(g[i]) for i in own) / below) if below else 0.0
            shaped = np.array(dx, dtype=object).reshape(self.shape)
            return exact(shaped), exact(dweight), exact(dbias), scale.reshape(self.shape)

    def _backward(self, s: int, own: list[int], g: list[Any]) -> list[tuple[int, Any]]:
        if self.running is not None:
            found = []
            for i in own:
                var = mpf(float(self.running[1].ravel()[self.channel[i] if self.running[1].size > 1 else 0]))
                below = self._divisor(mp.sqrt(var))
                found.append((i, g[i] / below if below else mpf(0)))
            return found
        below, root, base, m = self._below[s]
        counted = self.counted[s]
        if not below:
            return [(i, mpf(0)) for i in own]
        # y_i = d_i / D:  dL/dx_j = (sum_i g_i dd_i/dx_j) / D - (sum_i g_i d_i) / D^2 * dD/dx_j
        lost = self._lost(s)
        along = mp.fsum(g[i] * self.z[i] for i in own if g[i]) / below  # 0 times what is no number is 0
        slopes = self._slopes(base, root, m)
        if self.centre or self.spread == "std":  # the statistic's own mean moves with x_j
            shift = mp.fsum(slopes) / m
            slopes = [v - shift for v in slopes]
        pulled = mp.fsum(g[i] for i in own if i not in lost) / m if self.centre else mpf(0)
        found = {i: g[i] / below if i not in lost else mpf(0) for i in own}
        for i, slope in zip(counted, slopes, strict=True):
            found[i] = found[i] - pulled / below - along * slope
        return list(found.items())

    def _slopes(self, base: list[Any], root: Any, m: int) -> list[Any]:
        """dD / d(base) of every counted element."""
        if self.spread is None or not root:
            return [mpf(0)] * len(base)
        if self.eps_rule == "inside":
            by_root = root / mp.sqrt(root * root + self.eps)
        else:
            by_root = mpf(1) if self.eps_rule == "outside" or root > self.eps else mpf(0)
        if self.spread in ("std", "rms", "l2"):
            return [by_root * b / root / (m if self.spread != "l2" else 1) for b in base]
        if self.spread == "max":
            top = [abs(b) == root for b in base]
            return [by_root * mp.sign(b) / sum(top) if t else mpf(0) for b, t in zip(base, top, strict=True)]
        return [by_root * mp.sign(b) / (m if self.spread == "mean_abs" else 1) for b in base]


def reference(
    definition: Definition, x: np.ndarray, *, layout: str | None = None, options: Mapping[str, Any] | None = None,
    eps: float | None = None, arrays: Mapping[str, np.ndarray] | None = None,
    running: tuple[np.ndarray, np.ndarray] | None = None, mask: np.ndarray | None = None, trailing: int = 1,
) -> Reference:  # fmt: skip
    """The reference of a call of `definition`, which must be one made of statistics."""
    filled = definition.validate(options or {})
    line = definition.pools.lines[filled[definition.pools.option]] if isinstance(definition.pools, Choice) else definition.pools
    layout = layout or definition.layout
    _, names = _coordinates(layout, x.shape, trailing)
    channels = int(np.prod([s for s, n in zip(x.shape, names, strict=True) if n in "co"]))
    sizes = tuple(sorted(definition.factor_sizes(filled, channels).items()))
    sets, channel = number_sets(str(line), layout, x.shape, sizes, trailing)
    live = arrays or {}
    weight, bias = (live.get(n) if n else None for n in definition.affine)
    if mask is not None:  # x's shape without channels
        mask = np.broadcast_to(np.expand_dims(mask, tuple(k for k, n in enumerate(names) if n == "c")), x.shape)
    return Reference(
        x, sets, channel, centre=definition.centre, spread=definition.spread, eps_rule=definition.eps_rule,
        eps=(definition.eps if eps is None else eps) or 0.0, weight=weight, bias=bias, running=running, mask=mask,
    )  # fmt: skip


def largest_of(truth: Any, layer: Any) -> np.ndarray:
    """The scale of the output: the largest |z| of the set times |weight|, plus |bias|."""
    z = np.abs(np.array([float(v) for v in truth.z]).reshape(truth.shape))
    sets, channel = truth.sets.reshape(truth.shape), truth.channel.reshape(truth.shape)
    largest = np.zeros(int(sets.max()) + 1)
    np.maximum.at(largest, sets.ravel(), z.ravel())
    weight, bias = (layer.params.get(n) if n else None for n in layer.definition.affine)
    scale = largest[sets] * (1.0 if weight is None else np.abs(np.ravel(weight))[channel])
    return scale + (0.0 if bias is None else np.abs(np.ravel(bias))[channel])
