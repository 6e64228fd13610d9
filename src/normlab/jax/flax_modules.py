"""The modules of `normlab.jax.nnx`: a layer of `normlab.jax` with its parameters and its state in `nnx.Variable`s."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from inspect import Parameter, Signature
from typing import Any, ClassVar

from flax import nnx
from jax import Array

from .. import registry, signatures
from ..definition import Definition
from ..errors import UsageError
from . import layers

__all__ = ["Module", "build", "flag_of", "module_class"]


def flag_of(definition: Definition) -> str | None:
    """The attribute by which Flax's `train` and `eval` tell such a module what it does; None where it is the same."""
    if definition.role == "dropout":
        return "deterministic"
    return "use_running_average" if definition.states else None


class Module(nnx.Module):
    """A method with its parameters and its state, which moves when the module is called in training.

    `rngs` where something starts at random or is drawn at every call.
    """

    definition: ClassVar[Definition]

    def __init__(self, channels: int | tuple[int, ...] | None = None, *, rngs: Any = None, **settings: Any) -> None:
        flag = flag_of(self.definition)
        if flag is not None:
            setattr(self, flag, bool(settings.pop(flag, False)))
        self.layer = layers.layer_class(self.definition)(channels, **settings)
        made = self.layer.blueprint
        drawn = any(isinstance(h.start, str) and "normal" in h.start for h in (*made.params, *made.states))
        if drawn and rngs is None:
            raise UsageError(f"{self.definition.class_name}: give rngs= (a flax.nnx.Rngs): it starts at random.")
        params, state = self.layer.init(_key(rngs, "params") if drawn else 0)
        for name, a in params.items():
            setattr(self, name, nnx.Param(a))
        for name, a in state.items():
            setattr(self, name, nnx.BatchStat(a))
        if self.definition.role == "dropout":
            self.rngs = nnx.data(None if rngs is None else rngs["dropout"].fork())
        self._held = tuple(params), tuple(state)

    def start(self, x: Any, respond: Callable[[Array], Array] | None = None) -> dict[str, Array]:
        """Set the parameters that presume data; returns what the host must add. See `normlab.jax.Layer.start`."""
        params, extra = self.layer.start(self._arrays(0), x, respond)
        for name, a in params.items():
            getattr(self, name)[...] = a
        return extra

    def __call__(self, x: Any, *inputs: Any, mask: Any = None, rngs: Any = None, **named: Any) -> Array:
        """Normalize x; further inputs as the method has them.

        `use_running_average=` or, for a dropout, `deterministic=` and `rngs=` take the place of the module's own.
        """
        flag = flag_of(self.definition)
        told = named.pop(flag, None) if flag is not None else None
        training = not (told if told is not None else getattr(self, flag or "", False))
        y, state = self.layer(
            self._arrays(0), self._arrays(1), x, *inputs, training=training, mask=mask,
            key=self._drawing(rngs) if training else None, **named,
        )  # fmt: skip
        if training:
            for name, a in state.items():
                getattr(self, name)[...] = a
        return y

    def _arrays(self, which: int) -> dict[str, Array]:
        return {n: getattr(self, n)[...] for n in self._held[which]}

    def _drawing(self, rngs: Any) -> Any:
        if self.definition.role != "dropout":
            return None if rngs is None else _key(rngs, "default")
        source = self.rngs if rngs is None else rngs
        if source is None:
            raise UsageError(
                f"{self.definition.class_name}: give rngs= (a flax.nnx.Rngs), here or to the module, or call eval()."
            )
        return _key(source, "dropout")

    def __reduce__(self) -> tuple[Any, ...]:
        # A module's class is made from its definition, so pickle and copy go by that.
        d = self.definition
        return _empty, (d.name if any(d is other for other in registry.methods()) else d,), vars(self).copy()


def _key(rngs: Any, stream: str) -> Any:
    """A key of `rngs`: an `nnx.Rngs`, a stream of it, or a key."""
    if isinstance(rngs, nnx.Rngs):
        return rngs[stream]()
    return rngs() if isinstance(rngs, nnx.RngStream) else rngs


def _empty(definition: Definition | str) -> Module:
    """A module without its contents, for unpickling."""
    made = module_class(registry.method(definition) if isinstance(definition, str) else definition)
    return made.__new__(made)


@lru_cache(maxsize=1024)
def module_class(definition: Definition) -> type[Module]:
    """The module of a definition, with its own name, signature and docstring."""
    made = type(definition.class_name, (Module,), {"definition": definition, "__module__": "normlab.jax.nnx"})
    made.__doc__ = signatures.layer_doc(definition)
    plain = Signature.from_callable(layers.layer_class(definition))
    flag = flag_of(definition)
    more = {**({} if flag is None else {flag: False}), "rngs": None}
    placed = [Parameter(n, Parameter.KEYWORD_ONLY, default=v) for n, v in more.items()]
    made.__signature__ = Signature([*plain.parameters.values(), *placed])  # type: ignore[attr-defined]
    return made


def build(
    definition: Definition, channels: int | tuple[int, ...] | None, *, options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Module:  # fmt: skip
    """A module of any definition, registered or not; `settings` as modules take them (layout, eps, dtype, rngs ...)."""
    return module_class(definition)(channels, **settings, **(options or {}))
