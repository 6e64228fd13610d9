"""How each framework makes, moves and differentiates arrays: the adapters that `faces` hands out by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from typing import Any

import ml_dtypes
import numpy as np

from face_base import COUNT, Done, Face, Work
from normlab import functional

__all__ = ["Jax", "Mlx", "Numpy", "Torch"]


def _lies(shape: tuple[int, ...], x: tuple[int, ...], y: tuple[int, ...]) -> bool:
    """Whether y lies as x does; the steps along axes of one element lead nowhere."""
    return all(a == b for a, b, size in zip(x, y, shape, strict=True) if size > 1)


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
        return Done(y, dict(made.state), dx, dict(made.grads), _lies(x.shape, x.strides, y.strides))


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
            return self.torch.from_numpy(a.view(np.uint16).copy("K")).view(self.torch.bfloat16).to(self.device)
        return self.torch.from_numpy(a.copy("K")).to(self.device)

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
            made.load_state_dict({n: self.array(np.asarray(a)) for n, a in held.items()}, strict=False)
        made.train(work.training)
        x = self.placed(work.x, work.memory, self._channel(work)).detach().requires_grad_(work.dy is not None)
        inputs = {n: self.array(a).requires_grad_(work.dy is not None) for n, a in work.inputs.items()}
        mask = {} if work.mask is None else {"mask": self.array(work.mask)}
        y = made(x, **inputs, **mask)
        state = {n: self.back(a).copy() for n, a in made.named_buffers()}
        if work.dy is None:
            return Done(self.back(y), state, None, {}, _lies(x.shape, x.stride(), y.stride()))
        named = {**dict(made.named_parameters()), **inputs}
        dx, *found = self.torch.autograd.grad(y, [x, *named.values()], self.array(work.dy))
        grads = {n: self.back(g) for n, g in zip(named, found, strict=True)}
        lies = all(_lies(x.shape, x.stride(), a.stride()) for a in (y, dx))
        return Done(self.back(y), state, self.back(dx), grads, lies)

    def gradient(self, function: Callable[[Any], Any], x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        return self.back(self.torch.func.vjp(function, self.array(x))[1](self.array(dy))[0])

    def mapped(self, function: Callable[[Any], Any], x: np.ndarray) -> list[np.ndarray]:
        return [self.back(a) for a in self.torch.func.vmap(function)(self.array(x))]

    def pushed(self, function: Callable[[Any], Any], x: np.ndarray, dx: np.ndarray) -> np.ndarray:
        return self.back(self.torch.func.jvp(function, (self.array(x),), (self.array(dx),))[1])


class Jax(Face):
    def __init__(self, name: str) -> None:
        import jax

        super().__init__(name)
        self.jax = jax
        # A layer never changes and is equal to its like, so what was compiled for one serves the next.
        self._jitted = jax.jit(self._there_and_back, static_argnums=(0, 1, 2))

    def keeps_subnormals(self, dtype: str) -> bool:
        return dtype == "float16"  # XLA flushes float32's and float64's to 0 on a CPU; float16's are widened before

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
        params, state = made.init(work.key)
        params |= {n: self.array(a) for n, a in (work.params or {}).items()}
        state |= {n: self.jax.numpy.asarray(a, state[n].dtype) for n, a in (work.state or {}).items()}
        x = self.placed(work.x, work.memory, self._channel(work))
        inputs = {n: self.array(a) for n, a in work.inputs.items()}
        mask, dy = (None if a is None else self.array(a) for a in (work.mask, work.dy))
        y, new, pulled = self._jitted(made, work.training, work.key, params, state, x, inputs, mask, dy)
        dparams, dx, dinputs = pulled or ({}, None, {})
        grads = {n: self.back(g) for n, g in {**dparams, **dinputs}.items()}
        return Done(self.back(y), {n: self.back(a) for n, a in new.items()}, None if dx is None else self.back(dx), grads)

    def call(self, name: str, x: np.ndarray, *args: Any, **kwargs: Any) -> Any:
        """Compiled as a whole: one by one every operation would be compiled for every shape."""
        plain = tuple((n, a) for n, a in kwargs.items() if not isinstance(a, np.ndarray))
        with self.region(x.dtype):
            arrays = {n: self.array(a) for n, a in kwargs.items() if isinstance(a, np.ndarray)}
            made = self._function(name, plain)(*map(self.array, (x, *args)), **arrays)
            return tuple(map(self.back, made)) if isinstance(made, tuple) else self.back(made)

    @cache  # noqa: B019 (there is one adapter a process)
    def _function(self, name: str, plain: tuple[tuple[str, Any], ...]) -> Callable[..., Any]:
        return self.jax.jit(partial(getattr(functional, name), **dict(plain)))  # type: ignore[no-any-return]

    def _there_and_back(
        self, layer: Any, training: bool, key: int, params: Any, state: Any, x: Any, inputs: Any, mask: Any, dy: Any
    ) -> Any:
        chance = {"key": self.jax.random.key(key)} if layer.definition.role == "dropout" else {}

        def forward(params: Any, x: Any, inputs: Any) -> Any:
            return layer(params, state, x, **inputs, mask=mask, training=training, **chance)

        if dy is None:
            return (*forward(params, x, inputs), None)
        y, pull, new = self.jax.vjp(forward, params, x, inputs, has_aux=True)
        return y, new, pull(dy)

    def gradient(self, function: Callable[[Any], Any], x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        with self.region(x.dtype):
            return self.back(self.jax.vjp(function, self.array(x))[1](self.array(dy))[0])

    def mapped(self, function: Callable[[Any], Any], x: np.ndarray) -> list[np.ndarray]:
        with self.region(x.dtype):
            return [self.back(a) for a in self.jax.vmap(function)(self.array(x))]

    def pushed(self, function: Callable[[Any], Any], x: np.ndarray, dx: np.ndarray) -> np.ndarray:
        with self.region(x.dtype):
            return self.back(self.jax.jvp(function, (self.array(x),), (self.array(dx),))[1])


class Mlx(Face):
    def __init__(self, name: str) -> None:
        import mlx.core as mx

        super().__init__(name)
        self.mx = mx

    def region(self, dtype: Any) -> AbstractContextManager[Any]:
        return self.mx.stream(self.mx.cpu) if np.dtype(dtype).itemsize == 8 else nullcontext()

    def array(self, a: Any) -> Any:
        if not isinstance(a, np.ndarray):
            return a
        a = np.array(a, order="C")  # MLX takes no negative strides, not even along an axis of size 1
        if a.dtype == bool:
            return self.mx.array(a)
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
        # Once more, so that y is that of the draws that the gradient is of.
        [y], (dx, *found) = self.mx.vjp(forward, [x, *(made[n] for n in names), *inputs], [self.array(work.dy)])
        grads = {n: self.back(g) for n, g in zip([*names, *work.inputs], found, strict=True)}
        return Done(self.back(y), state, self.back(dx), grads)

    def gradient(self, function: Callable[[Any], Any], x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        with self.region(x.dtype):
            return self.back(self.mx.vjp(function, [self.array(x)], [self.array(dy)])[1][0])

    def mapped(self, function: Callable[[Any], Any], x: np.ndarray) -> list[np.ndarray]:
        with self.region(x.dtype):
            return [self.back(a) for a in self.mx.vmap(function)(self.array(x))]

    def pushed(self, function: Callable[[Any], Any], x: np.ndarray, dx: np.ndarray) -> np.ndarray:
        with self.region(x.dtype):
            return self.back(self.mx.jvp(function, [self.array(x)], [self.array(dx)])[1][0])
