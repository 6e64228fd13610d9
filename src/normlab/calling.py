"""One call of a method, made ready: everything that is decided and refused before a number is touched, on every face.

A face tells of its arrays by `Arrays`; `prepare` checks a call of a definition, `prepare_line` one of a bare line of
notation; `own_forward` runs a method that is given by its forward; `moved` gives the running statistics after a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .definition import Definition
from .errors import DtypeError, ShapeError, UsageError
from .fitting import check_eps, fit, mask_shapes
from .operations import Operations
from .pattern import Plan, names_of, parse, parse_plain

__all__ = [
    "RUNNING", "Arrays", "Ready", "Rule", "check_sets", "moved", "own_forward", "prepare", "prepare_line",
    "refuse_dtype", "to_own",
]  # fmt: skip

Array = Any
RUNNING = ("running_mean", "running_var")


class Arrays(Protocol):
    """What a face tells of its arrays: each check returns the array or raises in the sentences of this module."""

    def as_float(self, x: Any, who: str, name: str) -> Array:
        """`x`, an array of floating-point numbers with at least one axis."""

    def as_numbers(self, a: Any, who: str, name: str, like: Array) -> Array:
        """A parameter, state, or input, an array of real numbers, where `like` is (its device)."""

    def as_mask(self, mask: Any, like: Array) -> tuple[Array, bool]:
        """The mask as an array, and whether its elements are boolean."""


@dataclass(frozen=True)
class Rule:
    """How a set is normalized."""

    centre: bool = True
    spread: str | None = "std"
    eps: float = 1e-5
    eps_rule: str = "inside"


@dataclass(frozen=True)
class Ready:
    """A call whose parts fit: `plan` is None for a method given by its forward."""

    definition: Definition
    x: Array
    layout: str
    plan: Plan | None
    rule: Rule
    options: Mapping[str, Any]  # resolved, for a forward: "auto" is a number, eps is among them
    live: Mapping[str, Array]  # parameters and inputs
    held: Mapping[str, Array]  # state
    targets: Mapping[str, tuple[int, ...]]  # by name: the shape that broadcasts over the plan's split axes
    mask: Array | None  # broadcasts over the split axes
    frozen: bool  # running statistics take the place of the batch's

    @property
    def empty(self) -> bool:
        """Whether there is nothing to normalize."""
        return 0 in tuple(self.x.shape)

    @property
    def keeps(self) -> bool:
        """Whether running statistics were given."""
        return all(n in self.held for n in RUNNING)


def prepare(
    face: Arrays, definition: Definition, x: Any, arrays: Mapping[str, Any], state: Mapping[str, Any],
    options: Mapping[str, Any], *, layout: str | None = None, eps: float | None = None, training: bool = True,
    mask: Any = None, trailing: int = 1, channels: tuple[int, ...] | None = None, shared: bool = False,
) -> Ready:  # fmt: skip
    """Check a call of `definition` on x. `arrays`: parameters and inputs by name; `state` likewise; None: left out.

    `shared`: the sets go on in other processes, so that how large they are is not seen here.
    """
    who, layout = definition.name, layout or definition.layout
    x = face.as_float(x, who, definition.subject)
    live = {n: face.as_numbers(a, who, n, x) for n, a in arrays.items() if a is not None}
    held = {n: face.as_numbers(a, who, n, x) for n, a in state.items() if a is not None}
    shapes = {n: tuple(a.shape) for n, a in (*live.items(), *held.items())}
    frozen = all(n in held for n in RUNNING) and not training
    shape = tuple(x.shape)
    fitted = fit(definition, shape, layout, options, shapes, trailing=trailing, running=frozen, channels=channels)
    given = definition.resolve(options, fitted.channels)
    if definition.eps is not None:
        given["eps"] = check_eps(who, definition.eps if eps is None else eps)
    if mask is not None and (fitted.plan is None or definition.role == "weight"):
        raise UsageError(f"{who}: mask= is for methods that pool activations by one line of the notation.")
    rule = Rule(definition.centre, definition.spread, given.get("eps", 0.0), definition.eps_rule)
    if fitted.plan is not None and not frozen and not shared:
        check_sets(who, fitted.plan, rule)
    return Ready(
        definition, x, layout, fitted.plan, rule, given, live, held, fitted.targets,
        _mask(face, who, mask, fitted.plan, layout, x), frozen,
    )  # fmt: skip


def prepare_line(
    face: Arrays, x: Any, pools: str, *, rule: Rule, weight: Any, bias: Any, affine: str | None,
    sizes: Mapping[str, Any],
) -> tuple[Array, Plan, Rule, list[Array | None], list[tuple[int, ...]]]:  # fmt: skip
    """Check a call of `normalize`: x, its plan, the rule, and weight and bias with the shapes that broadcast."""
    who = "normalize"
    x, pattern = face.as_float(x, who, "x"), parse(pools)
    plan = pattern.plan(tuple(x.shape), sizes)
    if "c" in pattern.names and plan.size("c") == 0:
        raise ShapeError(f"{who}: x must have at least one channel, got shape {tuple(x.shape)}.")
    if affine is None and (weight is not None or bias is not None):
        if "c" not in pattern.names:
            raise UsageError(
                f"{who}: {pools!r} names no axis c.", hint="Name the axes of weight and bias: affine='...'."
            )
        affine = pattern.whole("c")
    found, targets = [], []
    for name, a in (("weight", weight), ("bias", bias)):
        own, target = plan.align(affine or "")
        a = None if a is None else face.as_numbers(a, who, name, x)
        if a is not None and tuple(a.shape) != own:
            raise ShapeError(f"{who}: {name} must have the shape {own} of affine={affine!r}, got {tuple(a.shape)}.")
        found.append(a)
        targets.append(target)
    checked = Rule(rule.centre, rule.spread, check_eps(who, rule.eps), rule.eps_rule)
    check_sets(who, plan, checked)
    return x, plan, checked, found, targets


def check_sets(who: str, plan: Plan, rule: Rule) -> None:
    """Refuse sets of one element where the mean is subtracted. An empty batch has nothing to refuse."""
    if plan.count == 1 and 0 not in plan.shape and (rule.centre or rule.spread == "std"):
        raise ShapeError(
            f"{who}: x of shape {plan.shape} has 1 element in each set of {str(plan.pattern)!r}, "
            f"and less its own mean that is 0.",
            hint="Give each set at least 2 elements.",
        )


def refuse_dtype(who: str, name: str, dtype: Any, convert: str, upto: str = " up to float64") -> DtypeError:
    """The error for elements that are no floating-point numbers; `convert` is the line that makes them so."""
    return DtypeError(
        f"{who}: {name} must have floating-point elements{upto}, got {dtype}.", hint=f"Convert with {convert}."
    )


def _mask(face: Arrays, who: str, mask: Any, plan: Plan | None, layout: str, x: Array) -> Array | None:
    if mask is None or plan is None:
        return None
    mask, boolean = face.as_mask(mask, x)
    own, target = mask_shapes(who, plan, layout)
    if not boolean or tuple(mask.shape) != own:
        came = f"{mask.dtype} {tuple(mask.shape)}"
        raise ShapeError(f"{who}: mask must be boolean and have x's shape without channels, {own}, got {came}.")
    return mask.reshape(target)


def own_forward(
    ops: Operations, definition: Definition, x: Array, live: Mapping[str, Array], held: Mapping[str, Array],
    options: Mapping[str, Any], *, layout: str, training: bool, ready: Callable[[Array], Array] = lambda a: a,
) -> tuple[Array, dict[str, Array] | None]:  # fmt: skip
    """Call the definition's forward on x in its own layout; what follows x's axes comes ready to broadcast.

    `ready` is applied to x once its axes are in order.
    """
    xp = ops.xp
    ndim = len(x.shape)
    axes, missing = to_own(definition.layout, layout, ndim)
    moves = axes != tuple(range(ndim))
    own = xp.transpose(x, axes) if moves else x
    if missing:
        own = xp.reshape(own, (1, *own.shape))
    own = ready(own)
    params = {p.name: _shaped(ops, p.axes, live.get(p.name), own) for p in definition.params}
    states = {s.name: _shaped(ops, s.axes, held.get(s.name), own) for s in (*definition.states, *definition.hosted)}
    inputs = {i.name: live.get(i.name) for i in definition.inputs}
    for i in definition.inputs:  # one with all of x's axes follows x's layout
        a = inputs[i.name]
        if a is not None and i.axes == definition.layout and len(a.shape) == len(axes):
            inputs[i.name] = xp.transpose(a, axes)
    made = definition.forward(ops, own, params, states, options, training=training, **inputs)  # type: ignore[misc]
    y, fresh = made if isinstance(made, tuple) else (made, None)
    if missing:
        y = xp.reshape(y, y.shape[1:])
    if moves:
        y = xp.transpose(y, tuple(sorted(range(ndim), key=axes.__getitem__)))
    if fresh is not None:
        fresh = {n: xp.reshape(a, tuple(held[n].shape)) for n, a in fresh.items() if n in held}
    return y, fresh


def _shaped(ops: Operations, axes: str, a: Array | None, x: Array) -> Array | None:
    """`a` ready to broadcast with x where its axes are x's own; as it is otherwise."""
    if a is None:
        return None
    own = names_of(ops.layout)
    return ops.align(a, axes, x) if all(n in own for n in axes.split()) else a


def to_own(own: str, layout: str, ndim: int) -> tuple[tuple[int, ...], bool]:
    """The transposition from `layout` to the definition's own, and whether a batch axis must be added."""
    have, want = parse_plain(layout), parse_plain(own)
    places: dict[str, list[int]] = {}
    axis = 0
    for name in have.names:
        length = ndim - len(have.names) + 1 if name == "..." else 1
        # An axis that the definition's own layout does not name is one of its `...`.
        places.setdefault(name if name in want.names else "...", []).extend(range(axis, axis + length))
        axis += length
    order = [a for name in want.names for a in places.get(name, [])]
    return tuple(order), "n" in want.names and "n" not in have.names


def moved(
    xp: Any, ready: Ready, mean: Array, var: Array, count: Array, momentum: Array, *,
    total: Callable[[Array, tuple[int, ...]], Array], lead: tuple[str, ...] = (),
) -> dict[str, Array]:  # fmt: skip
    """The running statistics, moved by `momentum` towards those of this batch; in the dtype of `mean`.

    `mean` and (population) `var` have one element for each set, `count` likewise or is a number; `total` adds along
    axes, which go; `lead` are axes of the plan beyond those of a layer's state, each with statistics of its own.
    """
    plan = ready.plan
    assert plan is not None
    kept = [plan.names[a] for a in plan.kept]
    shape = tuple(plan.split[a] for a in plan.kept)
    if not ready.options["running_var_biased"]:
        others = max(count - 1.0, 1.0) if isinstance(count, float) else xp.maximum(count - 1.0, 1.0)
        var = var * (count / others)
    fresh = {}
    for spec, batch in zip(ready.definition.states, (mean, var), strict=True):
        batch = xp.reshape(batch, shape)
        missing = tuple(k for k, name in enumerate(kept) if name not in (*lead, *names_of(spec.axes)))
        old = ready.held[spec.name]
        own = tuple(old.shape)
        if ready.mask is None:
            value = xp.reshape(total(batch, missing), own) / float(plan.sets // max(_product(own), 1))
            fresh[spec.name] = _towards(xp, old, value, momentum)
            continue
        # A set of which the mask leaves nothing, or a single element, says nothing.
        says = xp.reshape(count, shape) > 1
        number = xp.reshape(total(xp.where(says, xp.ones_like(batch), 0.0), missing), own)
        value = xp.reshape(total(xp.where(says, batch, 0.0), missing), own) / xp.maximum(number, 1.0)
        fresh[spec.name] = xp.where(number > 0, _towards(xp, old, value, momentum), old)
    return fresh


def _towards(xp: Any, old: Array, value: Array, momentum: Any) -> Array:
    """old + momentum (value - old) from the nearer end: beside a start of 1 a variance of 1e-4 keeps its digits."""
    step = value - old
    near, far = old + momentum * step, value - (1.0 - momentum) * step
    if isinstance(momentum, int | float):
        return near if momentum < 0.5 else far
    return xp.where(momentum < 0.5, near, far)


def _product(sizes: tuple[int, ...]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result
