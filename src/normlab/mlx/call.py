"""One call of a method on MLX arrays. Layers and functions both come here.

The formula runs as it stands, or compiled to fused kernels: on a GPU, where every operation that is not fused is a
launch and a pass over memory. On a CPU MLX compiles fused kernels with a C++ compiler, in seconds, to loops over
strides that take longer than the operations one by one (measured; see docs/mlx.md), so there it stands as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple

import mlx.core as mx

from .. import traced
from ..definition import Definition
from .arrays import FACE

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
            return Call(*traced.call(
                FACE, definition, x, arrays, state, options, mask=mask, key=key, momentum=momentum, **given
            ))  # fmt: skip
        live, held = (
            {n: FACE.as_numbers(a, definition.name, n, x) for n, a in named.items() if a is not None}
            for named in (arrays, state)
        )
        mask = mask if mask is None else FACE.as_mask(mask, x)[0]
        run = _fused(definition, tuple(options.items()), tuple(given.items()), mask is not None, momentum is not None)
        y, fresh = run(x, live, held, [a for a in (mask, momentum) if a is not None])
        return Call(y, fresh or None)


@lru_cache(maxsize=1024)
def _fused(
    definition: Definition, options: tuple[tuple[str, Any], ...], given: tuple[tuple[str, Any], ...], masked: bool,
    weighed: bool,
) -> Callable[..., Any]:  # fmt: skip
    """One decision as a compiled function of arrays alone; MLX keeps one kernel for every shape that it meets."""

    def run(x: mx.array, live: Any, held: Any, more: list[mx.array]) -> tuple[mx.array, dict[str, mx.array]]:
        y, fresh = traced.call(
            FACE, definition, x, live, held, dict(options), mask=more[0] if masked else None,
            momentum=more[-1] if weighed else None, **dict(given),
        )  # fmt: skip
        return y, fresh or {}

    return mx.compile(run)


def normalize(x: Any, pools: str, **given: Any) -> mx.array:
    """`normlab.normalize` for MLX arrays."""
    with _place(FACE.as_float(x, "normalize", "x")):
        return traced.normalize(FACE, x, pools, **given)


def _place(x: mx.array) -> AbstractContextManager[Any]:
    """float64 exists on the CPU only."""
    return mx.stream(mx.cpu) if x.dtype == mx.float64 else nullcontext()


def _fuses(x: mx.array) -> bool:
    asked = _FUSING.get()
    return asked if asked is not None else mx.default_device() != mx.Device(mx.cpu) and x.dtype != mx.float64
