"""The cases of the tests, made from the registry alone: whoever adds a method is under test from that moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from normlab import functional, registry
from normlab import numpy as face
from normlab.constraints import Divides, Interval, OneOf
from normlab.definition import Definition, Option

__all__ = ["CHANNELS", "Case", "acting", "cases", "layouts", "made_of_statistics", "option_sets", "shape_of", "spoken"]

CHANNELS = 8  # two groups of four, four of two, eight of one; enough for a window of five
# By rank: the batch first. 5 and 3 are no powers of two and no multiples of a vector's length.
SHAPES = {2: (5,), 3: (3, 5), 4: (2, 3, 2), 5: (2, 2, 1, 2)}


def acting() -> list[Definition]:
    """Every registered method that acts on arrays (a data scaler does not)."""
    return [d for d in registry.methods() if d.role != "input"]


def made_of_statistics() -> list[Definition]:
    """Those that have no forward of their own."""
    return [d for d in acting() if d.forward is None]


def layouts(definition: Definition) -> list[str]:
    """The orders of axes that a method can be told."""
    if definition.layout == "...":
        return ["..."]
    if "o" in definition.layout.split():
        return ["o i ...", "i o ..."]
    return ["n c ...", "n ... c", "... c"]


def option_sets(definition: Definition) -> Iterator[dict[str, Any]]:
    """The defaults, and every option at each of its kinds of values, one at a time."""
    yield {}
    for option in definition.options:
        for value in _values(option):
            if value != option.default:
                yield {option.name: value}


def _values(option: Option) -> list[Any]:
    constraint = option.constraint
    if isinstance(constraint, OneOf):
        return list(constraint.values)
    if isinstance(constraint, Divides):
        return ["auto", 1, 2, CHANNELS]
    assert isinstance(constraint, Interval), f"say here what to try for {type(constraint).__name__}"
    if constraint.whole:
        return [v for v in (1, 2, 4) if constraint.accepts(v)]
    return [v for v in (0.3, 2.0) if constraint.accepts(v)]


def shape_of(layout: str, rank: int) -> tuple[int, ...] | None:
    """A shape of that rank in that layout, with CHANNELS channels; None where the rank is too small."""
    words = layout.split()
    batch, *positions = SHAPES[rank]
    if "..." in words:
        lengths = {"n": batch, "o": CHANNELS, "i": batch, "c": CHANNELS}
        named = [w for w in words if w != "..."]
        rest = ([batch, *positions] if not {"n", "i"} & set(named) else positions)[: rank - len(named)]
        rest = rest if named else [batch, CHANNELS, *positions]
        if len(named) > rank or (len(named) < rank and not rest):
            return None
        return tuple(s for w in words for s in (rest if w == "..." else [lengths[w]]))
    return None


@dataclass(frozen=True)
class Case:
    """One way to call one method."""

    definition: Definition
    layout: str
    shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float64"
    affine: str = "affine"  # or "no bias", "plain"
    training: bool = True
    running: bool | None = None
    seed: int = 0

    def __str__(self) -> str:
        parts = [self.definition.name, self.dtype, "x".join(map(str, self.shape)), self.layout.replace(" ", "_")]
        parts += [f"{n}={v}" for n, v in self.options.items()]
        parts += [] if self.affine == "affine" else [self.affine.replace(" ", "_")]
        parts += [] if self.training else ["evaluation"]
        return "-".join(parts)

    @property
    def channels(self) -> int:
        names = [w for w in self.layout.split() if w in ("c", "o")]
        if not names:
            return CHANNELS
        at = self.layout.split().index(names[0])
        behind = len(self.layout.split()) - at
        return self.shape[at] if "..." not in self.layout.split()[:at] else self.shape[-behind]

    def random(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, len(self.shape), *self.shape])

    def x(self) -> np.ndarray:
        """An input with mean 1 and spread 2."""
        return (2.0 * self.random().standard_normal(self.shape) + 1.0).astype(self.dtype)

    def dy(self) -> np.ndarray:
        return np.random.default_rng(self.seed + 7).standard_normal(self.shape).astype(self.dtype)

    def inputs(self) -> dict[str, np.ndarray]:
        """The further inputs of a layer's call."""
        d, found = self.definition, {}
        words = self.layout.split()
        n = self.shape[words.index("n")] if words[0] == "n" else 1
        sizes = {"n": n, "c": self.channels, **d.factor_sizes(d.validate(self.options), self.channels)}
        for given in d.inputs:
            if given.where != "function":
                shape = tuple(sizes[name] for name in given.axes.split() if name != "...")
                found[given.name] = np.random.default_rng(11).standard_normal(shape).astype(self.dtype)
        return found

    def layer(self) -> face.Layer:
        """A layer whose parameters are random, and which has seen three batches where it keeps statistics."""
        d = self.definition
        extra = {} if self.running is None or not d.has_running else {"running": self.running}
        layer = face.build(
            d, self.channels, options={**self.options, **extra}, layout=self.layout, dtype=self.dtype,
            affine=self.affine != "plain", bias=self.affine == "affine",
        )  # fmt: skip
        random = np.random.default_rng(self.seed + 3)
        if d.start is not None:
            fan_in = int(np.prod(self.shape)) // self.channels
            batch = random.standard_normal((16, fan_in))
            layer.start(self.x(), lambda w: batch @ np.moveaxis(w, self._main(), 0).reshape(self.channels, -1).T)
        layer.params.update({n: random.standard_normal(a.shape).astype(a.dtype) for n, a in layer.params.items()})
        # A state that is iterated must have converged for its gradient to be the true one.
        steps = 3 if d.has_running else (300 if d.states else 0)
        for step in range(steps):
            seen = self.x() if not d.has_running else (self.x() + step).astype(self.dtype)
            layer(seen, **self.inputs())
        return layer if self.training else layer.eval()

    def _main(self) -> int:
        return self.layout.split().index("o")

    def function(self) -> Callable[..., Any]:
        return functional.function(self.definition)


def _possible(definition: Definition, layout: str, shape: tuple[int, ...], options: Mapping[str, Any]) -> bool:
    """Whether the method can act: no set of one, no layout that leaves out what it keeps apart."""
    filled = definition.validate(options)
    line = definition.lines(filled).get("")
    if line is None:
        return True
    if "n" in line.kept and layout == definition.layout and "n" not in layout.split():
        return False
    sizes = definition.factor_sizes(filled, CHANNELS)
    return line.arrange(layout).plan(shape, sizes).count > 1 or not (definition.centre or definition.spread == "std")


def cases(*, everything: bool = True, **settings: Any) -> list[Case]:
    """Every method, layout and rank with its default options, and every other option once."""
    found = []
    for d in acting():
        for layout in layouts(d):
            for rank in SHAPES:
                shape = shape_of(layout, rank)
                if shape is not None and _possible(d, layout, shape, {}):
                    found.append(Case(d, layout, shape, **settings))
        if everything:
            for options in list(option_sets(d))[1:]:
                layout = next(lay for lay in layouts(d) if "n" in lay.split() or len(layouts(d)) < 3)
                shape = shape_of(layout, 4)
                if shape is not None and _possible(d, layout, shape, options):
                    found.append(Case(d, layout, shape, options, **settings))
    return found


def spoken(case: Any) -> str:
    """The id of a parametrized case."""
    return str(case)
