"""Layers for PyTorch, one `torch.nn.Module` a method, made from the definitions."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from inspect import Parameter, Signature
from typing import Any, ClassVar

import torch
from torch import Tensor

from .. import registry, signatures
from ..blueprint import Described, Held, draw
from ..calling import RUNNING, to_own
from ..definition import Definition
from ..errors import DtypeError, UsageError
from ..fitting import fit
from . import quick
from .arrays import FACE, FLOATS, Namespace, widen
from .call import call
from .compiled import settings
from .deciding import Decided
from .distributed import shares_batches, together
from .moving import recomputing, store
from .quick import COUNT

__all__ = ["Layer", "build", "layer_class"]

MOST_PASSED = 16  # calls between a forward pass and its backward pass; a method's own state is small


class Layer(Described, torch.nn.Module):
    """A method with its parameters (learnt) and its state (buffers), named as the definition names them."""

    definition: ClassVar[Definition]

    def __init__(
        self, channels: int | tuple[int, ...] | None = None, *, layout: str | None = None, eps: float | None = None,
        affine: bool = True, bias: bool = True, device: Any = None, dtype: torch.dtype | None = None,
        process_group: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        d = self.definition
        self.blueprint = draw(
            d, channels, layout=layout, eps=eps, affine=affine, bias=bias, options=options, also=_also(d)
        )
        self.together = together(self.blueprint, process_group)
        # As text, for a trace would make symbols of numbers, and compile anew for each layer that has its own object.
        self._settings = repr((self.blueprint.eps, *self.blueprint.options.items()))
        dtype = _float_type(d.class_name, dtype)
        params = {h.spec.name: h for h in self.blueprint.params}
        states = {h.spec.name: h for h in self.blueprint.states}
        for spec in d.params:
            made = params.get(spec.name)
            value = None if made is None else torch.nn.Parameter(torch.empty(made.shape, device=device, dtype=dtype))
            self.register_parameter(spec.name, value)
        kept = dtype if dtype is torch.float64 else torch.float32
        for state in d.states:
            made = states.get(state.name)
            self.register_buffer(
                state.name, None if made is None else torch.empty(made.shape, device=device, dtype=kept)
            )
        if d.has_running:
            counted = self.blueprint.counts
            self.register_buffer(COUNT, torch.zeros((), dtype=torch.int64, device=device) if counted else None)
        # What a method's own state was before its latest calls, for passes that activation checkpointing runs again.
        self._passed: deque[dict[str, Tensor]] = deque(maxlen=MOST_PASSED)
        self._decided: dict[Any, Decided] = {}  # see `quick`
        self._started = d.start is None or not params
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start anew: parameters, buffers, and a start from data where the method has one."""
        for held in (*self.blueprint.params, *self.blueprint.states):
            _fill(getattr(self, held.spec.name), held)
        if self.blueprint.counts:
            getattr(self, COUNT).zero_()
        self._started = self.definition.start is None or not self.blueprint.params

    def reset_running_stats(self) -> None:
        """Running statistics, and the count of batches, as at the start."""
        for held in self.blueprint.states:
            if held.spec.name in RUNNING:
                _fill(getattr(self, held.spec.name), held)
        if self.blueprint.counts:
            getattr(self, COUNT).zero_()

    def start(self, x: Tensor, respond: Callable[[Tensor], Tensor] | None = None) -> dict[str, Tensor]:
        """Set the parameters that presume data, and return what the host layer must add (by name, such as "bias").

        `respond(w)` gives the pre-activations that normalized weights `w` produce; only a weight method wants it.
        The first call of the layer does this by itself where it needs no `respond`.
        """
        d = self.definition
        if d.start is None or not self.blueprint.params:
            return {}
        x = FACE.as_float(x, d.name, d.subject)
        if not torch.compiler.is_compiling():
            fit(d, tuple(x.shape), self.layout, self.options, {}, channels=self.blueprint.made_for)
        axes, _ = to_own(d.layout, self.layout, x.ndim)
        back = tuple(sorted(range(len(axes)), key=axes.__getitem__))
        answer = None if respond is None else lambda w: respond(w.permute(back))
        with torch.no_grad():
            try:
                found = d.start(Namespace(x), widen(x).permute(axes), dict(self._parameters), self.options, answer)
            except ValueError as error:
                raise UsageError(str(error)) from None
            for name, a in found.items():
                if name in self._parameters:
                    self._parameters[name].copy_(a)  # type: ignore[union-attr]
        self._started = True
        return {n: a for n, a in found.items() if n not in self._parameters}

    def forward(self, x: Tensor, *inputs: Any, mask: Any = None, **named: Any) -> Tensor:
        """Normalize x; further inputs as the method has them. In training, running statistics move."""
        if mask is None and not inputs and not named and not torch.compiler.is_compiling():
            y = quick.again(self, x)
            if y is not None:
                return y
        given = signatures.bind_inputs(self.definition, inputs, named)
        if not self._started:
            self.start(x)
        eps, options = self.eps, self.options
        if torch.compiler.is_compiling():
            eps, *pairs = settings(self._settings)
            options = dict(pairs)
        moves = self.training and bool(self.blueprint.states)
        again = moves and recomputing()
        state = self._earlier() if again else {h.spec.name: getattr(self, h.spec.name) for h in self.blueprint.states}
        counted = getattr(self, COUNT) if self.blueprint.counts else None
        momentum = None
        if counted is not None and options["momentum"] is None:
            momentum = 1.0 / (counted + 1).to(state[RUNNING[0]].dtype)
        params = {h.spec.name: getattr(self, h.spec.name) for h in self.blueprint.params}
        done = (call if self.together is None else self.together.call)(
            self.definition, x, {**params, **given}, state, options, layout=self.layout, eps=eps,
            training=self.training, mask=mask, trailing=self.blueprint.trailing, channels=self.blueprint.made_for,
            momentum=momentum,
        )  # fmt: skip
        something = 0 not in x.shape or self.together is not None  # it knows of the other processes' batches
        if moves and not again and done.state is not None and something:
            self._move(state, done.state)
        if done.decided is not None and self.together is None:
            quick.remember(self, x, done.decided)
        return done.y

    def _move(self, state: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> None:
        if self.definition.forward is not None and not torch.compiler.is_compiling():
            self._passed.append({n: a.detach().clone() for n, a in state.items()})
        for name, a in fresh.items():
            store(state[name], a)
        if self.blueprint.counts:
            counted = getattr(self, COUNT)
            store(counted, counted + 1)

    def _earlier(self) -> dict[str, Tensor]:
        """The state that the forward pass found which is now run again; backward passes come in reverse order."""
        if self._passed:
            return self._passed.pop()
        return {h.spec.name: getattr(self, h.spec.name) for h in self.blueprint.states}

    def extra_repr(self) -> str:
        """The arguments as they would be written."""
        shown = str(self.blueprint)
        return shown[shown.index("(") + 1 : -1]

    def _apply(self, fn: Any, recurse: bool = True) -> Layer:
        """Casts do not reach below float32 for statistics: sums of many batches would be lost in half precision."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, old in before.items():
            new = self._buffers[name]
            if old is not None and new is not None and new.is_floating_point() and new.element_size() < 4:
                self._buffers[name] = old.to(device=new.device, dtype=torch.float32)
        return self

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._started = self._started or any(prefix + h.spec.name in state_dict for h in self.blueprint.params)

    def __reduce__(self) -> tuple[Any, ...]:
        # A layer's class is made from its definition, so pickle and copy go by that.
        d = self.definition
        known = any(d is other for other in registry.methods())
        return _empty, (d.name if known else d,), {**self.__dict__, "_decided": {}}


def _fill(a: Tensor, held: Held) -> None:
    start, shape = held.start, held.shape
    with torch.no_grad():
        if start in ("normal", "unit normal"):
            a.normal_()
            a.div_(math.sqrt(shape[-1] if shape else 1) if start == "normal" else torch.linalg.vector_norm(a))
        elif start == "identity":
            a.copy_(torch.eye(shape[-1], dtype=a.dtype, device=a.device).expand(shape))
        else:
            a.fill_(float(start))


def _empty(definition: Definition | str) -> Layer:
    """A layer without its contents, for unpickling."""
    made = layer_class(registry.method(definition) if isinstance(definition, str) else definition)
    return made.__new__(made)


def _float_type(who: str, dtype: Any) -> torch.dtype:
    found = torch.get_default_dtype() if dtype is None else dtype
    if found not in FLOATS:
        raise DtypeError(f"{who}: dtype must be a floating-point type up to float64, got {dtype!r}.")
    return found


def _also(definition: Definition) -> tuple[str, ...]:
    """What this face's layers are told besides what all faces' are."""
    return ("device", "dtype", *(["process_group"] if shares_batches(definition) else []))


@lru_cache(maxsize=1024)
def layer_class(definition: Definition) -> type[Layer]:
    """The layer of a definition, with its own name, signature and docstring."""
    made = type(definition.class_name, (Layer,), {"definition": definition, "__module__": "normlab.torch"})
    made.__doc__ = signatures.layer_doc(definition)
    plain = signatures.layer_signature(definition)
    placed = [Parameter(n, Parameter.KEYWORD_ONLY, default=None) for n in _also(definition)]
    made.__signature__ = Signature([*plain.parameters.values(), *placed])  # type: ignore[attr-defined]
    return made


def build(
    definition: Definition, channels: int | tuple[int, ...] | None, *, options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Layer:  # fmt: skip
    """A layer of any definition, registered or not; `settings` as layers take them (layout, eps, affine, dtype ...)."""
    return layer_class(definition)(channels, **settings, **(options or {}))
