"""Layers for NumPy, one class a method, made from the definitions: `y = layer(x)`, `dx = layer.backward(dy)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from .. import registry, signatures
from ..definition import Definition, Param
from ..errors import DtypeError, ShapeError, UsageError, unknown
from ..fitting import check_eps, fit, shape_of
from ..pattern import parse_plain
from .arrays import HALF, as_float, as_numbers, generator, widen
from .call import Call, call
from .derived import to_own

__all__ = ["Layer", "build", "layer_class"]


class Layer:
    """A method with its parameters and state. `params`, `grads` and `state` are dictionaries of arrays by name."""

    definition: ClassVar[Definition]

    def __init__(
        self, channels: int | tuple[int, ...] | None = None, *, layout: str | None = None, eps: float | None = None,
        affine: bool = True, bias: bool = True, dtype: Any = np.float64, key: Any = 0, **options: Any,
    ) -> None:  # fmt: skip
        d = self.definition
        self.layout, self.dtype = layout or d.layout, _float_type(d.class_name, dtype)
        parse_plain(self.layout)
        names = [*signatures.layer_signature(d).parameters, "dtype", "key"]
        for name in options:
            if name not in names:
                raise unknown(f"argument of {d.class_name}", name, names)
        self.options = d.validate(options)
        if d.eps is None and eps is not None:
            raise UsageError(f"{d.class_name}: has no eps, got {eps!r}. Leave it out.")
        self.eps = None if d.eps is None else check_eps(d.name, d.eps if eps is None else eps)
        self.training = True
        self.params: dict[str, np.ndarray] = {}
        self.state: dict[str, np.ndarray] = {}
        self.grads: dict[str, np.ndarray] = {}
        self._generator = generator(key)
        self._call: Call | None = None
        wanted = [p for p in d.params if _asked(p, d, affine, bias)]
        self._started = d.start is None or not wanted
        states = list(d.states) if not d.has_running or self.options["running"] else []
        if (wanted or states) and channels is None:
            raise UsageError(f"{d.class_name}: give the number of channels, or affine=False where nothing is learnt.")
        sizes = signatures.sizes(d, self.options, channels)
        self.channels = tuple(map(int, channels)) if isinstance(channels, tuple) else channels and int(channels)
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
        d = self.definition
        if d.start is None or not self.params:
            return {}
        x = as_float(x, d.name, d.subject)
        fit(d, x.shape, self.layout, self.options, {}, channels=self._made_for)
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

    @property
    def _made_for(self) -> tuple[int, ...] | None:
        return (self.channels,) if isinstance(self.channels, int) else self.channels

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
            mask=mask, key=key, trailing=len(self._made_for or (1,)), channels=self._made_for,
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

    def train(self) -> Layer:
        """Use the batch's own statistics and move the running ones; returns the layer."""
        self.training = True
        return self

    def eval(self) -> Layer:
        """Use running statistics where there are any; returns the layer."""
        self.training = False
        return self

    def __repr__(self) -> str:
        d = self.definition
        shown = {**self.options, "layout": self.layout}
        if self.eps is not None:
            shown["eps"] = self.eps
        names = [p.name for p in d.params]
        off = [w for w, n in zip(("affine", "bias"), d.affine, strict=True) if n in names and n not in self.params]
        shown |= dict.fromkeys(off[:1], False)  # without affine there is no bias anyway
        if self.dtype != np.float64:
            shown["dtype"] = self.dtype.name
        return f"{d.class_name}({', '.join([repr(self.channels), *(f'{n}={v!r}' for n, v in shown.items())])})"

    def __reduce__(self) -> tuple[Any, ...]:
        # A layer's class is made from its definition, so pickle and copy go by that; the latest call stays behind.
        d = self.definition
        known = any(d is other for other in registry.methods())
        return _empty, (d.name if known else d,), {**vars(self), "_call": None}


def _asked(param: Param, definition: Definition, affine: bool, bias: bool) -> bool:
    if param.name not in definition.affine:
        return True
    return affine and (bias or param.name != definition.affine[1])


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
