"""One call of a method on JAX's arrays. Layers and functions both come here.

What a call must decide is decided while it is traced; what is computed is one jitted function, so a call outside of
`jax.jit` is one dispatch, and gives the numbers that the same call inside it gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
from jax import Array

from .. import traced
from ..calling import RUNNING
from ..definition import Definition
from ..fitting import check_eps
from ..pattern import parse, parse_plain
from .arrays import FACE, as_key
from .measuring import AxisName, shared_over

__all__ = ["Call", "call", "normalize"]


class Call(NamedTuple):
    """A finished call: the result, and the new state where the method has one."""

    y: Array
    state: dict[str, Array] | None


def call(
    definition: Definition, x: Any, arrays: Mapping[str, Any], state: Mapping[str, Any], options: Mapping[str, Any], *,
    layout: str | None = None, eps: float | None = None, training: bool = True, mask: Any = None, key: Any = None,
    trailing: int = 1, channels: tuple[int, ...] | None = None, momentum: Any = None,
    axis_name: AxisName | None = None,
) -> Call:  # fmt: skip
    """Run `definition` on x. `arrays`: parameters and inputs by name; `state` likewise; None where left out.

    `axis_name`: the named axis over which the sets go on; `momentum`: in the place of the option.
    """
    who = definition.name
    x = FACE.as_float(x, who, definition.subject)
    live, held = (
        {n: FACE.as_numbers(a, who, n, x) for n, a in named.items() if a is not None} for named in (arrays, state)
    )
    mask = None if mask is None else FACE.as_mask(mask, x)[0]
    key = None if key is None else as_key(key)
    if layout is not None:
        parse_plain(layout)
    settings = {
        "layout": layout, "eps": None if eps is None else check_eps(who, eps), "training": bool(training),
        "trailing": trailing, "channels": channels, "axis_name": axis_name,
    }  # fmt: skip
    y, fresh = _run(definition, tuple(options.items()), tuple(settings.items()), x, live, held, mask, key, momentum)
    return Call(y, fresh or None)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _run(
    definition: Definition, options: tuple[tuple[str, Any], ...], settings: tuple[tuple[str, Any], ...], x: Array,
    live: Mapping[str, Array], held: Mapping[str, Array], mask: Array | None, key: Array | None, momentum: Any,
) -> tuple[Array, dict[str, Array]]:  # fmt: skip
    given = dict(settings)
    axis_name = given.pop("axis_name")
    measures = given["training"] or not all(n in held for n in RUNNING)
    shares = axis_name is not None and measures and x.size > 0
    y, fresh = traced.call(
        FACE, definition, x, live, held, dict(options), mask=mask, key=key, momentum=momentum,
        measure=shared_over(axis_name, definition.name) if shares else None, **given,
    )  # fmt: skip
    return y, fresh or {}


def normalize(
    x: Any, pools: str, *, weight: Any, bias: Any, affine: str | None, sizes: Mapping[str, Any], **rule: Any
) -> Array:
    """`normlab.normalize` for JAX's arrays."""
    x = FACE.as_float(x, "normalize", "x")
    weight, bias = (
        None if a is None else FACE.as_numbers(a, "normalize", n, x) for n, a in (("weight", weight), ("bias", bias))
    )
    checked = {**rule, "eps": check_eps("normalize", rule["eps"])}
    parse(pools).plan(tuple(x.shape), sizes)  # what cannot be hashed cannot be a size either, and is refused here
    return _line(pools, affine, tuple(sizes.items()), tuple(checked.items()), x, weight, bias)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _line(
    pools: str, affine: str | None, sizes: tuple[tuple[str, Any], ...], rule: tuple[tuple[str, Any], ...], x: Array,
    weight: Array | None, bias: Array | None,
) -> Array:  # fmt: skip
    return traced.normalize(FACE, x, pools, weight=weight, bias=bias, affine=affine, sizes=dict(sizes), **dict(rule))
