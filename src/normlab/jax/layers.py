"""Layers for JAX, one class a method, made from the definitions: what they learn goes in and out of a call.

    layer = BatchNorm(64)
    params, state = layer.init(key)
    y, state = layer(params, state, x, training=True)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from inspect import Parameter, Signature
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .. import registry, signatures
from ..blueprint import Blueprint, Described, Held, draw
from ..calling import to_own
from ..definition import Definition
from ..errors import DtypeError, UsageError
from ..fitting import fit
from .arrays import FACE, FLOAT64, FLOATS, as_key, check_float64, wide, widen
from .call import call
from .measuring import AxisName

__all__ = ["COUNT", "Layer", "build", "layer_class", "shares_batches"]

COUNT = "num_batches_tracked"
Arrays = dict[str, Array]


def shares_batches(definition: Definition) -> bool:
    """Whether a set goes on in the other slices of a batch that is mapped over: then layers take `axis_name`."""
    if not definition.has_running or definition.forward is not None:
        return False
    (line,) = definition.lines(definition.validate({})).values()
    return any(term.name == "n" and term.factors[0].pooled for term in line.terms)


class Layer(Described):
    """A method with its options. It never changes, is equal to what was made alike, and holds no array.

    So it may be an argument of a jitted function, static or not, or be closed over. Under `jax.vmap` each slice is
    normalized alone; with `axis_name`, where the method pools the batch, the statistics are those of all slices.
    """

    definition: ClassVar[Definition]
    blueprint: Blueprint
    dtype: np.dtype
    axis_name: AxisName | None
    _made_with: tuple[Any, ...]

    def __init__(
        self, channels: int | tuple[int, ...] | None = None, *, layout: str | None = None, eps: float | None = None,
        affine: bool = True, bias: bool = True, dtype: Any = jnp.float32, axis_name: AxisName | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        d = self.definition
        also = ("dtype", "axis_name") if shares_batches(d) else ("dtype",)
        if axis_name is not None and "axis_name" not in also:
            options["axis_name"] = axis_name  # refused as what it does not know
        blueprint = draw(d, channels, layout=layout, eps=eps, affine=affine, bias=bias, options=options, also=also)
        vars(self).update(
            blueprint=blueprint, dtype=_float_type(d.class_name, dtype), axis_name=_axis_name(d.class_name, axis_name)
        )
        arguments = {"layout": layout, "eps": eps, "affine": affine, "bias": bias, "dtype": self.dtype.name}
        vars(self)["_made_with"] = (channels, tuple({**arguments, "axis_name": axis_name, **options}.items()))

    def init(self, key: Any = 0) -> tuple[Arrays, Arrays]:
        """Parameters and state as they start: two dictionaries, empty where there are none.

        Statistics are float32 at least, whatever the dtype of the parameters. A method whose start presumes data has
        a neutral one here; `start` sets it.
        """
        key, made = as_key(key), self.blueprint
        held = (*made.params, *made.states)
        drawn = {h.spec.name: _started(h, jax.random.fold_in(key, k)) for k, h in enumerate(held)}
        params = {h.spec.name: drawn[h.spec.name].astype(self.dtype) for h in made.params}
        state = {h.spec.name: drawn[h.spec.name].astype(wide(self.dtype)) for h in made.states}
        return params, state | ({COUNT: jnp.zeros((), jnp.int32)} if made.counts else {})

    def start(
        self, params: Mapping[str, Array], x: Any, respond: Callable[[Array], Array] | None = None
    ) -> tuple[Arrays, Arrays]:
        """Parameters that presume data, and what the host layer must add (by name, such as "bias").

        `respond(w)` gives the pre-activations that normalized weights `w` produce; only a weight method wants it.
        """
        d = self.definition
        self._check("params", params, [h.spec.name for h in self.blueprint.params])
        if d.start is None or not params:
            return dict(params), {}
        x = FACE.as_float(x, d.name, d.subject)
        fit(d, tuple(x.shape), self.layout, self.options, {}, channels=self.blueprint.made_for)
        axes, _ = to_own(d.layout, self.layout, x.ndim)
        back = tuple(sorted(range(x.ndim), key=axes.__getitem__))
        answer = None if respond is None else lambda w: respond(w.transpose(back))
        try:
            found = d.start(FACE.xp, widen(x).transpose(axes), dict(params), self.options, answer)
        except ValueError as error:
            raise UsageError(str(error)) from None
        begun = {n: found[n].astype(a.dtype) if n in found else a for n, a in params.items()}
        return begun, {n: a for n, a in found.items() if n not in params}

    def __call__(
        self, params: Mapping[str, Any], state: Mapping[str, Any], x: Any, *inputs: Any, training: bool = True,
        mask: Any = None, key: Any = None, **named: Any,
    ) -> tuple[Array, Arrays]:  # fmt: skip
        """Normalize x; further inputs as the method has them. Gives y, and the state that a training call leaves.

        `key`, a key of jax.random or a whole number, where the method draws: dropout, in training.
        """
        d, made = self.definition, self.blueprint
        given = signatures.bind_inputs(d, inputs, named)
        counted = [COUNT] if made.counts else []
        self._check("params", params, [h.spec.name for h in made.params])
        self._check("state", state, [*(h.spec.name for h in made.states), *counted])
        if d.role == "dropout" and training and key is None:
            raise UsageError(f"{d.class_name}: give key= (a whole number or a key of jax.random), or training=False.")
        momentum = 1.0 / (state[COUNT] + 1) if counted and self.options["momentum"] is None else None
        done = call(
            d, x, {**params, **given}, {h.spec.name: state[h.spec.name] for h in made.states}, self.options,
            layout=self.layout, eps=self.eps, training=training, mask=mask, key=key, trailing=made.trailing,
            channels=made.made_for, momentum=momentum, axis_name=self.axis_name,
        )  # fmt: skip
        if done.state is None or not training or done.y.size == 0:
            return done.y, dict(state)
        return done.y, {**state, **done.state, **{n: state[n] + 1 for n in counted}}

    def _check(self, what: str, given: Mapping[str, Any], names: list[str]) -> None:
        if not isinstance(given, Mapping) or set(given) != set(names):
            came = sorted(given) if isinstance(given, Mapping) else type(given).__name__
            raise UsageError(
                f"{self.definition.class_name}: {what} must be a dictionary of {names}, got {came}.",
                hint="Call layer(params, state, x) with what layer.init(key) gave, or what a call gave after it.",
            )

    def _identity(self) -> tuple[Any, ...]:
        b = self.blueprint
        options = tuple(sorted(b.options.items()))
        return b.definition, b.channels, b.layout, b.eps, options, b.params, b.states, self.dtype, self.axis_name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layer) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{self.definition.class_name}: a layer does not change; make another.")

    __delattr__: Any = None

    def __repr__(self) -> str:
        dtype = {} if self.dtype == jnp.float32 else {"dtype": self.dtype.name}
        return self.blueprint.show(dtype | ({} if self.axis_name is None else {"axis_name": self.axis_name}))

    def __reduce__(self) -> tuple[Any, ...]:
        # A layer's class is made from its definition, so pickle and copy go by that.
        d = self.definition
        return _again, (d.name if any(d is other for other in registry.methods()) else d, *self._made_with)


def _again(definition: Definition | str, channels: Any, arguments: tuple[tuple[str, Any], ...]) -> Layer:
    """The layer that was made with these arguments, for unpickling."""
    made = layer_class(registry.method(definition) if isinstance(definition, str) else definition)
    return made(channels, **dict(arguments))


def _started(held: Held, key: Array) -> Array:
    start, shape = held.start, held.shape
    if start == "identity":
        return jnp.broadcast_to(jnp.eye(shape[-1]), shape)
    if isinstance(start, str):
        a = jax.random.normal(key, shape)
        return a / (math.sqrt(shape[-1] if shape else 1) if start == "normal" else jnp.linalg.norm(a.ravel()))
    return jnp.full(shape, start, jnp.zeros(()).dtype)  # the widest that JAX has here


def _float_type(who: str, dtype: Any) -> np.dtype:
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        raise DtypeError(f"{who}: dtype must be a floating-point type, got {dtype!r}.") from None
    if found not in FLOATS:
        raise DtypeError(f"{who}: dtype must be a floating-point type up to float64, got {found}.")
    if found == FLOAT64:
        check_float64(who, "dtype")
    return found


def _axis_name(who: str, axis_name: Any) -> AxisName | None:
    names = axis_name if isinstance(axis_name, tuple) else (axis_name,)
    if axis_name is not None and not (names and all(isinstance(n, str) for n in names)):
        raise UsageError(f"{who}: axis_name must be the name of a mapped axis, or a tuple of names, got {axis_name!r}.")
    return axis_name


@lru_cache(maxsize=1024)
def layer_class(definition: Definition) -> type[Layer]:
    """The layer of a definition, with its own name, signature and docstring."""
    made = type(definition.class_name, (Layer,), {"definition": definition, "__module__": "normlab.jax"})
    made.__doc__ = signatures.layer_doc(definition)
    plain = signatures.layer_signature(definition)
    more = {"dtype": jnp.float32, **({"axis_name": None} if shares_batches(definition) else {})}
    placed = [Parameter(n, Parameter.KEYWORD_ONLY, default=v) for n, v in more.items()]
    made.__signature__ = Signature([*plain.parameters.values(), *placed])  # type: ignore[attr-defined]
    return jax.tree_util.register_static(made)


def build(
    definition: Definition, channels: int | tuple[int, ...] | None, *, options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Layer:  # fmt: skip
    """A layer of any definition, registered or not; `settings` as layers take them (layout, eps, affine, dtype ...)."""
    return layer_class(definition)(channels, **settings, **(options or {}))
