"""One adapter a face: a call told in NumPy's arrays runs on any face, and what comes back is NumPy's again.

`of("torch").run(Work(...))` makes a layer, gives it parameters and state, and calls it there and back; `.call` is the
function of the same name in `normlab.functional`. A face that cannot be imported is a loud skip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

import normlab
from normlab import functional, kernels
from normlab.definition import Definition

__all__ = ["COUNT", "DECLARED", "DTYPES", "FACES", "NO_DEVICE", "Done", "Face", "Work", "declared", "of", "without_kernels"]

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
        arrays = {n: getattr(self, n) for n in ("params", "state", "inputs")}
        wide = {n: None if a is None else {k: _wide(v) for k, v in a.items()} for n, a in arrays.items()}
        dy = None if self.dy is None else _wide(self.dy)
        return replace(self, x=_wide(self.x), dy=dy, memory="contiguous", **wide)  # type: ignore[arg-type]


def _wide(a: np.ndarray) -> np.ndarray:
    return a if a.dtype.kind in "iu" else a.astype(np.float64)


class Done(NamedTuple):
    """What came of it; `lies` says whether y lies in memory as x does, None where the framework does not tell."""

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

    def lacks(self, dtype: str) -> str | None:
        """Why the face has no arrays of that dtype here, or None."""
        return None

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

    def _channel(self, work: Work) -> int:
        words = (work.layout or work.definition.layout).split()
        at = next((k for k, w in enumerate(words) if w in ("c", "o")), 0)
        return at if "..." not in words[:at] else work.x.ndim - len(words) + at


class Numpy(Face):
    def array(self, a: Any) -> Any:
        return a

    back = array

    def spread(self, a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(a, shape)

    def layer(self, work: Work) -> Done:
        made = self.module.build(work.definition, work.channels, dtype=work.x.dtype, key=work.key, **work.settings)
        if work.params is not None and work.definition.start is not None:
            made.start(work.x, lambda w: np.arange(2.0 * len(w)).reshape(2, -1))  # whatever: it is replaced
        made.params.update(work.params or {})
        made.state.update(work.state or {})
        made.training = work.training
        x = self.placed(work.x, work.memory, self._channel(work))
        mask = {} if work.mask is None else {"mask": work.mask}
        y = made(x, **work.inputs, **mask)
        dx = None if work.dy is None else made.backward(work.dy)
        return Done(y, dict(made.state), dx, dict(made.grads), y.strides == x.strides)


class Torch(Face):
    def __init__(self, name: str) -> None:
        import torch

        super().__init__("torch")
        self.name, self.torch, self.device = name, torch, name.partition("-")[2] or "cpu"
        torch.set_num_threads(1)  # for arrays this small the threads only wait for each other

    def array(self, a: Any) -> Any:
        if not isinstance(a, np.ndarray):
            return a
        if a.dtype == ml_dtypes.bfloat16:
            return self.torch.from_numpy(a.view(np.uint16).copy()).view(self.torch.bfloat16).to(self.device)
        return self.torch.from_numpy(a.copy()).to(self.device)

    def back(self, a: Any) -> np.ndarray:
        a = a.detach().cpu()
        if a.dtype == self.torch.bfloat16:
            return a.view(self.torch.uint16).numpy().view(ml_dtypes.bfloat16)
        return a.numpy()

    def permute(self, a: Any, order: tuple[int, ...]) -> Any:
        return a.permute(order)

    def flip(self, a: Any) -> Any:
        return a.flip(-1)  # torch has no negative strides

    def spread(self, a: Any, shape: tuple[int, ...]) -> Any:
        return a.expand(shape)

    def layer(self, work: Work) -> Done:
        dtype = getattr(self.torch, work.x.dtype.name)
        made = self.module.build(work.definition, work.channels, dtype=dtype, device=self.device, **work.settings)
        held = {**(work.params or {}), **(work.state or {})}
        if held:
            made.load_state_dict({n: self.array(np.asarray(a)) for n, a in held.items()})
        made.train(work.training)
        x = self.placed(work.x, work.memory, self._channel(work)).detach().requires_grad_(work.dy is not None)
        inputs = {n: self.array(a).requires_grad_(work.dy is not None) for n, a in work.inputs.items()}
        mask = {} if work.mask is None else {"mask": self.array(work.mask)}
        y = made(x, **inputs, **mask)
        state = {n: self.back(a).copy() for n, a in made.named_buffers()}
        if work.dy is None:
            return Done(self.back(y), state, None, {}, y.stride() == x.stride())
        named = {**dict(made.named_parameters()), **inputs}
        dx, *found = self.torch.autograd.grad(y, [x, *named.values()], self.array(work.dy))
        grads = {n: self.back(g) for n, g in zip(named, found, strict=True)}
        return Done(self.back(y), state, self.back(dx), grads, y.stride() == x.stride())

    def gradient(self, function: Callable[[Any], Any], x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        t = self.array(x).requires_grad_()
        return self.back(self.torch.autograd.grad(function(t), t, self.array(dy))[0])


class Jax(Face):
    def __init__(self, name: str) -> None:
        import jax

        super().__init__(name)
        self.jax = jax

    def region(self, dtype: Any) -> AbstractContextManager[Any]:
        return self.jax.enable_x64(np.dtype(dtype).itemsize == 8)

    def array(self, a: Any) -> Any:
        return self.jax.numpy.asarray(a) if isinstance(a, np.ndarray) else a

    def back(self, a: Any) -> np.ndarray:
        return np.asarray(a)

    def spread(self, a: Any, shape: tuple[int, ...]) -> Any:
        return self.jax.numpy.broadcast_to(a, shape)

    def layer(self, work: Work) -> Done:
        made = self.module.build(work.definition, work.channels, dtype=work.x.dtype, **work.settings)
        params, state = made.init(self.jax.random.key(work.key))
        params |= {n: self.array(a) for n, a in (work.params or {}).items()}
        state |= {n: self.jax.numpy.asarray(a, state[n].dtype) for n, a in (work.state or {}).items()}
        more = {} if work.mask is None else {"mask": self.array(work.mask)}
        more |= {"key": self.jax.random.key(work.key)} if work.definition.role == "dropout" and work.training else {}

        def forward(params: Any, x: Any, inputs: Any) -> Any:
            return made(params, state, x, **inputs, **more, training=work.training)

        x = self.placed(work.x, work.memory, self._channel(work))
        inputs = {n: self.array(a) for n, a in work.inputs.items()}
        y, new, pulled = self._there_and_back(forward, (params, x, inputs), work.dy)
        dparams, dx, dinputs = pulled or ({}, None, {})
        grads = {n: self.back(g) for n, g in {**dparams, **dinputs}.items()}
        return Done(self.back(y), {n: self.back(a) for n, a in new.items()}, None if dx is None else self.back(dx), grads)

    def _there_and_back(self, forward: Any, given: tuple[Any, ...], dy: np.ndarray | None) -> tuple[Any, Any, Any]:
        if dy is None:
            return (*self.jax.jit(forward)(*given), None)

        @self.jax.jit
        def both(given: Any, dy: Any) -> Any:
            y, pull, new = self.jax.vjp(forward, *given, has_aux=True)
            return y, new, pull(dy)

        return both(given, self.array(dy))  # type: ignore[no-any-return]

    def gradient(self, function: Callable[[Any], Any], x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        with self.region(x.dtype):
            return self.back(self.jax.vjp(function, self.array(x))[1](self.array(dy))[0])


class Mlx(Face):
    def __init__(self, name: str) -> None:
        import mlx.core as mx

        super().__init__(name)
        self.mx = mx

    def region(self, dtype: Any) -> AbstractContextManager[Any]:
        return self.mx.stream(self.mx.cpu) if np.dtype(dtype).itemsize == 8 else nullcontext()

    def array(self, a: Any) -> Any:
        if not isinstance(a, np.ndarray) or a.dtype == bool:
            return self.mx.array(a) if isinstance(a, np.ndarray) else a
        if a.dtype == ml_dtypes.bfloat16:
            return self.mx.array(a.astype(np.float32)).astype(self.mx.bfloat16)
        return self.mx.array(a, dtype=getattr(self.mx, a.dtype.name))

    def back(self, a: Any) -> np.ndarray:
        if a.dtype == self.mx.bfloat16:
            return np.array(a.astype(self.mx.float32)).astype(ml_dtypes.bfloat16)
        return np.array(a)

    def spread(self, a: Any, shape: tuple[int, ...]) -> Any:
        return self.mx.broadcast_to(a, shape)

    def layer(self, work: Work) -> Done:
        dtype = getattr(self.mx, work.x.dtype.name)
        made = self.module.build(work.definition, work.channels, dtype=dtype, **work.settings)
        held = {**(work.params or {}), **(work.state or {})}
        names = [h.spec.name for h in made.blueprint.params]
        states = [*(h.spec.name for h in made.blueprint.states), *([COUNT] if made.blueprint.counts else [])]
        for name, a in held.items():
            made[name] = self.array(np.asarray(a))
        made.train(work.training)
        started = {n: made[n] for n in states}
        mask = {} if work.mask is None else {"mask": self.array(work.mask)}

        def forward(x: Any, *rest: Any) -> Any:
            for name, a in {**started, **dict(zip(names, rest, strict=False))}.items():
                made[name] = a
            return made(x, **dict(zip(work.inputs, rest[len(names) :], strict=True)), **mask)

        x = self.placed(work.x, work.memory, self._channel(work))
        inputs = [self.array(a) for a in work.inputs.values()]
        y = forward(x, *(made[n] for n in names), *inputs)
        state = {n: self.back(made[n]) for n in states}
        if work.dy is None:
            return Done(self.back(y), state, None, {})
        dx, *found = self.mx.vjp(forward, [x, *(made[n] for n in names), *inputs], [self.array(work.dy)])[1]
        grads = {n: self.back(g) for n, g in zip([*names, *work.inputs], found, strict=True)}
        return Done(self.back(y), state, self.back(dx), grads)

    def gradient(self, function: Callable[[Any], Any], x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        with self.region(x.dtype):
            return self.back(self.mx.vjp(function, [self.array(x)], [self.array(dy)])[1][0])


FACES: dict[str, type[Face]] = {"numpy": Numpy, "torch": Torch, "jax": Jax, "mlx": Mlx}


def declared() -> set[str]:
    """The face packages of normlab: those that make layers."""
    return {path.parent.name for path in Path(normlab.__file__).parent.glob("*/layers.py")}


def _has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


DECLARED = [*FACES, *(["torch-cuda"] if _has_cuda() else [])]
NO_DEVICE = None if "torch-cuda" in DECLARED else "the grid has no torch-cuda: torch finds no CUDA device here"


@cache
def _made(name: str) -> Face | str:
    try:
        return FACES[name.partition("-")[0]](name)
    except ImportError as error:
        return f"{name}: {error}"


def of(name: str) -> Face:
    """The face of that name; where it cannot be imported the test is skipped, with the reason."""
    found = _made(name)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@contextmanager
def without_kernels(off: bool = True) -> Iterator[None]:
    """Inside, NumPy and torch use the plain formula."""
    with getattr(kernels, "off", nullcontext)() if off else nullcontext():
        yield
