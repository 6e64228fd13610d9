"""PyTorch's side of a call: its tensors checked, a namespace that speaks NumPy's language, casts and randomness."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..calling import refuse_dtype
from ..errors import DtypeError, ShapeError, UsageError
from ..operations import Operations
from . import symbolic

__all__ = ["FACE", "FLOATS", "Face", "Namespace", "narrow", "widen"]

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


class _Range(NamedTuple):
    """What NumPy's finfo tells and torch's does not."""

    maxexp: int
    nmant: int


_RANGES = {torch.float32: _Range(128, 23), torch.float64: _Range(1024, 52)}


class Namespace:
    """NumPy's names for torch's operations; what makes new arrays makes them where `like` is, in its dtype."""

    inf = math.inf
    abs, sqrt, exp, log, tanh, sign = torch.abs, torch.sqrt, torch.exp, torch.log, torch.tanh, torch.sign
    zeros_like, ones_like, full_like, where = torch.zeros_like, torch.ones_like, torch.full_like, torch.where

    def __init__(self, like: Tensor | None = None) -> None:
        self.like = like

    @staticmethod
    def finfo(dtype: torch.dtype) -> _Range:
        """The exponent's and the mantissa's range."""
        return _RANGES[dtype]

    @staticmethod
    def stop(a: Tensor) -> Tensor:
        """The value, without a gradient."""
        return a.detach()

    @staticmethod
    def reshape(a: Tensor, shape: Sequence[int]) -> Tensor:
        """`a` in another shape."""
        return a.reshape(tuple(shape))

    @staticmethod
    def transpose(a: Tensor, axes: Sequence[int]) -> Tensor:
        """`a` with its axes in another order."""
        return a.permute(tuple(axes))

    @staticmethod
    def sum(a: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The sum over `axis`; over no axis where that is ()."""
        if axis is None:
            return a.sum()
        return a if axis == () else a.sum(dim=axis, keepdim=keepdims)

    @staticmethod
    def mean(a: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The mean over `axis`."""
        return a.mean() if axis is None else a.mean(dim=axis, keepdim=keepdims)

    @staticmethod
    def max(a: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The largest element along `axis`."""
        return a.amax() if axis is None else a.amax(dim=axis, keepdim=keepdims)

    @staticmethod
    def maximum(a: Any, b: Any) -> Tensor:
        """The larger one; either may be a number."""
        if not isinstance(b, Tensor):
            return torch.clamp(a, min=b)
        return torch.maximum(a, b) if isinstance(a, Tensor) else torch.clamp(b, min=a)

    @staticmethod
    def minimum(a: Any, b: Any) -> Tensor:
        """The smaller one; either may be a number."""
        if not isinstance(b, Tensor):
            return torch.clamp(a, max=b)
        return torch.minimum(a, b) if isinstance(a, Tensor) else torch.clamp(b, max=a)

    @staticmethod
    def clip(a: Tensor, low: Any, high: Any) -> Tensor:
        """`a` between two limits."""
        return torch.clamp(a, low, high)

    @staticmethod
    def cumsum(a: Tensor, axis: int) -> Tensor:
        """Running sums along `axis`."""
        return torch.cumsum(a, dim=axis)

    @staticmethod
    def einsum(equation: str, *arrays: Tensor) -> Tensor:
        """Sums of products; torch's own takes one dtype only."""
        dtype = arrays[0].dtype
        for a in arrays[1:]:
            dtype = torch.promote_types(dtype, a.dtype)
        return torch.einsum(equation, *(a.to(dtype) for a in arrays))

    @staticmethod
    def pad(a: Tensor, widths: Sequence[tuple[int, int]], mode: str = "constant") -> Tensor:
        """Zeros around `a`."""
        return torch.nn.functional.pad(a, [w for pair in reversed(list(widths)) for w in pair], mode)

    def eye(self, size: int) -> Tensor:
        """The identity matrix."""
        return torch.eye(size, **self._place())

    def ones(self, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
        """Ones."""
        place = self._place()
        return torch.ones(tuple(shape), **(place if dtype is None else {**place, "dtype": dtype}))

    def _place(self) -> dict[str, Any]:
        return {} if self.like is None else {"dtype": self.like.dtype, "device": self.like.device}


def widen(a: Tensor) -> Tensor:
    """`a` in float32 at least."""
    return a if a.dtype in _RANGES else a.float()


def narrow(a: Tensor, like: Tensor) -> Tensor:
    """`a` in the dtype of `like`; whole numbers are left wide."""
    return a.to(like.dtype) if like.dtype.is_floating_point else a


def _random(key: Any, like: Tensor) -> Callable[[Sequence[int]], Tensor]:
    """Uniform numbers from a whole number or a generator; None: from torch's own, as torch.manual_seed sets it."""
    if isinstance(key, bool) or not (key is None or isinstance(key, int | torch.Generator)):
        raise UsageError(f"key must be a whole number of at least 0 or a generator, got {key!r}.")
    if isinstance(key, int):
        if not 0 <= key < 2**63:
            raise UsageError(f"key must be a whole number of at least 0 or a generator, got {key!r}.")
        key = torch.Generator(like.device).manual_seed(key)
    place: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
    place |= {} if key is None else {"generator": key}  # with one, even None, sizes may not be symbols
    return lambda shape: torch.rand(tuple(shape), **place)


class Face:
    """What `calling` and `traced` are told of tensors. A class, so that nothing need be made for a call."""

    xp = Namespace()
    widen = staticmethod(widen)
    narrow = staticmethod(narrow)

    @staticmethod
    def as_float(x: Any, who: str, name: str = "x") -> Tensor:
        """`x` itself, checked to be a dense tensor of floating-point numbers with at least one axis."""
        if not isinstance(x, Tensor):
            raise DtypeError(
                f"{who}: {name} must be a torch tensor, got {type(x).__name__}.", hint="Convert with torch.as_tensor."
            )
        if x.dtype not in FLOATS:
            raise refuse_dtype(who, name, x.dtype, f"{name}.to(torch.float32)")
        if x.layout is not torch.strided:
            raise DtypeError(f"{who}: {name} must be dense, got {x.layout}.", hint=f"Convert with {name}.to_dense().")
        if x.ndim == 0:
            raise ShapeError(f"{who}: {name} must have at least one axis, got a 0-d array.")
        return x

    @staticmethod
    def as_numbers(a: Any, who: str, name: str, like: Tensor) -> Tensor:
        """A parameter, state or input as a tensor of real numbers on `like`'s device; lists may pass."""
        if not isinstance(a, Tensor):
            try:
                a = torch.as_tensor(a, device=like.device)
            except (TypeError, ValueError):
                raise ShapeError(f"{who}: {name} must be an array, got {type(a).__name__}.") from None
        if a.dtype is torch.bool or a.dtype.is_complex:
            raise DtypeError(f"{who}: {name} must hold real numbers, got elements of {a.dtype}.")
        if a.device != like.device and a.ndim:
            raise UsageError(
                f"{who}: {name} is on {a.device}, x on {like.device}.", hint="Move them to one device with .to(device)."
            )
        return a

    @staticmethod
    def as_mask(mask: Any, like: Tensor) -> tuple[Tensor, bool]:
        """The mask as a tensor beside `like`, and whether its elements are boolean."""
        found = torch.as_tensor(mask, device=like.device)
        return found, found.dtype is torch.bool

    @staticmethod
    def operations(layout: str, key: Any, like: Tensor) -> Operations:
        """What a forward may use; random numbers come from `key`, in the dtype of `like`."""
        kind = symbolic.Operations if torch.compiler.is_compiling() else Operations
        return kind(
            Namespace(like), layout, erf=torch.erf, random=_random(key, like), stop=Namespace.stop,
            eigh=torch.linalg.eigh,
        )  # fmt: skip


FACE = Face()
