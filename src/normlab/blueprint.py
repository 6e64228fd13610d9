"""A layer before its arrays: arguments checked, options filled in, and the shape of everything that it will hold.

The same for every face, so all of them take and refuse the same things in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import signatures
from .definition import Definition, Param
from .errors import UsageError, unknown
from .fitting import check_eps, shape_of
from .pattern import parse_plain

__all__ = ["Blueprint", "Described", "Held", "draw"]


@dataclass(frozen=True)
class Held:
    """An array that a layer will hold: what it is, its shape, and a number or a word for how it starts."""

    spec: Param
    shape: tuple[int, ...]
    start: float | str


@dataclass(frozen=True)
class Blueprint:
    """What a layer is made from."""

    definition: Definition
    channels: int | tuple[int, ...] | None
    layout: str
    eps: float | None
    options: Mapping[str, Any]
    params: tuple[Held, ...]
    states: tuple[Held, ...]

    @property
    def made_for(self) -> tuple[int, ...] | None:
        """The sizes of the axes that stand for the channels; None where the layer takes any."""
        return (self.channels,) if isinstance(self.channels, int) else self.channels

    @property
    def trailing(self) -> int:
        """How many last axes stand for the channels."""
        return len(self.made_for or (1,))

    @property
    def counts(self) -> bool:
        """Whether the layer counts its batches: `num_batches_tracked`, wherever there are running statistics."""
        return bool(self.states) and self.definition.has_running

    def __str__(self) -> str:
        return self.show({})

    def show(self, more: Mapping[str, Any]) -> str:
        """The layer as a line of Python; `more` are a face's own arguments where they are not the default."""
        d = self.definition
        shown = {**self.options, "layout": self.layout}
        if self.eps is not None:
            shown["eps"] = self.eps
        names, have = [p.name for p in d.params], [h.spec.name for h in self.params]
        off = [w for w, n in zip(("affine", "bias"), d.affine, strict=True) if n in names and n not in have]
        shown |= {**dict.fromkeys(off[:1], False), **more}  # without affine there is no bias anyway
        return f"{d.class_name}({', '.join([repr(self.channels), *(f'{n}={v!r}' for n, v in shown.items())])})"


class Described:
    """A layer that can be asked what it was made from, its `blueprint`."""

    blueprint: Blueprint

    @property
    def channels(self) -> int | tuple[int, ...] | None:
        """What the layer was made for."""
        return self.blueprint.channels

    @property
    def layout(self) -> str:
        """The order of x's axes."""
        return self.blueprint.layout

    @property
    def eps(self) -> float | None:
        """What keeps the division finite; None where the method has none."""
        return self.blueprint.eps

    @property
    def options(self) -> Mapping[str, Any]:
        """The method's options, defaults filled in."""
        return self.blueprint.options


def draw(
    definition: Definition, channels: Any, *, layout: str | None, eps: Any, affine: bool, bias: bool,
    options: Mapping[str, Any], also: tuple[str, ...] = (),
) -> Blueprint:  # fmt: skip
    """Check a layer's arguments; `also` are those that only this face takes. Raises UsageError, PatternError."""
    d, layout = definition, layout or definition.layout
    parse_plain(layout)
    names = [*signatures.layer_signature(d).parameters, *also]
    for name in options:
        if name not in names:
            raise unknown(f"argument of {d.class_name}", name, names)
    filled = d.validate(options)
    if d.eps is None and eps is not None:
        raise UsageError(f"{d.class_name}: has no eps, got {eps!r}. Leave it out.")
    eps = None if d.eps is None else check_eps(d.name, d.eps if eps is None else eps)
    wanted = [p for p in d.params if _asked(p, d, affine, bias)]
    states = list(d.states) if not d.has_running or filled["running"] else []
    if (wanted or states) and channels is None:
        raise UsageError(f"{d.class_name}: give the number of channels, or affine=False where nothing is learnt.")
    sizes = signatures.sizes(d, filled, channels)
    channels = tuple(map(int, channels)) if isinstance(channels, tuple) else channels and int(channels)

    def hold(spec: Param) -> Held:
        shape = channels if isinstance(channels, tuple) and spec.axes == "c" else shape_of(spec.axes, sizes)
        if shape is None:
            raise UsageError(f"{d.class_name}: the size of {spec.axes!r} for {spec.name} is not known.")
        return Held(spec, shape, spec.start(filled) if callable(spec.start) else spec.start)

    return Blueprint(d, channels, layout, eps, filled, tuple(map(hold, wanted)), tuple(map(hold, states)))


def _asked(param: Param, definition: Definition, affine: bool, bias: bool) -> bool:
    if param.name not in definition.affine:
        return True
    return affine and (bias or param.name != definition.affine[1])
