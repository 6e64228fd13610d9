"""Weight methods around a module of Flax: `weight_norm(nnx.Linear(...))` is that layer with a normalized kernel.

The kernel that is stored stays the raw one, in training and evaluation: what the method makes of it exists during the
call alone, so gradients reach the kernel and what the method learns, and a checkpoint holds both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from ..definition import Definition
from ..errors import UsageError
from ..pattern import parse_plain
from .flax_modules import Module, build

__all__ = ["Hosted", "host"]

WARMUP = 15  # training calls at the start for a state that is iterated, as in torch: it starts far from where it leads


class Hosted(nnx.Module):
    """`module`, whose array `name` goes through the weight method `norm` at every call."""

    def __init__(self, module: nnx.Module, norm: Module, name: str) -> None:
        self.module, self.norm, self.name = module, norm, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module gives with its kernel normalized."""
        kernel = getattr(self.module, self.name)
        with _holding(kernel, self.norm(kernel[...])):
            return self.module(*args, **kwargs)


@contextmanager
def _holding(variable: nnx.Variable[Any], value: Array) -> Iterator[None]:
    """Inside, the variable holds another value."""
    raw = variable[...]
    variable[...] = value
    try:
        yield
    finally:
        variable[...] = raw


def host(definition: Definition) -> Callable[..., Hosted]:
    """The function that puts a weight method around a module: `(module, name="kernel", **options)`."""

    def wrap(
        module: nnx.Module, name: str = "kernel", *, layout: str | None = None, rngs: nnx.Rngs | None = None,
        batch: Any = None, **options: Any,
    ) -> Hosted:  # fmt: skip
        kernel = getattr(module, name, None)
        if not isinstance(module, nnx.Module) or not isinstance(kernel, nnx.Variable):
            came = type(module).__name__
            raise UsageError(f"{definition.name}: module must be a flax.nnx.Module with an array {name!r}, got {came}.")
        # Flax's kernels have their inputs before their outputs, but for transposed ones.
        layout = layout or ("... o i" if getattr(module, "transpose_kernel", False) else "... i o")
        value = kernel[...]
        channels = parse_plain(layout).plan(tuple(value.shape)).size("o")
        norm = build(definition, channels, layout=layout, options=options, dtype=value.dtype, rngs=rngs)
        _add(definition, module, norm.start(value, None if batch is None else _respond(module, kernel, batch)))
        for _ in range(WARMUP if definition.states else 0):
            norm(value)
        return Hosted(module, norm, name)

    wrap.__name__ = wrap.__qualname__ = definition.name
    wrap.__module__ = "normlab.jax.nnx"
    wrap.__doc__ = (
        f"{definition.title} of a module's array, by default its `kernel`; options as the module's.\n\n"
        "`layout` is the order of the array's axes, by default '... i o'; `rngs` for what starts at random; `batch`,\n"
        "an input of the module, for a start that is taken from its responses. Returns a module that is called alike."
    )
    return wrap


def _add(definition: Definition, module: nnx.Module, extra: dict[str, Array]) -> None:
    for name, a in extra.items():
        held = getattr(module, name, None)
        if not isinstance(held, nnx.Variable):
            came = type(module).__name__
            raise UsageError(f"{definition.name}: this start sets the {name} of {came}, which has none.")
        held[...] = a.astype(held.dtype)


def _respond(module: nnx.Module, kernel: nnx.Variable[Any], batch: Any) -> Callable[[Array], Array]:
    """What the module answers to the batch with another kernel, less what it adds; channels second."""

    def respond(w: Array) -> Array:
        nothing = module(jnp.zeros_like(batch))
        with _holding(kernel, w):
            return jnp.moveaxis(module(batch) - nothing, -1, 1)

    return respond
