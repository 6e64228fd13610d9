"""A call inside torch.compile or torch.export: the same formula, with shapes that may be symbols.

Nothing here is cached or checked but for the channels, for a trace can follow neither; wrong arguments are refused in
their own words by the same call outside a trace.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import fitting, kernels, traced
from ..calling import RUNNING, Ready, Rule, own_forward
from ..definition import Choice, Definition
from ..pattern import names_of, parse, parse_plain
from . import exported, library, symbolic
from .arrays import FACE, widen
from .symbolic import constant

__all__ = ["call", "normalize", "settings"]


class _Lines(NamedTuple):
    """What a call's text says: the pools in x's order, the sizes of factors, and the axes of every array by name."""

    pools: str
    sizes: tuple[tuple[str, int], ...]
    axes: tuple[tuple[str, str], ...]


@constant
def _shaping(definition: Definition) -> tuple[str, ...]:
    """The options that say what is pooled; the others are numbers that a trace may keep open."""
    # A trace cannot follow how a cached property is made, only read it.
    definition.states, definition.hosted, definition.has_running  # noqa: B018
    chosen = definition.pools.option if isinstance(definition.pools, Choice) else None
    return tuple(o.name for o in definition.options if o.factor is not None or o.name == chosen)


@constant
def _lines(
    definition: Definition, shaping: tuple[tuple[str, Any], ...], layout: str, trailing: int, frozen: bool,
    channels: int | None,
) -> _Lines:  # fmt: skip
    pattern = fitting.arranged(definition, dict(shaping), layout, trailing, frozen)
    main = "o" if "o" in parse_plain(definition.layout).names else "c"
    sizes = {n: s for n, s in _sizes(definition, shaping, channels).items() if n in pattern.names}
    axes = {p.name: fitting.line_of(pattern, p.axes, main, trailing) for p in definition.params}
    axes |= {s.name: s.axes for s in definition.states if definition.has_running}
    return _Lines(str(pattern), tuple(sizes.items()), tuple(axes.items()))


def _sizes(definition: Definition, shaping: tuple[tuple[str, Any], ...], channels: int | None) -> dict[str, int]:
    plain = {o.name: o.default for o in definition.options}
    return definition.factor_sizes({**plain, **dict(shaping)}, channels)


@constant
def _channel_axes(layout: str, trailing: int, ndim: int) -> tuple[int, ...]:
    main = "o" if "o" in parse_plain(layout).names else "c"
    names = [a.name for a in symbolic._sketch(str(parse_plain(layout).widen(main, trailing)), ndim, ())]
    return tuple(k for k, name in enumerate(names) if name.rstrip("0123456789") == main)


@constant
def _refuse(
    definition: Definition, shape: tuple[int, ...], layout: str, trailing: int, channels: tuple[int, ...]
) -> None:  # fmt: skip
    """Raise what the same call outside a trace raises."""
    plain = {o.name: o.default for o in definition.all_options}
    fitting.fit(definition, shape, layout, plain, {}, trailing=trailing, channels=channels)


@constant
def settings(text: str) -> Any:
    """A layer's eps and options, written as text, as a trace's constants."""
    return ast.literal_eval(text)


@constant
def _has_line(definition: Definition) -> bool:
    return definition.forward is None and definition.pools is not None


@constant
def _resolved(definition: Definition, shaping: tuple[tuple[str, Any], ...], channels: int) -> Any:
    """The options that were "auto", as numbers."""
    sizes = _sizes(definition, shaping, channels)
    return tuple((o.name, sizes[o.factor]) for o in definition.options if o.factor in sizes)


def call(
    definition: Definition, x: Tensor, arrays: Mapping[str, Any], state: Mapping[str, Any], options: Mapping[str, Any],
    *, layout: str | None, eps: float | None, training: bool, mask: Any = None, key: Any = None, trailing: int = 1,
    channels: tuple[int, ...] | None = None, momentum: Any = None,
) -> tuple[Tensor, dict[str, Tensor] | None]:  # fmt: skip
    """As `traced.call`, in a trace."""
    layout = layout or definition.layout
    live = {n: a for n, a in arrays.items() if a is not None}
    held = {n: a for n, a in state.items() if a is not None}
    places = _channel_axes(layout, trailing, x.ndim)
    own = tuple(x.shape[k] for k in places)
    if channels is not None and own != channels:
        _refuse(definition, tuple(operator.index(s) for s in x.shape), layout, trailing, channels)
    shaping = tuple((n, _settled(options[n])) for n in _shaping(definition))
    if not _has_line(definition):
        given = {**options, **dict(_resolved(definition, shaping, _count(own)))}
        given |= {} if eps is None else {"eps": eps}
        return _forward(definition, x, live, held, given, layout, training, key)
    frozen = len([n for n in RUNNING if n in held]) == 2 and not training
    lines = _lines(definition, shaping, layout, trailing, frozen, _count(channels or own))
    plan = symbolic.plan(lines.pools, tuple(x.shape), dict(lines.sizes))
    targets = {n: plan.align(a)[1] for n, a in lines.axes}
    rule = Rule(definition.centre, definition.spread, eps or 0.0, definition.eps_rule)
    names = definition.affine
    weight, bias = live.get(names[0] or ""), live.get(names[1] or "")
    if mask is None and not frozen and _by_kernels(x, rule):
        axes = dict(lines.axes)
        y, _, mean, var = library.standardize(
            x, weight, bias, lines.pools, " ".join(n for n, _ in lines.sizes), [s for _, s in lines.sizes],
            axes.get(names[0] or "", ""), axes.get(names[1] or "", ""), rule.centre, rule.spread, rule.eps,
            rule.eps_rule,
        )  # fmt: skip
        measured: traced.Measured | None = traced.Measured(mean, var, float(plan.count))
    else:
        broad = {n: widen(a).reshape(targets[n]) for n, a in (*live.items(), *held.items()) if n in targets}
        weight, bias = broad.get(names[0] or ""), broad.get(names[1] or "")
        running = (broad[RUNNING[0]], broad[RUNNING[1]]) if frozen else None
        if mask is None and exported.is_exporting():
            found = exported.by_operator(x, plan, rule, weight, bias, running)
            if found is not None:
                return found, held or None
        if mask is not None:
            mask = mask.reshape(plan.align(_mask_axes(lines.pools, layout))[1])
        y, measured = traced.standardize(FACE, x, plan, rule, weight, bias, mask=mask, running=running)
    if measured is None or len(held) < 2:
        return y, held or None
    ready = Ready(definition, x, layout, plan, rule, options, live, held, targets, mask, frozen)
    return y, traced.new_state(FACE, ready, measured, options["momentum"] if momentum is None else momentum)


def _by_kernels(x: Tensor, rule: Rule) -> bool:
    """Whether the registered operation takes the call. Elsewhere the compiler makes one pass of the formula itself."""
    if x.device.type != "cpu" or torch.compiler.is_exporting() or not _kernels_know(rule.centre, rule.spread):
        return False
    return torch._C._functorch.peek_interpreter_stack() is None


@constant
def _kernels_know(centre: bool, spread: str | None) -> bool:
    if not kernels.available():
        return False
    from ..kernels.standardizing import ALLOWED

    return spread is not None and (centre, spread) in ALLOWED


@constant
def _mask_axes(pools: str, layout: str) -> str:
    pattern = parse(pools)
    return " ".join(pattern.whole(n) for n in names_of(layout) if n != "c")


def normalize(
    x: Tensor, pools: str, rule: Rule, weight: Any, bias: Any, affine: str | None, sizes: Mapping[str, Any]
) -> Tensor:  # fmt: skip
    """As `call.normalize`, in a trace."""
    plan = symbolic.plan(pools, tuple(x.shape), sizes)
    target = plan.align(_affine_axes(pools, affine))[1]
    broad = [None if a is None else widen(a).reshape(target) for a in (weight, bias)]
    return traced.standardize(FACE, x, plan, rule, broad[0], broad[1])[0]


@constant
def _affine_axes(pools: str, affine: str | None) -> str:
    pattern = parse(pools)
    return affine or (pattern.whole("c") if affine is None and "c" in pattern.names else "")


def _count(sizes: tuple[int, ...]) -> int:
    """How many channels: a number, even where the other sizes are none yet."""
    result = 1
    for size in sizes:
        result *= operator.index(size)
    return result


def _settled(value: Any) -> Any:
    """An option as a trace's constant: in a trace even a whole number may be a symbol."""
    return value if value is None or isinstance(value, str | bool) else operator.index(value)


def _forward(
    definition: Definition, x: Tensor, live: Mapping[str, Tensor], held: Mapping[str, Tensor],
    options: Mapping[str, Any], layout: str, training: bool, key: Any,
) -> tuple[Tensor, dict[str, Tensor] | None]:  # fmt: skip
    wide = widen(x)
    ops = FACE.operations(definition.layout, key, wide)
    y, fresh = own_forward(
        ops, definition, wide, {n: widen(a) for n, a in live.items()}, {n: widen(a) for n, a in held.items()}, options,
        layout=layout, training=training,
    )  # fmt: skip
    state = dict(held)
    if fresh is not None:
        state |= {n: FACE.narrow(a.detach(), held[n]) for n, a in fresh.items() if n in held}
    return FACE.narrow(y, x), state or None
