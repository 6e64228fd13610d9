"""The shapes with which an implementation is asked: small, every axis of another size, no set of one.

Equal sizes would hide an axis taken for another; a set of one has no variance to be wrong about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..definition import Definition, Input, Param
from ..errors import PatternError, ShapeError
from ..fitting import line_of, shape_of
from ..pattern import REST, Pattern, Plan, parse_plain

__all__ = ["CHANNELS", "Frame", "frames", "parts_of", "set_of"]

Shape = tuple[int, ...]
Kinds = tuple[tuple[str, tuple[str, ...]], ...]
# Whole sizes; those of `small` serve central differences, which call once for every element and sign.
SIZES = {"n": 9, "c": 4, "o": 7, "i": 8, "l": 6, "h": 3, "w": 5}
SMALL = {"n": 5, "c": 2, "o": 3, "i": 4, "l": 3, "h": 2, "w": 3}
CHANNELS, SMALL_CHANNELS = 12, 4
EQUAL = 6
# What may stand in the place of `...`, and what the frame is then called, by the layout.
KINDS = {
    "n c ...": (("dense", ()), ("images", ("h", "w"))),
    "n ... c": (("images, channels last", ("h", "w")),),
    "... c": (("dense", ("n",)), ("tokens", ("n", "l"))),
    "o i ...": (("dense", ()), ("kernels", ("h", "w"))),
    "...": (("vector", ("n",)), ("dense", ("n", "l"))),
    "n c": (("dense", ()),),
}
# Where the line keeps samples apart, a layout that does not name them is given the name.
APART = {"... c": ("n ... c", (("dense", ()), ("tokens", ("l",))))}
# Other orders of the axes in which somebody may well have written the same method.
OTHERS = {"n c ...": ("n ... c",), "... c": ("n c ...",)}


@dataclass(frozen=True)
class Frame:
    """One way to ask: a layout and which axes stand for its `...`."""

    definition: Definition
    options: tuple[tuple[str, Any], ...]
    layout: str
    kind: str
    axes: tuple[str, ...]
    other: bool  # the axes stand in another order than the definition's
    square: bool = False  # all sizes equal: a statistic on the wrong axis broadcasts there
    way: Callable[[Any], Any] | None = None  # what is right for whoever follows a convention of others

    @property
    def known(self) -> Mapping[str, Any]:
        """The method's options, defaults filled in."""
        return dict(self.options)

    def sizes(self, small: bool = False, samples: int | None = None) -> dict[str, int]:
        """The size of every axis by its name."""
        if self.square:
            return dict.fromkeys(self.axes, EQUAL)
        found = {name: (SMALL if small else SIZES)[name] for name in self.axes if name != "c"}
        if len(self.axes) > 2 and "n" in found:
            found["n"] = 3 if small else 4  # not that of a pixel's axis either
        if "c" in self.axes:
            found["c"] = self._split("c", SMALL_CHANNELS if small else CHANNELS, 3 if small else 4)
        if "n" in found:
            found["n"] = self._split("n", samples or found["n"], found["n"])
        return found

    def _split(self, name: str, whole: int, part: int) -> int:
        """The size of an axis: where it is split, what its given factors make with `part` for the one left over."""
        factors = self.given()
        owner = next((t for t in self.pattern.terms if any(f.name == name for f in t.factors)), None)
        if owner is None or len(owner.factors) < 2:
            return whole
        others = math.prod(factors.get(f.name, 1) for f in owner.factors)
        return others * max(part, whole // others)

    def given(self) -> dict[str, int]:
        """The sizes of factors that the options give."""
        return {n: s for n, s in self.definition.factor_sizes(self.known, None).items() if n in self.pattern.names}

    @cached_property
    def pattern(self) -> Pattern:
        """The line of the method, in the order of this frame; of a method without one, no axis is pooled."""
        lines = self.definition.lines(self.known)
        if "" not in lines:
            return parse_plain(" ".join(self.axes))
        return lines[""].arrange(self.layout)

    def shape(self, small: bool = False, samples: int | None = None) -> Shape:
        """The shape of x."""
        sizes = self.sizes(small, samples)
        return tuple(sizes[name] for name in self.axes)

    def plan(self, shape: Shape) -> Plan:
        """The line fitted to a shape."""
        return self.pattern.plan(shape, self.given())

    def channels(self, shape: Shape) -> int:
        """How many channels (outputs of a weight) that shape has."""
        main = "o" if "o" in self.axes else "c"
        return shape[self.axes.index(main)] if main in self.axes else 1

    def own_shape(self, axes: str, shape: Shape) -> Shape | None:
        """The shape of a parameter or state with those axes."""
        sizes = dict(zip(self.axes, shape, strict=True)) | self.given()
        return shape_of(" ".join(n for n in axes.split() if n != REST), sizes)

    def target(self, axes: str, plan: Plan) -> Shape:
        """The shape in which it broadcasts over the plan's split axes."""
        main = "o" if "o" in self.axes else "c"
        return plan.align(line_of(plan.pattern, " ".join(n for n in axes.split() if n != REST), main, 1))[1]

    @property
    def affine(self) -> str:
        """The axes of weight and bias."""
        named = (s.axes for s in parts_of(self.definition) if s.name in ("weight", "bias", "g"))
        found = next(named, "o" if "o" in self.axes else "c")
        return " ".join(name for name in found.split() if name != REST)

    def pooled(self, shape: Shape) -> dict[str, Any]:
        """The axes of x that are pooled whole, and whether one is split: what a line of code has to say."""
        plan = self.plan(shape)
        found, at = [], 0
        for axis, size in enumerate(shape):
            parts, covered = [at in plan.pooled], plan.split[at]
            at += 1
            while covered < size:
                parts, covered, at = [*parts, at in plan.pooled], covered * plan.split[at], at + 1
            found += [axis] if all(parts) else []
        return {"axes": found, "split": len(plan.split) > len(plan.shape)}

    def broad(self, shape: Shape) -> Shape:
        """The shape in which weight and bias broadcast with x by themselves."""
        names = set(self.affine.replace("(", " ").replace(")", " ").split())
        return tuple(size if name in names else 1 for name, size in zip(self.axes, shape, strict=True))

    @property
    def line(self) -> str:
        """The layout with a name for each axis."""
        return " ".join(self.axes)


def parts_of(definition: Definition) -> tuple[Param | Input, ...]:
    """The parameters and inputs of a method."""
    return (*definition.params, *definition.inputs)


def frames(definition: Definition, options: Mapping[str, Any]) -> Iterator[Frame]:
    """The frames in which `definition` can be asked, its own layout first."""
    own = definition.layout
    for layout in (own, *OTHERS.get(own, ())):
        named, kinds = _kinds(definition, options, layout)
        for kind, rest in kinds:
            if layout != own and not rest:
                continue  # without further axes there is no order to be another
            axes = tuple(a for name in parse_plain(named).names for a in (rest if name == REST else (name,)))
            frame = Frame(definition, tuple(options.items()), named, kind, axes, layout != own)
            if _can_stand(frame):
                yield frame


def _kinds(definition: Definition, options: Mapping[str, Any], layout: str) -> tuple[str, Kinds]:
    """The layout with its samples named where they are kept apart, and what may stand in the place of its `...`."""
    kept = {n for line in definition.lines(options).values() for n in line.kept}
    if layout in APART and "n" in kept:
        return APART[layout]
    return layout, KINDS.get(layout, ())


def _can_stand(frame: Frame) -> bool:
    """Whether every set has two elements or more, where their mean is taken out."""
    d = frame.definition
    if d.forward is not None:
        return True
    try:
        plan = frame.plan(frame.shape())
    except (PatternError, ShapeError):
        return False
    return plan.count > 1


def set_of(plan: Plan, index: Shape) -> Shape:
    """The place, along the kept axes, of the set to which the element `index` of x belongs."""
    import numpy as np

    flat = int(np.ravel_multi_index(index, plan.shape))
    split = np.unravel_index(flat, plan.split)
    return tuple(int(split[a]) for a in plan.kept)
