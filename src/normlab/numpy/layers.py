"""Layers for NumPy, one class a method, made from the definitions: `y = layer(x)`, `dx = layer.backward(dy)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from .. import registry, signatures
from ..blueprint import Held, draw
from ..calling import to_own
from ..definition import Definition
from ..errors import DtypeError, ShapeError, UsageError
from ..fitting import fit
from .arrays import HALF, as_float, as_numbers, generator, widen
from .call import Call, call

__all__ = ["Layer", "build", "layer_class"]


class Layer:
    """A method with its parameters and state. `params`, `grads` and `state` are dictionaries of arrays by name."""

    definition: ClassVar[Definition]

    def __init__(
        self, channels: int | tuple[int, ...] | None = None, *, layout: str | None = None, eps: float | None = None,
        affine: bool = True, bias: bool = True, dtype: Any = np.float64, key: Any = 0, **options: Any,
    ) -> None:  # fmt: skip
        d = self.definition
        made = draw(
            d, channels, layout=layout, eps=eps, affine=affine, bias=bias, options=options, also=("dtype", "key")
        )
        self.blueprint, self.dtype = made, _float_type(d.class_name, dtype)
        self.layout, self.eps, self.options, self.channels = made.layout, made.eps, dict(made.options), made.channels
        self.training = True
        self.grads: dict[str, np.ndarray] = {}
        self._generator = generator(key)
        self._call: Call | None = None
        self.params: dict[str, np.ndarray] = {h.spec.name: self._new(h) for h in made.params}
        self.state: dict[str, np.ndarray] = {h.spec.name: self._new(h) for h in made.states}
        if made.counts:
            self.state["num_batches_tracked"] = np.zeros((), np.int64)
        self._started = d.start is None or not self.params

    def _new(self, held: Held) -> np.ndarray:
        start, shape = held.start, held.shape
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
        d = self.definition
        if d.start is None or not self.params:
            return {}
        x = as_float(x, d.name, d.subject)
        fit(d, x.shape, self.layout, self.options, {}, channels=self.blueprint.made_for)
        axes, _ = to_own(d.layout, self.layout, x.ndim)
        answer = None if respond is None else lambda w: respond(w.transpose(np.argsort(axes)))
        try:
            found = d.start(np, widen(x).transpose(axes), dict(self.params), self.options, answer)
        except ValueError as error:
            raise UsageError(str(error)) from None
        self._started = True
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
            mask=mask, key=key, trailing=self.blueprint.trailing, channels=self.blueprint.made_for,
            keep=True,
        )  # fmt: skip
        if self._call.state is not None and self.training:
            self.state.update(self._call.state)
            if counted is not None and self._call.done is not None:
                self.state["num_batches_tracked"] = np.asarray(counted + 1)
        return self._call.y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """The gradient of x for the latest call; `grads` gets those of parameters and inputs (overwritten).

        `dy` may carry one axis more in front, a stack of cotangents; the results then carry it too.
        """
        if self._call is None:
            raise UsageError(f"{self.definition.class_name}: call the layer before backward.")
        dy = as_numbers(dy, "backward", "dy")
        lead = dy.ndim - self._call.y.ndim
        if lead not in (0, 1):
            raise ShapeError(f"backward: dy must have the output's shape {self._call.y.shape}, got {dy.shape}.")
        dx, self.grads = self._call.pull(dy, lead)
        return dx

    def draws_state(self) -> dict[str, Any]:
        """Where the layer's own random numbers stand, for `restore_draws`."""
        return dict(self._generator.bit_generator.state)

    def restore_draws(self, state: Mapping[str, Any]) -> None:
        """Draw again what was drawn after `draws_state`."""
        self._generator.bit_generator.state = state

    def train(self) -> Layer:
        """Use the batch's own statistics and move the running ones; returns the layer."""
        self.training = True
        return self

    def eval(self) -> Layer:
        """Use running statistics where there are any; returns the layer."""
        self.training = False
        return self

    def __repr__(self) -> str:
        return self.blueprint.show({} if self.dtype == np.float64 else {"dtype": self.dtype.name})

    def __reduce__(self) -> tuple[Any, ...]:
        # A layer's class is made from its definition, so pickle and copy go by that; the latest call stays behind.
        d = self.definition
        known = any(d is other for other in registry.methods())
        return _empty, (d.name if known else d,), {**vars(self), "_call": None}


def _empty(definition: Definition | str) -> Layer:
    """A layer without its contents, for unpickling."""
    made = layer_class(registry.method(definition) if isinstance(definition, str) else definition)
    return made.__new__(made)


def _float_type(who: str, dtype: Any) -> np.dtype:
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise DtypeError(f"{who}: dtype must be a floating-point type, got {dtype!r}.") from None
    if not (found.kind == "f" and found.itemsize <= 8) and found.name != HALF:
        raise DtypeError(f"{who}: dtype must be a floating-point type up to float64, got {found}.")
    return found


@lru_cache(maxsize=1024)
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
