"""One call of a method on NumPy arrays: check, choose the family, compute. Layers and functions both come here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..definition import Definition
from ..errors import ShapeError, UsageError
from ..fitting import check_eps, fit, mask_shapes
from ..pattern import Plan, parse, parse_plain
from . import derived
from .arrays import as_float, as_numbers, narrow, total, widen
from .standardize import Rule, Standardized, standardize

__all__ = ["Call", "call", "normalize"]

RUNNING = ("running_mean", "running_var")


@dataclass
class Call:
    """A finished call: the result, the new state where it has one, and the way back."""

    y: np.ndarray
    state: dict[str, np.ndarray] | None
    arrays: Mapping[str, np.ndarray]  # parameters and inputs
    done: Standardized | derived.Derived | None  # None: the batch was empty
    affine: tuple[str | None, str | None] = (None, None)

    def pull(self, dy: np.ndarray, lead: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The gradients of x and, by name, of parameters and inputs, for `dy` of y's shape behind `lead` more axes."""
        if dy.shape[lead:] != self.y.shape:
            raise ShapeError(f"backward: dy must have the output's shape {self.y.shape}, got {dy.shape}.")
        front = dy.shape[:lead]
        if self.done is None:
            dx = dy.astype(self.y.dtype)
            named = {n: np.zeros(front + a.shape) for n, a in self.arrays.items()}
        elif isinstance(self.done, derived.Derived):
            dx, named = self.done.pull(dy, lead)
        else:
            dx, *gradients = self.done.pull(dy, lead)
            named = {n: g for n, g in zip(self.affine, gradients, strict=True) if n is not None and g is not None}
        return dx, {n: narrow(g.reshape(front + self.arrays[n].shape), self.arrays[n].dtype) for n, g in named.items()}


def call(
    definition: Definition, x: Any, arrays: Mapping[str, Any], state: Mapping[str, Any], options: Mapping[str, Any], *,
    layout: str | None = None, eps: float | None = None, training: bool = True, mask: Any = None, key: Any = None,
    trailing: int = 1, channels: tuple[int, ...] | None = None,
) -> Call:  # fmt: skip
    """Run `definition` on x. `arrays`: parameters and inputs by name; `state` likewise; None where left out."""
    who, layout = definition.name, layout or definition.layout
    x = as_float(x, who, definition.subject)
    # Copies, so that whoever changes a parameter or state in place does not change the way back.
    live = {n: as_numbers(a, who, n).copy() for n, a in arrays.items() if a is not None}
    held = {n: as_numbers(a, who, n).copy() for n, a in state.items() if a is not None}
    shapes = {n: a.shape for n, a in (*live.items(), *held.items())}
    keeps = all(n in held for n in RUNNING)
    fitted = fit(
        definition, x.shape, layout, options, shapes, trailing=trailing, running=keeps and not training,
        channels=channels,
    )  # fmt: skip
    given = definition.resolve(options, fitted.channels)
    if definition.eps is not None:
        given["eps"] = check_eps(who, definition.eps if eps is None else eps)
    if mask is not None and (fitted.plan is None or definition.role == "weight"):
        raise UsageError(f"{who}: mask= is for methods that pool activations by one line of the notation.")
    if x.size == 0:
        return Call(np.empty_like(x), held or None, live, None)
    if fitted.plan is None:
        done = derived.run(definition, x, live, held, given, layout=layout, training=training, key=key)
        return Call(done.y, done.state if done.state is not None else held or None, live, done)
    ready = {n: widen(a).reshape(fitted.targets[n]) for n, a in (*live.items(), *held.items()) if n in fitted.targets}
    weight, bias = (ready.get(n or "") for n in definition.affine)
    shown = standardize(
        x, fitted.plan, Rule(definition.centre, definition.spread, given.get("eps", 0.0), definition.eps_rule),
        who=who, weight=weight, bias=bias, mask=_mask(who, mask, fitted.plan, layout),
        running=(ready[RUNNING[0]], ready[RUNNING[1]]) if keeps and not training else None,
    )  # fmt: skip
    fresh = held or None
    if keeps and shown.statistics is not None:
        fresh = {**held, **_moved(definition, held, shown, options)}
    return Call(shown.y, fresh, live, shown, definition.affine)


def normalize(
    x: Any, pools: str, *, centre: bool, spread: str | None, eps: float, eps_rule: str, weight: Any, bias: Any,
    affine: str | None, sizes: Mapping[str, Any],
) -> np.ndarray:  # fmt: skip
    """`normlab.normalize` for NumPy arrays."""
    who, x, pattern = "normalize", as_float(x, "normalize"), parse(pools)
    plan = pattern.plan(x.shape, sizes)
    if "c" in pattern.names and plan.size("c") == 0:
        raise ShapeError(f"{who}: x must have at least one channel, got shape {x.shape}.")
    if affine is None and (weight is not None or bias is not None):
        if "c" not in pattern.names:
            raise UsageError(
                f"{who}: {pools!r} names no axis c.", hint="Name the axes of weight and bias: affine='...'."
            )
        affine = pattern.whole("c")
    ready = []
    for name, a in (("weight", weight), ("bias", bias)):
        own, target = plan.align(affine or "")
        a = None if a is None else as_numbers(a, who, name)
        if a is not None and a.shape != own:
            raise ShapeError(f"{who}: {name} must have the shape {own} of affine={affine!r}, got {a.shape}.")
        ready.append(None if a is None else widen(a).reshape(target))
    if x.size == 0:
        return np.empty_like(x)
    rule = Rule(centre, spread, check_eps(who, eps), eps_rule)
    return standardize(x, plan, rule, who=who, weight=ready[0], bias=ready[1]).y


def _mask(who: str, mask: Any, plan: Plan, layout: str) -> np.ndarray | None:
    if mask is None:
        return None
    mask = np.asarray(mask)
    own, target = mask_shapes(who, plan, layout)
    if mask.dtype != np.bool_ or mask.shape != own:
        raise ShapeError(
            f"{who}: mask must be boolean and have x's shape without channels, {own}, got {mask.dtype} {mask.shape}."
        )
    return mask.reshape(target)


def _moved(
    definition: Definition, held: Mapping[str, np.ndarray], shown: Standardized, options: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """The running statistics, moved by `momentum` towards those of this batch."""
    s, plan = shown.statistics, shown.plan
    assert s is not None
    with np.errstate(over="ignore", invalid="ignore"):
        mean = (s.mean + s.residue) / s.unit + np.zeros_like(s.root)
        var = s.square / s.unit / s.unit
        if not options["running_var_biased"]:
            var = var * (s.count / np.maximum(s.count - 1.0, 1.0))
        kept = [plan.names[a] for a in plan.kept]
        shape = [plan.split[a] for a in plan.kept]
        # A set of which the mask leaves nothing, or a single element, says nothing.
        says = np.ones(shape, bool) if shown.mask is None else (shown.mask.sum(axis=-1) > 1).reshape(shape)
        fresh = {}
        for spec, batch in zip(definition.states, (mean, var), strict=True):
            old = widen(held[spec.name])
            missing = tuple(k for k, name in enumerate(kept) if name not in parse_plain(spec.axes).names)
            count = total(says.astype(old.dtype), missing).reshape(old.shape)
            value = total(np.where(says, batch.reshape(shape), 0.0), missing).reshape(old.shape)
            step = options["momentum"] * (value / np.maximum(count, 1.0) - old)
            fresh[spec.name] = narrow(old + np.where(count > 0, step, 0.0), held[spec.name].dtype)
    return fresh
