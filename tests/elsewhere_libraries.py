"""The libraries of elsewhere.md, each with the same few operations on NumPy's arrays, called as a user would call them.

None has parameters. What a library has no option for raises Absent. `normlab` is a library like the others, four times.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from faces import Work, of
from normlab import registry

__all__ = ["LIBRARIES", "Absent", "Library", "library"]


class Absent(Exception):
    """The library has no such operation."""


class Library:
    """Row-wise `layer` and `rms` over the last axis; `batch`, `group` and `instance` with channels as the second axis."""

    name = ""

    def __init__(self) -> None:
        self.arrays: Any = of("torch")

    @property
    def version(self) -> str:
        return f"{self.name} {importlib.metadata.version(self.name.split()[0].lower())}"

    def layer(self, x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
        raise Absent

    def rms(self, x: np.ndarray, eps: float = 1e-5, weight: np.ndarray | None = None) -> np.ndarray:
        raise Absent

    def batch(self, x: np.ndarray) -> np.ndarray:
        raise Absent

    def group(self, x: np.ndarray, count: int) -> np.ndarray:
        raise Absent

    def instance(self, x: np.ndarray) -> np.ndarray:
        raise Absent

    def unit(self, x: np.ndarray) -> np.ndarray:
        raise Absent

    def running(self, x: np.ndarray, momentum: float, steps: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Running mean and variance of a batch norm whose `momentum` argument is that, after so many training calls."""
        raise Absent

    def default_eps(self, dtype: str) -> float:
        """Of RMS norm."""
        raise Absent


class Torch(Library):
    name = "torch"

    def _do(self, function: Any, x: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        return self.arrays.back(function(self.arrays.array(x), *args, **kwargs))

    @property
    def functions(self) -> Any:
        return self.arrays.torch.nn.functional

    def layer(self, x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
        return self._do(self.functions.layer_norm, x, x.shape[-1:], eps=eps)

    def rms(self, x: np.ndarray, eps: float = 1e-5, weight: np.ndarray | None = None) -> np.ndarray:
        return self._do(self.functions.rms_norm, x, x.shape[-1:], None if weight is None else self.arrays.array(weight), eps)

    def batch(self, x: np.ndarray) -> np.ndarray:
        return self._do(self.functions.batch_norm, x, None, None, training=True)

    def group(self, x: np.ndarray, count: int) -> np.ndarray:
        return self._do(self.functions.group_norm, x, count)

    def instance(self, x: np.ndarray) -> np.ndarray:
        return self._do(self.functions.instance_norm, x)

    def unit(self, x: np.ndarray) -> np.ndarray:
        return self._do(self.functions.normalize, x)

    def running(self, x: np.ndarray, momentum: float, steps: int = 1) -> tuple[np.ndarray, np.ndarray]:
        module = self.arrays.torch.nn.BatchNorm1d(x.shape[1], momentum=momentum, dtype=getattr(self.arrays.torch, x.dtype.name))
        for _ in range(steps):
            module(self.arrays.array(x))
        return self.arrays.back(module.running_mean), self.arrays.back(module.running_var)

    def default_eps(self, dtype: str) -> float:
        return float(self.arrays.torch.finfo(getattr(self.arrays.torch, dtype)).eps)  # eps=None, the module's default


class Flax(Library):
    """As flax.nnx comes, with its fast variance; channels last."""

    name = "Flax"

    def __init__(self) -> None:
        self.arrays = of("jax")

    def _do(self, kind: str, x: np.ndarray, features: int, last: bool = True, **how: Any) -> np.ndarray:
        from flax import nnx

        with self.arrays.region(x.dtype):
            plain = {} if kind == "RMSNorm" else {"use_bias": False}
            made = getattr(nnx, kind)(features, use_scale=False, **plain, **how, rngs=nnx.Rngs(0))
            y = self.arrays.back(made(self.arrays.array(x if last else np.moveaxis(x, 1, -1))))
            return y if last else np.moveaxis(y, -1, 1)

    def layer(self, x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
        return self._do("LayerNorm", x, x.shape[-1], epsilon=eps)

    def rms(self, x: np.ndarray, eps: float = 1e-5, weight: np.ndarray | None = None) -> np.ndarray:
        if weight is None:
            return self._do("RMSNorm", x, x.shape[-1], epsilon=eps)
        from flax import nnx

        made = nnx.RMSNorm(x.shape[-1], epsilon=eps, dtype=x.dtype, param_dtype=x.dtype, rngs=nnx.Rngs(0))
        made.scale.set_value(self.arrays.array(weight))
        return self.arrays.back(made(self.arrays.array(x)))

    def batch(self, x: np.ndarray) -> np.ndarray:
        return self._do("BatchNorm", x, x.shape[1], last=False, use_running_average=False, epsilon=1e-5)

    def group(self, x: np.ndarray, count: int) -> np.ndarray:
        return self._do("GroupNorm", x, x.shape[1], last=False, num_groups=count, epsilon=1e-5)

    def instance(self, x: np.ndarray) -> np.ndarray:
        return self._do("InstanceNorm", x, x.shape[1], last=False, epsilon=1e-5)

    def running(self, x: np.ndarray, momentum: float, steps: int = 1) -> tuple[np.ndarray, np.ndarray]:
        from flax import nnx

        with self.arrays.region(x.dtype):
            made = nnx.BatchNorm(x.shape[1], momentum=momentum, use_running_average=False, rngs=nnx.Rngs(0), param_dtype=x.dtype)
            for _ in range(steps):
                made(self.arrays.array(x))
            return np.asarray(made.mean[...]), np.asarray(made.var[...])

    def default_eps(self, dtype: str) -> float:
        return 1e-6


class Keras(Library):
    """On torch's arrays; channels last."""

    name = "Keras"

    def _do(self, kind: str, x: np.ndarray, last: bool = True, call: dict[str, Any] | None = None, **how: Any) -> np.ndarray:
        from foreign import keras

        made = getattr(keras.layers, kind)(**how, dtype=x.dtype.name)
        y = self.arrays.back(made(self.arrays.array(x if last else np.moveaxis(x, 1, -1)), **(call or {})))
        return y if last else np.moveaxis(y, -1, 1)

    def layer(self, x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
        return self._do("LayerNormalization", x, epsilon=eps, center=False, scale=False)

    def rms(self, x: np.ndarray, eps: float = 1e-5, weight: np.ndarray | None = None) -> np.ndarray:
        if weight is None:
            return self._do("RMSNormalization", x, epsilon=eps)
        from foreign import keras

        made = keras.layers.RMSNormalization(epsilon=eps, dtype=x.dtype.name)
        made.build(x.shape)
        made.scale.assign(weight)
        return self.arrays.back(made(self.arrays.array(x)))

    def batch(self, x: np.ndarray) -> np.ndarray:
        return self._do("BatchNormalization", x, last=False, call={"training": True}, epsilon=1e-5, center=False, scale=False)

    def group(self, x: np.ndarray, count: int) -> np.ndarray:
        return self._do("GroupNormalization", x, last=False, groups=count, epsilon=1e-5, center=False, scale=False)

    def instance(self, x: np.ndarray) -> np.ndarray:
        return self.group(x, x.shape[1])  # groups=-1, as it is told for this

    def unit(self, x: np.ndarray) -> np.ndarray:
        return self._do("UnitNormalization", x)

    def running(self, x: np.ndarray, momentum: float, steps: int = 1) -> tuple[np.ndarray, np.ndarray]:
        from foreign import keras

        made = keras.layers.BatchNormalization(momentum=momentum, dtype=x.dtype.name)
        for _ in range(steps):
            made(self.arrays.array(x), training=True)
        return self.arrays.back(made.moving_mean.value), self.arrays.back(made.moving_variance.value)

    def default_eps(self, dtype: str) -> float:
        return 1e-6


class Mlx(Library):
    """mlx.nn on the CPU; channels last."""

    name = "MLX"

    def __init__(self) -> None:
        self.arrays = of("mlx")

    def _do(self, kind: str, x: np.ndarray, *args: Any, last: bool = True, **how: Any) -> np.ndarray:
        import mlx.nn

        with self.arrays.region(x.dtype):
            made = getattr(mlx.nn, kind)(*args, **how)
            if kind == "RMSNorm":
                made.weight = made.weight.astype(self.arrays.array(x[:1]).dtype)
            y = self.arrays.back(made(self.arrays.array(np.ascontiguousarray(x if last else np.moveaxis(x, 1, -1)))))
            return y if last else np.moveaxis(y, -1, 1)

    def layer(self, x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
        return self._do("LayerNorm", x, x.shape[-1], eps=eps, affine=False)

    def rms(self, x: np.ndarray, eps: float = 1e-5, weight: np.ndarray | None = None) -> np.ndarray:
        if weight is None:
            return self._do("RMSNorm", x, x.shape[-1], eps=eps)
        import mlx.nn

        made = mlx.nn.RMSNorm(x.shape[-1], eps=eps)
        made.weight = self.arrays.array(weight)
        return self.arrays.back(made(self.arrays.array(x)))

    def batch(self, x: np.ndarray) -> np.ndarray:
        return self._do("BatchNorm", x, x.shape[1], last=False, affine=False)

    def group(self, x: np.ndarray, count: int) -> np.ndarray:
        return self._do("GroupNorm", x, count, x.shape[1], last=False, affine=False, pytorch_compatible=True)

    def instance(self, x: np.ndarray) -> np.ndarray:
        return self._do("InstanceNorm", x, x.shape[1], last=False)

    def running(self, x: np.ndarray, momentum: float, steps: int = 1) -> tuple[np.ndarray, np.ndarray]:
        import mlx.nn

        with self.arrays.region(x.dtype):
            made = mlx.nn.BatchNorm(x.shape[1], momentum=momentum)
            for name in ("running_mean", "running_var"):
                made[name] = made[name].astype(self.arrays.array(x[:1]).dtype)
            for _ in range(steps):
                made(self.arrays.array(x))
            return self.arrays.back(made.running_mean), self.arrays.back(made.running_var)

    def default_eps(self, dtype: str) -> float:
        return 1e-5


class Normlab(Library):
    """One face of normlab."""

    def __init__(self, face: str) -> None:
        self.name, self.arrays = f"normlab {face}", of(face)

    @property
    def version(self) -> str:
        import normlab

        return f"normlab {normlab.__version__}"

    def layer(self, x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
        return self.arrays.call("layer_norm", x, eps=eps)

    def rms(self, x: np.ndarray, eps: float = 1e-5, weight: np.ndarray | None = None) -> np.ndarray:
        return self.arrays.call("rms_norm", x, weight, eps=eps)

    def batch(self, x: np.ndarray) -> np.ndarray:
        return self.arrays.call("batch_norm", x)

    def group(self, x: np.ndarray, count: int) -> np.ndarray:
        return self.arrays.call("group_norm", x, groups=count)

    def instance(self, x: np.ndarray) -> np.ndarray:
        return self.arrays.call("instance_norm", x)

    def unit(self, x: np.ndarray) -> np.ndarray:
        return self.arrays.call("unit_norm", x)

    def running(self, x: np.ndarray, momentum: float, steps: int = 1) -> tuple[np.ndarray, np.ndarray]:
        start = (np.zeros(x.shape[1], x.dtype), np.ones(x.shape[1], x.dtype))
        for _ in range(steps):
            _, *start = self.arrays.call("batch_norm", x, running_mean=start[0], running_var=start[1], momentum=momentum)
        return start[0], start[1]

    def outside(self, definition: Any, x: np.ndarray) -> np.ndarray:
        """The gradient of a method with eps outside the root."""
        done = self.arrays.run(Work(definition, x, x.shape[1], affine=False, dy=np.ones_like(x)))
        return done.dx

    def default_eps(self, dtype: str) -> float:
        return registry.method("rms_norm").eps or 0.0


LIBRARIES = ("torch", "Flax", "Keras", "MLX", "normlab numpy", "normlab torch", "normlab jax", "normlab mlx")


def library(name: str) -> Library:
    theirs = {"torch": Torch, "Flax": Flax, "Keras": Keras, "MLX": Mlx}
    return theirs[name]() if name in theirs else Normlab(name.split()[1])


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch's threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
