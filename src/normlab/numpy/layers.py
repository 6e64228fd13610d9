"""Layers for NumPy, one class a method, made from the definitions: `y = layer(x)`, `dx = layer.backward(dy)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from .. import signatures
from ..definition import Definition, Param
from ..errors import ShapeError, UsageError
from ..fitting import check_eps, shape_of
from .call import Call, call

__all__ = ["Layer", "build", "layer_class"]


class Layer:
    """A method with its parameters and state. `params`, `grads` and `state` are dictionaries of arrays by name."""

    definition: ClassVar[Definition]

    def __init__(
        self, channels: int | tuple[int, ...] | None = None, *, layout: str | None = None, eps: float | None = None,
        affine: bool = True, bias: bool = True, dtype: Any = np.float64, key: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        d = self.definition
        self.channels, self.layout, self.dtype = channels, layout or d.layout, np.dtype(dtype)
        self.options = d.validate(options)
        self.eps = None if d.eps is None else check_eps(d.name, d.eps if eps is None else eps)
        self.training = True
        self.params: dict[str, np.ndarray] = {}
        self.state: dict[str, np.ndarray] = {}
        self.grads: dict[str, np.ndarray] = {}
        self._generator = np.random.default_rng(key)
        self._call: Call | None = None
        self._started = d.start is None
        wanted = [p for p in d.params if _asked(p, d, affine, bias)]
        states = list(d.states) if not d.has_running or self.options["running"] else []
        if (wanted or states) and channels is None:
            raise UsageError(f"{d.class_name}: give the number of channels, or affine=False where nothing is learnt.")
        sizes = signatures.sizes(d, self.options, channels)
        for target, specs in ((self.params, wanted), (self.state, states)):
            target.update({s.name: self._new(s, sizes, channels) for s in specs})
        if states and d.has_running:
            self.state["num_batches_tracked"] = np.zeros((), np.int64)

    def _new(self, spec: Param, sizes: Mapping[str, int], channels: Any) -> np.ndarray:
        shape = tuple(channels) if isinstance(channels, tuple) and spec.axes == "c" else shape_of(spec.axes, sizes)
        if shape is None:
            raise UsageError(f"{self.definition.class_name}: the size of {spec.axes!r} for {spec.name} is not known.")
        start = spec.start(self.options) if callable(spec.start) else spec.start
        if start == "normal":
            value = self._generator.standard_normal(shape) / math.sqrt(shape[-1] if shape else 1)
        elif start == "unit normal":
            value = self._generator.standard_normal(shape)
            value = value / np.linalg.norm(value)
        elif start == "identity":
            value = np.broadcast_to(np.eye(shape[-1]), shape)
        else:
            value = np.full(shape, start)
        return value.astype(self.dtype)

    def start(self, x: np.ndarray, respond: Callable[[np.ndarray], np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Set the parameters that presume data, and return what the host layer must add (by name, such as "bias").

        `respond(w)` gives the pre-activations that normalized weights `w` produce; only a weight method wants it.
        The first call of the layer does this by itself where it needs no `respond`.
        """
        self._started = True
        if self.definition.start is None:
            return {}
        found = self.definition.start(np, np.asarray(x, np.float64), dict(self.params), self.options, respond)
        extra = {n: a for n, a in found.items() if n not in self.params}
        self.params.update({n: np.asarray(a, self.dtype) for n, a in found.items() if n in self.params})
        return extra

    def __call__(self, x: np.ndarray, *inputs: Any, mask: Any = None, **named: Any) -> np.ndarray:
        """Normalize x; further inputs as the method has them. In training, running statistics move."""
        d = self.definition
        given = signatures.bind_inputs(d, inputs, named)
        if not self._started:
            self.start(x)
        options = self.options
        state = {n: a for n, a in self.state.items() if n != "num_batches_tracked"}
        counted = self.state.get("num_batches_tracked")
        if counted is not None and options["momentum"] is None:
            options = {**options, "momentum": 1.0 / (int(counted) + 1)}
        # Always from a whole number, so that `backward` draws the same numbers again.
        key = int(self._generator.integers(2**63)) if self.training else 0
        self._call = call(
            d, x, {**self.params, **given}, state, options, layout=self.layout, eps=self.eps, training=self.training,
            mask=mask, key=key, trailing=len(self.channels) if isinstance(self.channels, tuple) else 1,
        )  # fmt: skip
        if self._call.state is not None and self.training:
            self.state.update(self._call.state)
            if counted is not None and self._call.done is not None:
                self.state["num_batches_tracked"] = counted + 1
        return self._call.y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """The gradient of x for the latest call; `grads` gets those of parameters and inputs (overwritten).

        `dy` may carry one axis more in front, a stack of cotangents; the results then carry it too.
        """
        if self._call is None:
            raise UsageError(f"{self.definition.class_name}: call the layer before backward.")
        lead = np.ndim(dy) - self._call.y.ndim
        if lead not in (0, 1):
            raise ShapeError(f"backward: dy must have the output's shape {self._call.y.shape}, got {np.shape(dy)}.")
        dx, self.grads = self._call.pull(np.asarray(dy), lead)
        return dx

    def train(self) -> Layer:
        """Use the batch's own statistics and move the running ones; returns the layer."""
        self.training = True
        return self

    def eval(self) -> Layer:
        """Use running statistics where there are any; returns the layer."""
        self.training = False
        return self

    def __repr__(self) -> str:
        shown = [repr(self.channels)] + [f"{n}={v!r}" for n, v in self.options.items()]
        return f"{self.definition.class_name}({', '.join(shown)}, layout={self.layout!r})"


def _asked(param: Param, definition: Definition, affine: bool, bias: bool) -> bool:
    if param.name not in definition.affine:
        return True
    return affine and (bias or param.name != definition.affine[1])


def layer_class(definition: Definition) -> type[Layer]:
    """The layer of a definition, with its own name, signature and docstring."""
    made = type(definition.class_name, (Layer,), {"definition": definition, "__module__": "normlab.numpy"})
    made.__doc__ = signatures.layer_doc(definition)
    made.__signature__ = signatures.layer_signature(definition)  # type: ignore[attr-defined]
    return made


def build(
    definition: Definition,
    channels: int | tuple[int, ...] | None,
    *,
    options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Layer:
    """A layer of any definition, registered or not; `settings` as layers take them (layout, eps, affine, key ...)."""
    return layer_class(definition)(channels, **settings, **(options or {}))
