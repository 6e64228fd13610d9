"""A call of a layer told in NumPy's arrays, what comes of it, and what a face's adapter can do. See `faces`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

import normlab
from normlab import functional
from normlab.definition import Definition

__all__ = ["COUNT", "DTYPES", "Done", "Face", "Work", "channel_axis"]

COUNT = "num_batches_tracked"
DTYPES = {
    "float64": np.dtype("float64"), "float32": np.dtype("float32"), "float16": np.dtype("float16"),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Work:
    """One call of a layer: all arrays are NumPy's; `params` and `state` None: as the layer starts with."""

    definition: Definition
    x: np.ndarray
    channels: Any
    layout: str | None = None
    eps: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    affine: bool = True
    bias: bool = True
    params: Mapping[str, np.ndarray] | None = None
    state: Mapping[str, np.ndarray] | None = None
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    mask: np.ndarray | None = None
    training: bool = True
    dy: np.ndarray | None = None
    memory: str = "contiguous"
    key: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """What every face's `build` takes besides the definition and the channels."""
        plain = {"layout": self.layout, "eps": self.eps, "affine": self.affine, "bias": self.bias}
        return {**plain, "options": self.options}

    def wide(self) -> Work:
        """The same in float64, for the formula to be run on: what was rounded stays rounded."""
        return self._each(_wide)

    def absolute(self) -> Work:
        """The same without signs, so that nothing cancels."""
        return self._each(np.abs)

    def _each(self, change: Callable[[np.ndarray], Any]) -> Work:
        arrays = {n: getattr(self, n) for n in ("params", "state", "inputs")}
        named = {n: None if a is None else {k: change(v) for k, v in a.items()} for n, a in arrays.items()}
        dy = None if self.dy is None else change(self.dy)
        return replace(self, x=change(self.x), dy=dy, memory="contiguous", **named)  # type: ignore[arg-type]


def channel_axis(layout: str, ndim: int) -> int:
    """Which axis a layout gives to the channels, c or o, of an array with so many axes."""
    words = layout.split()
    at = next(k for k, w in enumerate(words) if w in ("c", "o"))
    return at if "..." not in words[:at] else ndim - len(words) + at


def _wide(a: np.ndarray) -> np.ndarray:
    return a if a.dtype.kind in "iu" else a.astype(np.float64)


class Done(NamedTuple):
    """What came of it; `lies` says whether y and dx lie in memory as x does, None where the framework does not tell."""

    y: np.ndarray
    state: dict[str, np.ndarray]
    dx: np.ndarray | None
    grads: dict[str, np.ndarray]
    lies: bool | None = None


class Face:
    """A face, found by its name; subclasses say how its framework makes, moves and differentiates arrays."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.module: Any = getattr(normlab, name)

    def keeps_subnormals(self, dtype: str) -> bool:
        """Whether its framework computes with them here, or takes them for 0 as some processors' modes do."""
        return True

    def region(self, dtype: Any) -> AbstractContextManager[Any]:
        """Where arrays of that dtype can be computed with."""
        return nullcontext()

    def array(self, a: Any) -> Any:
        """The framework's array of NumPy's, or the same thing where it is no array."""
        raise NotImplementedError

    def back(self, a: Any) -> np.ndarray:
        """NumPy's array of the framework's."""
        raise NotImplementedError

    def placed(self, a: np.ndarray, memory: str, channel: int) -> Any:
        """`a` as an array that lies in memory as told."""
        order = [*(k for k in range(a.ndim) if k != channel), channel] if memory == "channels last" else [*range(a.ndim)][::-1]
        if memory in ("channels last", "transposed"):
            found = self.array(np.ascontiguousarray(a.transpose(order)))
            return self.permute(found, tuple(np.argsort(order)))
        if memory == "strided":
            return self.array(np.repeat(a, 2, -1))[..., ::2]
        if memory == "reversed":
            return self.flip(self.array(np.ascontiguousarray(a[..., ::-1])))
        return self.spread(self.array(a[:1].copy()), a.shape) if memory == "expanded" else self.array(a)

    def permute(self, a: Any, order: tuple[int, ...]) -> Any:
        return a.transpose(order)

    def flip(self, a: Any) -> Any:
        return a[..., ::-1]

    def spread(self, a: Any, shape: tuple[int, ...]) -> Any:
        raise NotImplementedError

    def run(self, work: Work) -> Done:
        """The call there and, where there is a dy, back."""
        with self.region(work.x.dtype):
            return self.layer(work)

    def layer(self, work: Work) -> Done:
        raise NotImplementedError

    def call(self, name: str, x: np.ndarray, *args: Any, **kwargs: Any) -> Any:
        """`nl.functional.<name>` on this face's arrays."""
        with self.region(x.dtype):
            made = getattr(functional, name)(*map(self.array, (x, *args)), **{n: self.array(a) for n, a in kwargs.items()})
            return tuple(map(self.back, made)) if isinstance(made, tuple) else self.back(made)

    def normalize(self, x: np.ndarray, pools: str, **kwargs: Any) -> np.ndarray:
        """`nl.normalize` on this face's arrays."""
        with self.region(x.dtype):
            return self.back(normlab.normalize(self.array(x), pools, **{n: self.array(a) for n, a in kwargs.items()}))

    def gradient(self, function: Callable[[Any], Any], x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        """The gradient of x through `function`, which takes and gives this face's arrays."""
        raise NotImplementedError

    def mapped(self, function: Callable[[Any], Any], x: np.ndarray) -> list[np.ndarray]:
        """The arrays that `function` gives, mapped over the first axis of x by the framework's own vmap."""
        raise NotImplementedError

    def pushed(self, function: Callable[[Any], Any], x: np.ndarray, dx: np.ndarray) -> np.ndarray:
        """The tangent of what `function` gives where x moves along dx: forward mode."""
        raise NotImplementedError

    def _channel(self, work: Work) -> int:
        """The axis of the channels; only asked where it tells how x lies, since a layout may be one to be refused."""
        layout = work.layout or work.definition.layout
        return channel_axis(layout, work.x.ndim) if work.memory == "channels last" and {"c", "o"} & set(layout.split()) else 0
