"""A definition fitted to one call, before a number is touched: which axes, which shapes, what is refused.

Framework-free, so every face decides and refuses in the same words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .constraints import Interval
from .definition import Definition, Input, Param, State
from .errors import PatternError, ShapeError, UsageError
from .pattern import REST, Pattern, Plan, parse_plain

__all__ = ["Fit", "arranged", "check_eps", "fit", "line_of", "mask_shapes", "shape_of"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Fit:
    """What a call needs to know of its shapes; `plan` is None for a method given by its forward."""

    plan: Plan | None
    targets: Mapping[str, Shape]  # by parameter or state: the shape that broadcasts over the plan's split axes
    channels: int


def fit(
    definition: Definition, shape: Shape, layout: str, options: Mapping[str, Any], shapes: Mapping[str, Shape], *,
    trailing: int = 1, running: bool = False, channels: Shape | None = None,
) -> Fit:  # fmt: skip
    """Check x's `shape` and the `shapes` of parameters, state and inputs. Raises ShapeError, PatternError, UsageError.

    `trailing` is the number of last axes that stand for the channels (a layer made with a tuple of sizes); `running`
    says that running statistics take the place of the batch's, so a split of the batch does not matter; `channels`
    are the sizes that a layer was made for.
    """
    parse_plain(layout)  # says so where it is no text
    return _fit(definition, shape, layout, tuple(options.items()), tuple(shapes.items()), trailing, running, channels)


@lru_cache(maxsize=4096)
def _fit(
    definition: Definition, shape: Shape, layout: str, options_: tuple[tuple[str, Any], ...],
    shapes_: tuple[tuple[str, Shape], ...], trailing: int, running: bool, made_for: Shape | None,
) -> Fit:  # fmt: skip
    who, options, shapes = definition.name, dict(options_), dict(shapes_)
    main = "o" if "o" in parse_plain(definition.layout).names else "c"
    order = parse_plain(layout)
    if main not in order.names and main in parse_plain(definition.layout).names:
        raise PatternError(f"{who}: layout {layout!r} must name {main}.")
    wide = order.widen(main, trailing)
    try:
        axes = wide.plan(shape)
    except ShapeError as error:
        raise ShapeError(f"{who}: x with layout {error.message}") from None
    last = [k for k, name in enumerate(axes.names) if name.rstrip("0123456789") == main]
    channels = math.prod(axes.split[k] for k in last)
    if channels == 0:
        raise ShapeError(f"{who}: x must have at least one channel, got shape {shape}.")
    own = tuple(axes.split[k] for k in last)
    if last and made_for is not None and own != made_for:
        wanted = made_for[0] if len(made_for) == 1 else made_for
        raise ShapeError(
            f"{who}: the layer was made for {wanted} channels ({main}), "
            f"got {definition.subject} of shape {shape} with layout {layout!r}."
        )
    sizes = {n: s for n, s in zip(axes.names, axes.split, strict=True) if n != REST}
    factors = definition.factor_sizes(options, channels)
    sizes |= factors
    for spec in (*definition.params, *definition.states):
        if spec.name in shapes:
            _check(who, spec, shapes[spec.name], sizes, main, own)
    for given in definition.inputs:
        if given.name in shapes:
            _check_input(who, given, shapes[given.name], sizes, shape if given.axes == definition.layout else ())
    lines = definition.lines(options)
    if definition.forward is not None or "" not in lines:
        return Fit(None, {}, channels)
    if "n" in lines[""].kept and "n" not in order.names and layout == definition.layout:
        raise UsageError(
            f"{who}: {str(lines[''])!r} keeps samples apart, and the layout {layout!r} does not name them.",
            hint="Give one that does: layout='n c ...' or layout='n ... c'.",
        )
    pattern = arranged(definition, options, layout, trailing, running)
    try:
        plan = pattern.plan(shape, {n: s for n, s in factors.items() if n in pattern.names})
    except (ShapeError, PatternError) as error:
        raise type(error)(f"{who}: {error.message}", hint=error.hint) from None
    targets = {p.name: plan.align(line_of(pattern, p.axes, main, trailing), who)[1] for p in definition.params}
    if definition.has_running and shapes.keys() & {"running_mean", "running_var"}:
        targets |= {s.name: plan.align(s.axes, who)[1] for s in definition.states}
    return Fit(plan, targets, channels)


def arranged(
    definition: Definition, options: Mapping[str, Any], layout: str, trailing: int, running: bool
) -> Pattern:  # fmt: skip
    """The one line of a definition, in the order of `layout`; with running statistics a split batch is whole again."""
    main = "o" if "o" in parse_plain(definition.layout).names else "c"
    pattern = definition.lines(options)[""].widen(main, trailing).arrange(layout)
    if not running:
        return pattern
    used = {n for s in definition.states for n in parse_plain(s.axes).names}
    return pattern.merge(parse_plain(layout).names, used)


def line_of(pattern: Pattern, axes: str, main: str, trailing: int) -> str:
    """A parameter's axes in the names of the pattern: "c" is the whole channel axis, or all trailing ones."""
    if axes == main and trailing > 1:
        return " ".join(n for n in pattern.names if n.rstrip("0123456789") == main)
    return pattern.whole(axes)


def _check(who: str, spec: Param, shape: Shape, sizes: Mapping[str, int], main: str, own: Shape) -> None:
    wanted = own if spec.axes == main else shape_of(spec.axes, sizes)
    if wanted is not None and shape != wanted:
        named = f"({', '.join(spec.axes.split())}{',' if len(wanted) == 1 else ''})"
        hint = None if isinstance(spec, State) else f"Pass {spec.name}=None to leave it out."
        raise ShapeError(f"{who}: {spec.name} must have shape {named} = {wanted}, got {shape}.", hint=hint)


def _check_input(who: str, spec: Input, shape: Shape, sizes: Mapping[str, int], whole: Shape) -> None:
    """An input has the axes it names, where their sizes are known; its `...` may be left out; `whole` is x's shape."""
    names = [n for n in spec.axes.split() if n != REST]
    wanted = [sizes.get(n) for n in names]
    fits = len(shape) == len(wanted) and all(w in (None, s) for w, s in zip(wanted, shape, strict=True))
    if fits or (REST in spec.axes.split() and (shape == whole if whole else len(shape) > len(wanted))):
        return
    shown = ", ".join(n if w is None else f"{n}={w}" for n, w in zip(names, wanted, strict=True))
    rest = f", or x's whole shape {whole}" if whole else ""
    raise ShapeError(f"{who}: {spec.name} must have the axes ({shown}){rest}, got shape {shape}.")


def shape_of(axes: str, sizes: Mapping[str, int]) -> Shape | None:
    """The shape of an array whose axes a line names (a name may repeat); None where a size is not known.

    >>> shape_of("g d d", {"g": 2, "d": 3})
    (2, 3, 3)
    >>> shape_of("(g c)", {"g": 2, "c": 4})
    (8,)
    """
    shape: list[int] = []
    inside = False
    for word in axes.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            inside = True
            shape.append(1)
        elif word == ")":
            inside = False
        elif word not in sizes:
            return None
        elif inside:
            shape[-1] *= sizes[word]
        else:
            shape.append(sizes[word])
    return tuple(shape)


def mask_shapes(who: str, plan: Plan, layout: str, trailing: int = 1) -> tuple[Shape, Shape]:
    """The shape a mask must have (x's without channels), and the one that broadcasts over the split axes.

    Raises UsageError where the method pools over neither n nor `...`: there a mask would change nothing.
    """
    names = [n for n in parse_plain(layout).names if n != "c"]
    parts = [tuple(f.name for f in term.factors) for term in plan.pattern.terms]
    own = {part for whole in parts if set(whole) & set(names) for part in whole}
    if not own & {plan.names[a] for a in plan.pooled}:
        raise UsageError(f"{who}: mask= is for methods that pool over n or ...; {str(plan.pattern)!r} pools neither.")
    return plan.align(" ".join(plan.pattern.whole(n) for n in names), who)


def check_eps(who: str, eps: Any) -> float:
    """`eps` as a float. Raises UsageError unless it is a finite number of at least 0."""
    if not Interval(0).accepts(eps):
        raise UsageError(f"{who}: eps must be a finite number of at least 0, got {eps!r}.")
    return float(eps)
