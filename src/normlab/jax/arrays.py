"""JAX's side of a call: its arrays checked, a namespace that speaks NumPy's language, casts and randomness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ..calling import refuse_dtype
from ..errors import DtypeError, ShapeError, UsageError
from ..operations import Operations
from .measuring import statistics

__all__ = ["FACE", "FLOATS", "as_key", "check_float64", "narrow", "wide", "widen"]

FLOATS = tuple(map(jnp.dtype, (jnp.float32, jnp.float64, jnp.bfloat16, jnp.float16)))
FLOAT64 = jnp.dtype("float64")


class _Namespace:
    """jax.numpy, and the few things that NumPy's language lacks."""

    stop = staticmethod(lax.stop_gradient)

    def __init__(self, dtype: Any = jnp.float32) -> None:
        self.dtype = dtype

    def __getattr__(self, name: str) -> Any:
        found = getattr(jnp, name)
        vars(self)[name] = found
        return found

    @staticmethod
    def einsum(equation: str, *arrays: Array) -> Array:
        """Sums of products in the arrays' own precision: accelerators would round the factors first."""
        return jnp.einsum(equation, *arrays, precision=lax.Precision.HIGHEST)

    def eye(self, size: int) -> Array:
        """The identity matrix."""
        return jnp.eye(size, dtype=self.dtype)


def wide(dtype: Any) -> np.dtype:
    """The dtype in which arrays of `dtype` are computed with: float32 at least."""
    return FLOAT64 if dtype == FLOAT64 else jnp.dtype("float32")


def widen(a: Array) -> Array:
    """`a` in float32 at least."""
    return a.astype(wide(a.dtype))


def narrow(a: Array, like: Array) -> Array:
    """`a` in the dtype of `like`; whole numbers are left wide."""
    return a.astype(like.dtype) if jnp.issubdtype(like.dtype, jnp.floating) else a


def check_float64(who: str, name: str) -> None:
    """Refuse float64 where JAX has none, rather than round it without a word."""
    if not jax.config.read("jax_enable_x64"):
        raise DtypeError(
            f"{who}: {name} is float64, which JAX has only with its switch on.",
            hint='Call jax.config.update("jax_enable_x64", True) before the first array is made, or use float32.',
        )


def as_key(key: Any) -> Array:
    """A key of jax.random of a key or a whole number."""
    if isinstance(key, int | np.integer) and not isinstance(key, bool) and 0 <= key < 2**63:
        return jax.random.key(int(key))
    dtype = getattr(key, "dtype", None)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key) and key.ndim == 0
    if not typed and (dtype != jnp.uint32 or key.ndim != 1):  # the latter: a key as it was before there was a type
        raise UsageError(f"key must be a whole number of at least 0 or a key of jax.random, got {key!r}.")
    return key


def _random(key: Any, like: Array) -> Callable[[Sequence[int]], Array]:
    return lambda shape: jax.random.uniform(as_key(key), tuple(shape), like.dtype)


class _Face:
    """What `calling` and `traced` are told of JAX's arrays."""

    xp = _Namespace()
    widen = staticmethod(widen)
    narrow = staticmethod(narrow)
    statistics = staticmethod(statistics)

    @staticmethod
    def as_float(x: Any, who: str, name: str = "x") -> Array:
        """`x`, checked to be an array, JAX's or NumPy's, of floating-point numbers with at least one axis."""
        if not isinstance(x, jax.Array) and type(x) is not np.ndarray:  # a masked array would lose its mask
            raise DtypeError(
                f"{who}: {name} must be a JAX array, got {type(x).__name__}.", hint="Convert with jax.numpy.asarray."
            )
        if x.dtype not in FLOATS:
            raise refuse_dtype(who, name, x.dtype, f"{name}.astype(jax.numpy.float32)")
        if x.dtype == FLOAT64:
            check_float64(who, name)
        if x.ndim == 0:
            raise ShapeError(f"{who}: {name} must have at least one axis, got a 0-d array.")
        return jnp.asarray(x)

    @staticmethod
    def as_numbers(a: Any, who: str, name: str, like: Array) -> Array:
        """A parameter, state or input as an array of real numbers: lists, NumPy's arrays and whole numbers may pass."""
        if not isinstance(a, jax.Array):
            try:
                a = np.asarray(a)
            except ValueError:
                raise ShapeError(f"{who}: {name} must be an array, got nested lists of unequal lengths.") from None
        if not (jnp.issubdtype(a.dtype, jnp.floating) or jnp.issubdtype(a.dtype, jnp.integer)):
            raise DtypeError(f"{who}: {name} must hold real numbers, got elements of {a.dtype}.")
        return jnp.asarray(a)

    @staticmethod
    def as_mask(mask: Any, like: Array) -> tuple[Array, bool]:
        """The mask as an array, and whether its elements are boolean."""
        found = jnp.asarray(mask)
        return found, found.dtype == jnp.bool_

    @staticmethod
    def operations(layout: str, key: Any, like: Array) -> Operations:
        """What a forward may use; random numbers come from `key`, in the dtype of `like`."""
        return Operations(
            _Namespace(like.dtype), layout, erf=lax.erf, random=_random(key, like), stop=lax.stop_gradient,
            eigh=jnp.linalg.eigh,
        )  # fmt: skip


FACE = _Face()
