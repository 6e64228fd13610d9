"""Weight methods joined to a module: `weight_norm(linear)` and its like, one for every definition of role "weight".

They go through torch.nn.utils.parametrize and have the keys and shapes of torch.nn.utils.parametrizations, so that
checkpoints move both ways: `original0`, `original1` ... for the learnt arrays and, last, the weight (one `original`
where there is only the weight), `0._u` for a state u.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import Parameter, Signature
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from .. import signatures
from ..definition import Definition
from ..errors import ShapeError, UsageError, unknown
from ..pattern import parse_plain
from .arrays import FACE
from .call import call
from .layers import MOST_PASSED, Layer, build
from .moving import recomputing, store

__all__ = ["Parametrization", "joining"]

WARMUP = 15
"""Training calls at the start for a state that is iterated, as in torch: a random vector is far from where it leads."""


class Parametrization(torch.nn.Module):
    """What torch.nn.utils.parametrize calls for the weight: a method, its state in buffers named `_u` for a u."""

    def __init__(self, layer: Layer, weight: Tensor) -> None:
        super().__init__()
        self.definition, self.blueprint = layer.definition, layer.blueprint
        axes = parse_plain(layer.layout).plan(tuple(weight.shape))
        self.shown = {p.name: axes.align(p.axes)[1] for p in self.definition.params}  # axes that it lacks have size 1
        for held in layer.blueprint.states:
            self.register_buffer(f"_{held.spec.name}", layer.get_buffer(held.spec.name).detach())
        # The states of the latest calls, for passes that activation checkpointing runs again, in reverse order.
        self._passed: deque[dict[str, Tensor]] = deque(maxlen=MOST_PASSED)
        for spec in self.definition.hosted:
            first = torch.randn_like(weight.detach(), dtype=torch.promote_types(weight.dtype, torch.float32))
            first = first.transpose(0, axes.names.index("o"))[0].flatten()
            self.register_buffer(f"_{spec.name}", first / torch.linalg.vector_norm(first))

    def forward(self, *originals: Tensor) -> Tensor:
        """The weight that the module multiplies by; in training the state moves."""
        d, made = self.definition, self.blueprint
        arrays = {h.spec.name: a.reshape(h.shape) for h, a in zip(made.params, originals[:-1], strict=True)}
        again = self.training and recomputing()
        state = self._passed.pop() if again and self._passed else self._state()
        moves = self.training and not again
        done = call(d, originals[-1], arrays, state, made.options, layout=made.layout, eps=made.eps, training=moves)
        if moves and done.state:
            if not torch.compiler.is_compiling():
                self._passed.append({n: a.detach() for n, a in done.state.items()})
            for name, a in done.state.items():
                store(self.get_buffer(f"_{name}"), a)
        return done.y

    def _state(self) -> dict[str, Tensor]:
        """Copies, since a second forward pass before the first backward pass moves the buffers."""
        d = self.definition
        return {s.name: self.get_buffer(f"_{s.name}").clone() for s in (*d.states, *d.hosted)}

    def right_inverse(self, weight: Tensor) -> Tensor | Sequence[Tensor]:
        """The originals for a weight: what is learnt, as it starts where the weight shall stay as it is, and itself."""
        d, made = self.definition, self.blueprint
        if not made.params:
            return weight
        plain = {o.name: o.default for o in d.options if o.factor is None}
        layer = _layer(d, weight, made.layout, made.eps, {**made.options, **plain})
        layer.start(weight)
        return *(self.show(h.spec.name, layer) for h in made.params), weight

    def show(self, name: str, layer: Layer) -> Tensor:
        """A learnt array as checkpoints hold it: with the weight's axes."""
        return layer.get_parameter(name).detach().reshape(self.shown[name])

    def extra_repr(self) -> str:
        """The method and its options."""
        return str(self.blueprint)


class _EarlierKeys:
    """Reads checkpoints from before there were parametrizations: `weight_g`, `weight_v`; `weight_orig`, `weight_u`."""

    def __init__(self, definition: Definition, name: str) -> None:
        d, at = definition, f"parametrizations.{name}."
        self.name, self.weights = name, (f"{name}_{d.subject}", f"{name}_orig")
        self.original = at + (f"original{len(d.params)}" if d.params else "original")
        self.keys = {f"{name}_{p.name}": f"{at}original{k}" for k, p in enumerate(d.params)}
        self.keys |= {f"{name}_{s.name}": f"{at}0._{s.name}" for s in (*d.states, *d.hosted)}

    def __call__(self, module: torch.nn.Module, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        found = next((w for w in self.weights if prefix + w in state_dict), None)
        if found is None or not parametrize.is_parametrized(module, self.name):
            return
        for old, new in {**self.keys, found: self.original}.items():
            if prefix + old in state_dict:
                state_dict[prefix + new] = state_dict.pop(prefix + old)


@cache
def joining(definition: Definition) -> Callable[..., torch.nn.Module]:
    """The function that joins a weight method to a module: `weight_norm(module, name="weight", **options)`."""
    signature = _signature(definition)

    def join(*args: Any, **kwargs: Any) -> torch.nn.Module:
        wrong = [n for n in kwargs if n not in signature.parameters]
        if wrong:
            raise unknown(f"argument of {definition.name}", wrong[0], list(signature.parameters))
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(f"{definition.name}: {error}.") from None
        bound.apply_defaults()
        return _join(definition, **bound.arguments)

    return signatures.documented(join, definition.name, signature, _doc(definition), "normlab.torch")


def _signature(d: Definition) -> Signature:
    places = (Parameter("module", Parameter.POSITIONAL_OR_KEYWORD),
              Parameter("name", Parameter.POSITIONAL_OR_KEYWORD, default="weight"))  # fmt: skip
    words: dict[str, Any] = {"layout": None}
    words |= {"eps": d.eps} if d.eps is not None else {}
    words |= {o.name: o.default for o in d.options}
    words |= {"warmup": WARMUP} if d.states else {}
    words |= {"batch": None} if d.start is not None else {}
    return Signature([*places, *(Parameter(n, Parameter.KEYWORD_ONLY, default=v) for n, v in words.items())])


def _doc(d: Definition) -> str:
    lines = [f"{d.title}, joined to a module's weight; returns the module.", "", "Args:"]
    said = {
        "module": "a torch.nn.Module, changed in place.",
        "name": "the parameter that the method acts on. Make optimizers afterwards: it is replaced.",
        "layout": f"the order of its axes, by default {d.layout!r}, and for transposed convolutions theirs, 'i o ...'.",
        "eps": "keeps the division finite.",
        "warmup": "training calls made at once, for a state that starts at random.",
        "batch": "an input of the module, for a start that is taken from its responses.",
    } | {o.name: f"{o.doc}; {o.constraint}, by default {o.default!r}." for o in d.options}
    lines += [f"    {name}: {said[name]}" for name in _signature(d).parameters]
    lines += ["", "torch.nn.utils.parametrize.remove_parametrizations(module, name) leaves the weight as it then is."]
    return "\n".join([*lines, "", f"Source: {d.source}"])


def _join(
    d: Definition, module: torch.nn.Module, name: str, *, layout: str | None, eps: float | None = None, warmup: int = 0,
    batch: Any = None, **options: Any,
) -> torch.nn.Module:  # fmt: skip
    weight = _weight(d, module, name)
    layer = _layer(d, weight, layout or _layout(d, module), eps, options)
    extra = layer.start(weight, None if batch is None else _respond(module, name, batch))
    for other in extra:
        if not isinstance(getattr(module, other, None), Tensor):
            raise UsageError(f"{d.name}: this start sets the {other} of {type(module).__name__}, which has none.")
    method = Parametrization(layer, weight)
    parametrize.register_parametrization(module, name, method, unsafe=True)  # not unsafe: it would call it once
    held: Any = module.parametrizations[name]  # type: ignore[index]
    with torch.no_grad():
        for k, h in enumerate(layer.blueprint.params):
            getattr(held, f"original{k}").copy_(method.show(h.spec.name, layer))
        for other, a in extra.items():
            getattr(module, other).copy_(a)
        method.train()
        for _ in range(warmup):
            held()
    method.train(module.training)
    module.register_load_state_dict_pre_hook(_EarlierKeys(d, name))
    return module


def _weight(d: Definition, module: Any, name: str) -> Tensor:
    """The weight, checked. Raises UsageError, ShapeError, DtypeError."""
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"{d.name}: module must be a torch.nn.Module, got {type(module).__name__}.")
    have = [n for n, _ in module.named_parameters(recurse=False)]
    have += list(getattr(module, "parametrizations", ()))
    if name not in have:
        raise unknown(f"parameter of {type(module).__name__}", str(name), have or ["none"])
    if not parametrize.is_parametrized(module, name) and is_lazy(module.get_parameter(name)):
        raise UsageError(f"{d.name}: {name} of {type(module).__name__} has no shape yet. Call the module once before.")
    if any(isinstance(p, Parametrization) and p.definition is d for p in _joined(module, name)):
        raise UsageError(f"{d.name}: {name} of {type(module).__name__} has it already. Leave it at once.")
    weight = FACE.as_float(getattr(module, name), d.name, name)
    if weight.ndim < len(parse_plain(d.layout).terms) - 1:
        raise ShapeError(f"{d.name}: {name} must have the axes {d.layout!r}, got shape {tuple(weight.shape)}.")
    return weight.detach()


def _joined(module: torch.nn.Module, name: str) -> Sequence[torch.nn.Module]:
    found = getattr(module, "parametrizations", {})
    return list(found[name]) if name in found else []


def _layout(d: Definition, module: torch.nn.Module) -> str:
    """The order of a weight's axes: transposed convolutions alone have their outputs second."""
    if not isinstance(module, torch.nn.modules.conv._ConvTransposeNd):
        return d.layout
    return " ".join({"o": "i", "i": "o"}.get(n, n) for n in d.layout.split())


def _layer(d: Definition, weight: Tensor, layout: str, eps: float | None, options: Mapping[str, Any]) -> Layer:
    axes = parse_plain(layout).plan(tuple(weight.shape))
    return build(
        d, axes.size("o"), layout=layout, eps=eps, options=options, device=weight.device, dtype=weight.dtype
    )  # fmt: skip


def _respond(module: torch.nn.Module, name: str, batch: Any) -> Callable[[Tensor], Tensor]:
    """What the module answers to the batch with another weight and without what it adds."""
    others = {n: torch.zeros_like(p) for n, p in module.named_parameters(recurse=False) if n != name}
    return lambda w: functional_call(module, {**others, name: w}, (batch,))
