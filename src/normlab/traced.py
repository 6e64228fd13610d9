"""One call on a face whose framework differentiates by itself: the formula, on the split axes of the array.

`Tracer` is what such a face hands in besides its arrays: an `xp` that speaks NumPy's language, casts, and randomness.
Nothing here changes an array, so it may run under any transformation (jit, grad, vmap).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from . import formula
from .calling import RUNNING, Arrays, Ready, Rule, moved, own_forward, prepare, prepare_line
from .definition import Definition
from .operations import Operations
from .pattern import Plan

__all__ = ["Measured", "Tracer", "call", "new_state", "normalize", "run", "standardize"]

Array = Any


class Tracer(Arrays, Protocol):
    """What a face gives: its arrays, and how they are computed with."""

    xp: Any  # speaks NumPy's language; its `stop(a)` cuts the gradient

    def widen(self, a: Array) -> Array:
        """`a` in float32 at least."""

    def narrow(self, a: Array, like: Array) -> Array:
        """`a` in the dtype of `like`."""

    def operations(self, layout: str, key: Any, like: Array) -> Operations:
        """What a forward may use; random numbers come from `key`, in the dtype of `like`."""


class Measured(NamedTuple):
    """The statistics of a batch, one for each set, with pooled axes of size 1; `count` is a number without a mask."""

    mean: Array
    var: Array
    count: Array


def call(
    face: Tracer, definition: Definition, x: Any, arrays: Mapping[str, Any], state: Mapping[str, Any],
    options: Mapping[str, Any], *, momentum: Any = None, training: bool = True, key: Any = None,
    measure: Any = None, **given: Any,
) -> tuple[Array, dict[str, Array] | None]:  # fmt: skip
    """Run `definition` on x: y, and the new state where it has one. `momentum`: in the place of the option.

    `measure`: in the place of `formula.statistics`, for sets that go on in other processes.
    `given`: what `calling.prepare` takes besides.
    """
    ready = prepare(face, definition, x, arrays, state, options, training=training, shared=measure is not None, **given)
    return run(face, ready, momentum=momentum, training=training, key=key, measure=measure)


def run(
    face: Tracer, ready: Ready, *, momentum: Any = None, training: bool = True, key: Any = None, measure: Any = None
) -> tuple[Array, dict[str, Array] | None]:  # fmt: skip
    """The rest of `call`, once it is prepared."""
    held = dict(ready.held)
    if ready.empty and measure is None:
        return nothing(face, ready), held or None
    if ready.plan is None:
        return _forward(face, ready, training, key)
    weight, bias = (_broad(face, ready, n) for n in ready.definition.affine)
    running = (_broad(face, ready, RUNNING[0]), _broad(face, ready, RUNNING[1])) if ready.frozen else None
    y, measured = standardize(
        face, ready.x, ready.plan, ready.rule, weight, bias, mask=ready.mask, running=running, measure=measure
    )
    if ready.keeps and measured is not None:
        held |= new_state(face, ready, measured, ready.options["momentum"] if momentum is None else momentum)
    return y, held or None


def new_state(face: Tracer, ready: Ready, measured: Measured, momentum: Array) -> dict[str, Array]:
    """The running statistics after a batch, each in its own dtype."""
    xp = face.xp
    wide = replace(ready, held={n: face.widen(a) for n, a in ready.held.items()})
    mean, var = xp.stop(measured.mean), xp.stop(measured.var)
    fresh = moved(xp, wide, mean, var, measured.count, momentum, total=_total(xp))
    return {n: face.narrow(a, ready.held[n]) for n, a in fresh.items()}


def _total(xp: Any) -> Any:
    return lambda a, axes: xp.sum(a, axis=axes) if axes else a


def normalize(
    face: Tracer, x: Any, pools: str, *, centre: bool, spread: str | None, eps: float, eps_rule: str, weight: Any,
    bias: Any, affine: str | None, sizes: Mapping[str, Any],
) -> Array:  # fmt: skip
    """`normlab.normalize` for this face's arrays."""
    x, plan, rule, found, targets = prepare_line(
        face, x, pools, rule=Rule(centre, spread, eps, eps_rule), weight=weight, bias=bias, affine=affine, sizes=sizes
    )
    if 0 in tuple(x.shape):
        return x
    broad = [None if a is None else face.xp.reshape(face.widen(a), t) for a, t in zip(found, targets, strict=True)]
    return standardize(face, x, plan, rule, broad[0], broad[1])[0]


def standardize(
    face: Tracer, x: Array, plan: Plan, rule: Rule, weight: Array | None, bias: Array | None, *,
    mask: Array | None = None, running: tuple[Array, Array] | None = None, measure: Any = None,
) -> tuple[Array, Measured | None]:  # fmt: skip
    """Normalize x by its own statistics, or by `running` mean and variance; all but x broadcast over the split axes."""
    xp = face.xp
    wide = xp.reshape(face.widen(x), plan.split)
    measured = strange = None
    if running is not None:
        mean = running[0] if rule.centre else xp.zeros_like(running[0])
        zero, one = xp.zeros_like(mean), xp.ones_like(mean)
        s = formula.Statistics(mean, zero, formula.safe_sqrt(xp, running[1]), running[1], one, plan.count)
    else:
        if mask is not None:
            # NaN in what is masked out must not pass through a gradient of 0: it is put back at the end.
            sound = mask | (xp.abs(wide) < xp.inf)
            strange = xp.stop(xp.where(sound, xp.zeros_like(wide), wide))
            wide = xp.where(sound, wide, xp.zeros_like(wide))
        s = (measure or getattr(face, "statistics", formula.statistics))(
            xp, wide, plan.pooled, centre=rule.centre, spread=rule.spread, eps=rule.eps, mask=mask
        )
        by = 1.0 / s.unit  # of a power of two; a compiler makes one division by unit^2, which may be 0, of two
        measured = Measured((s.mean + s.residue) * by, s.square * by * by, s.count)
    z, _ = formula.normalize(xp, wide, s, spread=rule.spread, eps=rule.eps, eps_rule=rule.eps_rule)
    if mask is not None and measured is not None and rule.spread is not None:
        # Where what counts has no spread, what is masked out has nothing to be measured by.
        z = xp.where(mask | (s.root != 0), z, xp.zeros_like(z))
        strange = xp.where(mask | (s.root != 0), strange, xp.zeros_like(z))
    y = z if weight is None else z * weight
    y = y if bias is None else y + bias
    y = y if strange is None else y + strange
    return xp.reshape(face.narrow(y, x), tuple(x.shape)), measured


def nothing(face: Tracer, ready: Ready) -> Array:
    """The output for an empty batch: parameters are joined to it, so that their gradient is 0 rather than missing."""
    y = face.widen(ready.x)
    for a in ready.live.values():
        y = y + 0.0 * face.xp.sum(face.widen(a))
    return face.narrow(y, ready.x)


def _forward(face: Tracer, ready: Ready, training: bool, key: Any) -> tuple[Array, dict[str, Array] | None]:
    x = face.widen(ready.x)
    ops = face.operations(ready.definition.layout, key, x)
    live = {n: face.widen(a) for n, a in ready.live.items()}
    held = {n: face.widen(a) for n, a in ready.held.items()}
    y, fresh = own_forward(
        ops, ready.definition, x, live, held, ready.options, layout=ready.layout, training=training
    )
    state = dict(ready.held)
    if fresh is not None:
        state |= {n: face.narrow(face.xp.stop(a), ready.held[n]) for n, a in fresh.items()}
    return face.narrow(y, ready.x), state or None


def _broad(face: Tracer, ready: Ready, name: str | None) -> Array | None:
    """A parameter or state, wide, in the shape that broadcasts; None where it was left out."""
    a = ready.live.get(name or "", ready.held.get(name or ""))
    return None if a is None else face.xp.reshape(face.widen(a), ready.targets[name or ""])
