"""One call of a method on MLX arrays. Layers and functions both come here.

A call by its own statistics goes to `standardize`, everything else to the formula. On a GPU, where every operation that
is not fused is a launch and a pass over memory, it is compiled to fused kernels. On a CPU MLX compiles with a C++
compiler, for a second or two, to loops over strides that take one and a half times as long as the operations one by one
(measured on 4096 x 1024), so there nothing is compiled unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple

import mlx.core as mx

from .. import traced
from ..calling import Rule, prepare, prepare_line
from ..definition import Definition
from .arrays import FACE
from .standardize import covers, standardize

__all__ = ["Call", "call", "fusing", "normalize"]

_FUSING: ContextVar[bool | None] = ContextVar("fusing", default=None)


class Call(NamedTuple):
    """A finished call: the result, and the new state where the method has one."""

    y: mx.array
    state: dict[str, mx.array] | None


@contextmanager
def fusing(on: bool) -> Iterator[None]:
    """Inside, calls are compiled to fused kernels, or are not, whatever the device."""
    token = _FUSING.set(on)
    try:
        yield
    finally:
        _FUSING.reset(token)


def call(
    definition: Definition, x: Any, arrays: Mapping[str, Any], state: Mapping[str, Any], options: Mapping[str, Any], *,
    mask: Any = None, key: Any = None, momentum: Any = None, **given: Any,
) -> Call:  # fmt: skip
    """Run `definition` on x. `arrays`: parameters and inputs by name; `state` likewise; None where left out."""
    x = FACE.as_float(x, definition.name, definition.subject)
    with _place(x):
        if definition.forward is not None or not _fuses(x):  # a forward may draw: compiled, it would draw once for all
            return _run(definition, x, arrays, state, options, mask=mask, key=key, momentum=momentum, **given)
        live, held = (
            {n: FACE.as_numbers(a, definition.name, n, x) for n, a in named.items() if a is not None}
            for named in (arrays, state)
        )
        more = {} if mask is None else {"mask": FACE.as_mask(mask, x)[0]}
        more |= {} if momentum is None else {"momentum": momentum}
        run = _fused(definition, tuple(options.items()), tuple(given.items()))
        y, fresh = run(x, live, held, more)
        return Call(y, fresh or None)


def _run(
    definition: Definition, x: mx.array, arrays: Mapping[str, Any], state: Mapping[str, Any],
    options: Mapping[str, Any], *, mask: Any = None, key: Any = None, momentum: Any = None, **given: Any,
) -> Call:  # fmt: skip
    def by_formula() -> Call:
        more = {"mask": mask, "key": key, "momentum": momentum}
        return Call(*traced.call(FACE, definition, x, arrays, state, options, **more, **given))

    if definition.forward is not None:
        return by_formula()
    ready = prepare(FACE, definition, x, arrays, state, options, mask=mask, **given)
    if ready.plan is None or ready.empty or ready.frozen or not covers(ready.rule, mask):
        return by_formula()
    named = [n or "" for n in definition.affine]
    affine, targets = [ready.live.get(n) for n in named], [ready.targets.get(n, ()) for n in named]
    y, measured = standardize(ready.x, ready.plan, ready.rule, affine, targets)
    held = dict(ready.held)
    if ready.keeps:
        held |= traced.new_state(FACE, ready, measured, options["momentum"] if momentum is None else momentum)
    return Call(y, held or None)


@lru_cache(maxsize=1024)
def _fused(
    definition: Definition, options: tuple[tuple[str, Any], ...], given: tuple[tuple[str, Any], ...]
) -> Callable[..., Any]:
    """One decision as a compiled function of arrays alone; MLX keeps what it compiled for every shape that it meets."""

    def run(x: mx.array, live: Any, held: Any, more: Any) -> tuple[mx.array, dict[str, mx.array]]:
        done = _run(definition, x, live, held, dict(options), **more, **dict(given))
        return done.y, done.state or {}

    return mx.compile(run)


def normalize(
    x: Any, pools: str, *, centre: bool, spread: str | None, eps: float, eps_rule: str, weight: Any, bias: Any,
    affine: str | None, sizes: Mapping[str, Any],
) -> mx.array:  # fmt: skip
    """`normlab.normalize` for MLX arrays."""
    rule, more = Rule(centre, spread, eps, eps_rule), {"weight": weight, "bias": bias, "affine": affine, "sizes": sizes}
    with _place(FACE.as_float(x, "normalize", "x")):
        if not covers(rule, None) or 0 in x.shape:
            return traced.normalize(FACE, x, pools, centre=centre, spread=spread, eps=eps, eps_rule=eps_rule, **more)
        x, plan, rule, found, targets = prepare_line(FACE, x, pools, rule=rule, **more)
        return standardize(x, plan, rule, found, targets)[0]


def _place(x: mx.array) -> AbstractContextManager[Any]:
    """float64 exists on the CPU only."""
    return mx.stream(mx.cpu) if x.dtype == mx.float64 else nullcontext()


def _fuses(x: mx.array) -> bool:
    asked = _FUSING.get()
    return asked if asked is not None else mx.default_device() != mx.Device(mx.cpu) and x.dtype != mx.float64
