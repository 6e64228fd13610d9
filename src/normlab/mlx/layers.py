"""Layers for MLX, one `mlx.nn.Module` a method, made from the definitions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from inspect import Parameter, Signature
from typing import Any, ClassVar

import mlx.core as mx
import mlx.nn

from .. import registry, signatures
from ..blueprint import Blueprint, Described, Held, draw
from ..calling import to_own
from ..definition import Definition
from ..errors import DtypeError, UsageError
from ..fitting import fit
from .arrays import FACE, FLOATS, wide, widen
from .call import call

__all__ = ["Layer", "build", "layer_class"]

COUNT = "num_batches_tracked"


class _Frozen(set[str]):
    """The names of a module that are not trained, of which a layer's state never goes: MLX clears such a set itself."""

    def __init__(self, always: Iterable[str] = ()) -> None:
        self.always = frozenset(always)
        super().__init__(self.always)

    def clear(self) -> None:
        super().clear()
        self.update(self.always)

    def difference_update(self, *names: Iterable[Any]) -> None:
        super().difference_update(*names)
        self.update(self.always)


class Layer(Described, mlx.nn.Module):
    """A method with its parameters and its state, named as the definition names them; the state is never trained.

    Running statistics move when the layer is called in training. As everything in MLX they are computed when they are
    asked for: `mx.eval(model.parameters())` after a step does that, and lets the batch go.
    """

    definition: ClassVar[Definition]
    blueprint: Blueprint
    _no_grad: _Frozen

    def __init__(
        self, channels: int | tuple[int, ...] | None = None, *, layout: str | None = None, eps: float | None = None,
        affine: bool = True, bias: bool = True, dtype: mx.Dtype = mx.float32, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        d = self.definition
        made = draw(d, channels, layout=layout, eps=eps, affine=affine, bias=bias, options=options, also=("dtype",))
        self.blueprint = made
        if dtype not in FLOATS:
            raise DtypeError(f"{d.class_name}: dtype must be a floating-point type up to float64, got {dtype!r}.")
        states = [h.spec.name for h in made.states] + [COUNT] * made.counts
        self._no_grad = _Frozen(states)
        for held in made.params:
            self[held.spec.name] = _started(held, dtype)
        for held in made.states:
            self[held.spec.name] = _started(held, wide(dtype))
        if made.counts:
            self[COUNT] = mx.array(0)
        self._waits = d.start is not None and bool(made.params)

    def __setitem__(self, name: str, value: Any) -> None:
        # Whatever comes (set_dtype, a checkpoint in half precision): statistics summed over many batches stay wide.
        if isinstance(value, mx.array) and value.dtype in FLOATS and name in self._no_grad.always:
            value = widen(value)
        super().__setitem__(name, value)
        self._waits = False  # parameters that were set need no start from data

    def start(self, x: mx.array, respond: Callable[[mx.array], mx.array] | None = None) -> dict[str, mx.array]:
        """Set the parameters that presume data, and return what the host layer must add (by name, such as "bias").

        `respond(w)` gives the pre-activations that normalized weights `w` produce; only a weight method wants it.
        The first call of the layer does this by itself where it needs no `respond`; call it before a training step,
        whose gradients would not pass through a parameter that is set on the way.
        """
        d, names = self.definition, [h.spec.name for h in self.blueprint.params]
        if d.start is None or not names:
            return {}
        x = FACE.as_float(x, d.name, d.subject)
        fit(d, x.shape, self.layout, self.options, {}, channels=self.blueprint.made_for)
        axes, _ = to_own(d.layout, self.layout, x.ndim)
        back = sorted(range(x.ndim), key=axes.__getitem__)
        answer = None if respond is None else lambda w: respond(w.transpose(back))
        try:
            found = d.start(FACE.xp, widen(x).transpose(axes), {n: self[n] for n in names}, self.options, answer)
        except ValueError as error:
            raise UsageError(str(error)) from None
        for name in names:
            self[name] = found.get(name, self[name]).astype(self[name].dtype)
        return {n: a for n, a in found.items() if n not in names}

    def __call__(self, x: mx.array, *inputs: Any, mask: Any = None, **named: Any) -> mx.array:
        """Normalize x; further inputs as the method has them. In training, running statistics move."""
        made = self.blueprint
        given = signatures.bind_inputs(self.definition, inputs, named)
        if self._waits:
            self.start(x)
        live = {h.spec.name: self[h.spec.name] for h in made.params}
        state = {h.spec.name: self[h.spec.name] for h in made.states}
        momentum = 1.0 / (self[COUNT] + 1) if made.counts and self.options["momentum"] is None else None
        done = call(
            self.definition, x, {**live, **given}, state, self.options, layout=self.layout, eps=self.eps,
            training=self.training, mask=mask, trailing=made.trailing, channels=made.made_for, momentum=momentum,
        )  # fmt: skip
        if done.state is not None and self.training and x.size:
            for name, a in done.state.items():
                self[name] = a
            if made.counts:
                self[COUNT] = self[COUNT] + 1
        return done.y

    def __repr__(self) -> str:
        first = next((self[h.spec.name].dtype for h in self.blueprint.params), mx.float32)
        return self.blueprint.show({} if first == mx.float32 else {"dtype": first})

    def __reduce__(self) -> tuple[Any, ...]:
        # A layer's class is made from its definition, so pickle and copy go by that.
        d = self.definition
        known = any(d is other for other in registry.methods())
        return _empty, (d.name if known else d,), (dict(self), dict(vars(self)))

    def __setstate__(self, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
        arrays, attributes = state
        vars(self).update(attributes)
        dict.update(self, arrays)


def _empty(definition: Definition | str) -> Layer:
    """A layer without its contents, for unpickling."""
    made = layer_class(registry.method(definition) if isinstance(definition, str) else definition)
    return made.__new__(made)


def _started(held: Held, dtype: mx.Dtype) -> mx.array:
    """An array as it starts; what is drawn comes from MLX's own random numbers, as `mx.random.seed` sets them."""
    start, shape = held.start, held.shape
    if start == "identity":
        a = mx.broadcast_to(mx.eye(shape[-1]), shape)
    elif isinstance(start, str):
        a = mx.random.normal(shape)
        a = a / (math.sqrt(shape[-1] if shape else 1) if start == "normal" else mx.sqrt(mx.sum(a * a)))
    else:
        a = mx.full(shape, start)
    with mx.stream(mx.cpu):  # the only place that has float64
        return a.astype(dtype)


@lru_cache(maxsize=1024)
def layer_class(definition: Definition) -> type[Layer]:
    """The layer of a definition, with its own name, signature and docstring."""
    made = type(definition.class_name, (Layer,), {"definition": definition, "__module__": "normlab.mlx"})
    made.__doc__ = signatures.layer_doc(definition)
    plain = signatures.layer_signature(definition)
    typed = Parameter("dtype", Parameter.KEYWORD_ONLY, default=mx.float32)
    made.__signature__ = Signature([*plain.parameters.values(), typed])  # type: ignore[attr-defined]
    return made


def build(
    definition: Definition, channels: int | tuple[int, ...] | None, *, options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Layer:  # fmt: skip
    """A layer of any definition, registered or not; `settings` as layers take them (layout, eps, affine, dtype ...)."""
    return layer_class(definition)(channels, **settings, **(options or {}))
