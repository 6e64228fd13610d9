"""MLX's side of a call: its arrays checked, a namespace that speaks NumPy's language, casts and randomness."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from ..calling import refuse_dtype
from ..constraints import is_number
from ..errors import DtypeError, ShapeError, UsageError
from ..operations import Operations
from . import reducing

__all__ = ["FACE", "FLOATS", "Custom", "as_array", "narrow", "wide", "widen"]

Array = mx.array
Custom: Any = mx.custom_function  # a function with a vjp of its own; its type says nothing of what it gives
FLOATS = (mx.float32, mx.float16, mx.bfloat16, mx.float64)
_REAL = (*FLOATS, mx.int8, mx.int16, mx.int32, mx.int64, mx.uint8, mx.uint16, mx.uint32, mx.uint64)


class _Range(NamedTuple):
    """What NumPy's finfo tells and MLX's does not."""

    maxexp: int
    nmant: int


_RANGES = {mx.float32: _Range(128, 23), mx.float64: _Range(1024, 52)}


class _Namespace:
    """mlx.core, and the few things that NumPy's language has besides."""

    inf = math.inf
    stop = staticmethod(mx.stop_gradient)
    sum, mean, max = map(staticmethod, (reducing.total, reducing.mean, reducing.largest))

    def __getattr__(self, name: str) -> Any:
        found = getattr(mx, name)
        vars(self)[name] = found
        return found

    @staticmethod
    def finfo(dtype: mx.Dtype) -> _Range:
        """The exponent's and the mantissa's range."""
        return _RANGES[dtype]

    @staticmethod
    def exp(a: Array) -> Array:
        """The exponential; MLX computes that of float64 in float32, but powers in float64."""
        return mx.power(math.e, a) if a.dtype == mx.float64 else mx.exp(a)


@Custom
def _eigh(a: Array) -> tuple[Array, Array]:
    values, vectors = mx.linalg.eigh(a, stream=mx.cpu)  # MLX has it on the CPU only, and without a gradient
    return values, vectors


@_eigh.vjp
def _eigh_pull(a: Array, cotangents: Sequence[Array], made: Sequence[Array]) -> Array:
    # dA = V (diag(dw) + (V' dV) / (w_j - w_i) off the diagonal) V'
    (values, vectors), (dvalues, dvectors) = made, cotangents
    apart = values[..., None, :] - values[..., :, None]
    inner = (vectors.swapaxes(-1, -2) @ dvectors) * mx.where(apart == 0, 0.0, 1.0 / mx.where(apart == 0, 1.0, apart))
    inner = inner + mx.eye(values.shape[-1], dtype=values.dtype) * dvalues[..., None, :]
    return vectors @ inner @ vectors.swapaxes(-1, -2)


def wide(dtype: mx.Dtype) -> mx.Dtype:
    """The dtype in which an array of `dtype` is computed with: float32 at least."""
    return mx.float64 if dtype == mx.float64 else mx.float32


def widen(a: Array) -> Array:
    """`a` in float32 at least."""
    return a.astype(wide(a.dtype))


def narrow(a: Array, like: Array) -> Array:
    """`a` in the dtype of `like`; whole numbers are left wide."""
    return a.astype(like.dtype) if like.dtype in FLOATS else a


def as_array(a: Any, who: str, name: str, like: Array | None = None) -> Array:
    """A parameter, state or input as an array of real numbers: lists, NumPy's arrays and whole numbers may pass."""
    if not isinstance(a, mx.array):
        try:
            found = np.array(a, order="C")  # a copy: MLX takes no negative strides
        except ValueError:
            raise ShapeError(f"{who}: {name} must be an array, got nested lists of unequal lengths.") from None
        if found.dtype.kind not in "fiu":
            raise DtypeError(f"{who}: {name} must hold real numbers, got elements of {found.dtype}.")
        # MLX makes float32 of NumPy's float64 unless it is told otherwise.
        return mx.array(found, dtype=mx.float64 if like is not None and like.dtype == mx.float64 else None)
    if a.dtype not in _REAL:
        raise DtypeError(f"{who}: {name} must hold real numbers, got elements of {_named(a.dtype)}.")
    return a


def _named(dtype: mx.Dtype) -> str:
    return str(dtype).rpartition(".")[2]


def _random(key: Any, like: Array) -> Callable[[Sequence[int]], Array]:
    """Uniform numbers from a whole number or a key of mlx.core.random; None: from MLX's own, as `seed` sets it."""
    if is_number(key, whole=True) and 0 <= key < 2**64:
        key = mx.random.key(int(key))
    if not (key is None or (isinstance(key, mx.array) and key.dtype == mx.uint32 and key.shape == (2,))):
        raise UsageError(f"key must be a whole number of at least 0 or a key of mlx.core.random, got {key!r}.")
    return lambda shape: mx.random.uniform(shape=tuple(shape), key=key).astype(like.dtype)


class _Face:
    """What `calling` and `traced` are told of MLX's arrays."""

    xp = _Namespace()
    widen = staticmethod(widen)
    narrow = staticmethod(narrow)
    as_numbers = staticmethod(as_array)

    @staticmethod
    def as_float(x: Any, who: str, name: str = "x") -> Array:
        """`x` itself, checked to be an array of floating-point numbers with at least one axis."""
        if not isinstance(x, mx.array):
            raise DtypeError(
                f"{who}: {name} must be an MLX array, got {type(x).__name__}.", hint="Convert with mlx.core.array."
            )
        if x.dtype not in FLOATS:
            raise refuse_dtype(who, name, _named(x.dtype), f"{name}.astype(mlx.core.float32)")
        if x.ndim == 0:
            raise ShapeError(f"{who}: {name} must have at least one axis, got a 0-d array.")
        return x

    @staticmethod
    def as_mask(mask: Any, like: Array) -> tuple[Array, bool]:
        """The mask as an array, and whether its elements are boolean."""
        found = mask if isinstance(mask, mx.array) else mx.array(np.array(mask, order="C"))
        return found, found.dtype == mx.bool_

    def operations(self, layout: str, key: Any, like: Array) -> Operations:
        """What a forward may use. The error function is float32's also where the rest is float64: MLX has no other."""
        return Operations(self.xp, layout, erf=mx.erf, random=_random(key, like), stop=mx.stop_gradient, eigh=_eigh)


FACE = _Face()
