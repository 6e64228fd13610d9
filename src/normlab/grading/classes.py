"""Builds somebody's class with the channels and calls it; finds its parameters and its state by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np

from ..definition import Definition
from .arrays import answered, copied, gradients, is_array, numbers, overwrite, to_native, torch_module
from .asked import MODES, MOMENTUM, Answer, Asked, Gradients
from .functions import differ, gradients_of, taken_roles
from .loading import Target
from .problems import Refused, failure
from .quiet import quietly
from .roles import ALIASES, SHOWN, Slot, arguments, is_called, known_names, slots

__all__ = ["ClassSubject"]

RUNNING = ("running_mean", "running_var")
NOT_PARAMETERS = ("grad", "cache", "hook", "module", "ctx")  # dictionaries of a layer that hold something else


class ClassSubject:
    """A layer's class: the constructor takes the channels, the layer takes x."""

    def __init__(self, target: Target, definition: Definition, framework: str) -> None:
        self.target, self.definition, self.framework = target, definition, framework
        further = [i.name for i in definition.inputs if i.where == "layer" and i.required]
        if further:
            raise Refused("further_input", name=target.name, input=", ".join(further))
        roles = {*taken_roles(definition), "channels", "other"} - {"bundle", "x", "training"}
        self.building = _with_channels(slots(target.function, definition, roles, target.name, ""), target.name)
        method = self._method(target.function)
        bound = slots(method, definition, {*taken_roles(definition), "other"}, target.name, "self")
        if len(bound) < 2:
            raise Refused("no_parameters", name=f"{target.name}.{method.__name__}")
        lead = Slot(bound[1].name, "x", kind=bound[1].kind)
        self.slots = [lead, *(_known(s, target.name, definition) for s in bound[2:])]
        self.modes: tuple[Any, Any] = (True, False)
        self.broad: set[str] = set()
        self.kept_momentum: Any = None  # the one that an instance has by itself
        self.found: set[str] = set()  # the roles that an instance turned out to have
        self.backward_slots: list[Slot] | None = [] if callable(getattr(target.function, "backward", None)) else None

    def _method(self, made: type) -> Any:
        """What is called with x."""
        if framework_module(made):
            return made.forward  # type: ignore[attr-defined]
        for name in ("__call__", "forward"):
            if any(name in vars(base) for base in made.__mro__[:-1]):
                return getattr(made, name)
        raise Refused("class_not_callable", name=self.target.name)

    @property
    def roles(self) -> set[str]:
        """The roles that it takes when it is built, when it is called, or has as an attribute."""
        own = {s.role for s in (*self.building, *self.slots) if s.role} | self.found
        return own | ({"training"} if hasattr(self.target.function, "eval") else set())

    @property
    def bundled(self) -> bool:
        """Classes take no dictionary."""
        return False

    def default(self, role: str) -> Any:
        """The default of the parameter with that role; None where it has none."""
        slot = next((s for s in (*self.building, *self.slots) if s.role == role), None)
        if slot is None and role == "momentum":
            return self.kept_momentum
        return None if slot is None or slot.required else slot.default

    def mode_pairs(self) -> tuple[tuple[Any, Any], ...]:
        """What may stand for training and evaluation, likeliest first."""
        slot = next((s for s in self.slots if s.role == "training"), None)
        return MODES["words"] if slot is not None and isinstance(slot.default, str) else MODES["truth"]

    def call(self, asked: Asked, *, gradient: bool = False) -> Answer:
        """Build, call once so that what is made late is there, set what is known, and ask. Raises Failed."""
        made = self._warmed(asked)
        self._set(made, asked)
        x = to_native(asked.x, self.framework, gradient)
        y = self._asked(made, asked, x, asked.training)
        if self._started_anew(made, asked):  # some layers set a parameter from the first batch they see
            self._set(made, asked)
            x = to_native(asked.x, self.framework, gradient)
            y = self._asked(made, asked, x, asked.training)
        y_array, rest, is_list = answered(y, asked.x.shape, self.target.name)
        changed = ("x",) if differ(asked.x, x) else ()
        after = {n: a for n in RUNNING if (a := copied(_array(made, ALIASES[n]))) is not None}
        native = y[0] if isinstance(y, tuple) else y
        handed = {"x": x} | {n: _array(made, ALIASES[n]) for n in ("weight", "bias") if n in self.found}
        return Answer(y_array, rest, after, changed, is_list, native, handed, made)

    def _warmed(self, asked: Asked) -> Any:
        with quietly():
            np.random.seed(0)  # whatever a constructor draws, it is drawn again
            if self.framework == "torch":
                torch_module().manual_seed(0)
        given = {n: to_native(a, self.framework) for n, a in asked.arrays().items() if n in ("weight", "bias")}
        values: dict[str, Any] = {**given, "momentum": MOMENTUM, "layout": asked.frame.layout}
        values |= {"channels": asked.frame.channels(asked.x.shape), "rank": asked.x.ndim}
        values |= {"shape": values["channels"]}
        values |= {} if asked.eps is None else {"eps": asked.eps}
        values |= {f"option:{n}": v for n, v in asked.options.items()}
        positional, named = arguments(values, self.building)
        made = self._guarded(self.target.function, *positional, **named)
        if self.framework == "torch" and hasattr(made, "to"):
            made.to(to_native(asked.x, "torch").dtype)
        self.kept_momentum = self._value(made, ALIASES["momentum"])
        self._asked(made, asked, to_native(asked.x, self.framework), True)
        self.found |= {n for n in ("weight", "bias", *RUNNING) if _array(made, ALIASES[n]) is not None}
        self.found |= {n for n in ("eps", "momentum") if isinstance(self._value(made, ALIASES[n]), float)}
        return made

    def _set(self, made: Any, asked: Asked) -> None:
        """Parameters, state and eps of a layer, where it has them."""
        wanted = {n: a for n, a in asked.arrays().items() if n != "x"}
        for role, a in wanted.items():
            names = ALIASES.get(role, (role.partition(":")[2],))
            for held, key in _places(made, names):
                old = held[key]
                now = numbers(old) if is_array(old) else None
                if now is not None and now.size == a.size:
                    held[key] = overwrite(old, a)
        for role, value in (("eps", asked.eps), ("momentum", MOMENTUM)):
            for held, key in _places(made, ALIASES[role]):
                if value is not None and isinstance(held[key], float):
                    held[key] = value

    def _started_anew(self, made: Any, asked: Asked) -> bool:
        now = numbers(_array(made, ALIASES["weight"]))
        return asked.weight is not None and now is not None and not np.allclose(now.ravel(), asked.weight.ravel())

    def _asked(self, made: Any, asked: Asked, x: Any, training: bool) -> Any:
        """One call in training or evaluation, by its own methods, by a parameter, or by an attribute."""
        if hasattr(made, "eval") and hasattr(made, "train") and callable(made.eval):
            self._guarded(made.train if training else made.eval)
        values = {**self._plain(asked, training), "x": x}
        for held, key in _places(made, ALIASES["training"]):
            if isinstance(held[key], bool | str) and not callable(getattr(made, "eval", None)):
                self.found.add("training")
                held[key] = self._mode(held[key], training)
        positional, named = arguments(values, self.slots)
        method = made if callable(made) else made.forward
        with gradients(self.framework, training):
            return self._guarded(method, *positional, **named)

    def _mode(self, old: Any, training: bool) -> Any:
        pair = self.modes if isinstance(self.modes[0], type(old)) else (True, False)
        if isinstance(old, str):
            pair = ("train", "test") if isinstance(self.modes[0], bool) else self.modes
        return pair[0 if training else 1]

    def _plain(self, asked: Asked, training: bool) -> dict[str, Any]:
        found: dict[str, Any] = {"training": self.modes[0 if training else 1], "momentum": MOMENTUM}
        found |= {} if asked.eps is None else {"eps": asked.eps}
        found |= {n: to_native(a, self.framework) for n, a in asked.arrays().items() if n != "x"}
        return found

    def _guarded(self, function: Any, *given: Any, **named: Any) -> Any:
        try:
            with quietly():
                return function(*given, **named)
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # their code may raise anything, SystemExit too
            raise failure(problem, self.target.file) from None

    def _value(self, made: Any, names: tuple[str, ...]) -> Any:
        return next((held[key] for held, key in _places(made, names)), None)

    def backward(self, asked: Asked, answer: Answer, dy: np.ndarray) -> Gradients:
        """The gradients for `dy`: what it returns, and what it leaves in attributes. Raises Failed."""
        result = self._guarded(answer.instance.backward, to_native(dy, self.framework))
        found = gradients_of(result, asked.x.shape)
        for role in ("weight", "bias"):
            value = copied(_gradient_of(answer.instance, ALIASES[role]))
            if value is not None and role in self.found:
                found.named[role] = value
        return found


def framework_module(made: type) -> bool:
    """Whether a class is a module of torch."""
    return any(base.__name__ == "Module" and base.__module__.startswith("torch.nn") for base in made.__mro__)


def _with_channels(found: list[Slot], who: str) -> list[Slot]:
    """The constructor's slots, the channels among them: by their name, or the first that means nothing else."""
    unknown = [s for s in found if s.role is None and s.required]
    if any(s.role == "channels" and s.required for s in found):
        named: Slot | None = None
    else:
        named = unknown.pop(0) if unknown else None
    if unknown:
        raise Refused("unknown_parameter", name=unknown[0].name, who=who, known="channels")
    return [Slot(s.name, "channels" if s is named else s.role, s.default, s.kind) for s in found]


def _known(slot: Slot, who: str, definition: Definition) -> Slot:
    if slot.role is None and slot.required:
        raise Refused("unknown_parameter", name=slot.name, who=who, known=known_names(definition, set(SHOWN)))
    return slot


def _places(made: Any, names: tuple[str, ...]) -> Iterator[tuple[MutableMapping[str, Any], str]]:
    """Where a layer keeps what is called one of `names`: its attributes, then the dictionaries among them."""
    own = getattr(made, "__dict__", {})
    inner = [v for n, v in own.items() if isinstance(v, dict) and not any(w in n.lower() for w in NOT_PARAMETERS)]
    for held in (own, *inner):
        for key in list(held):
            if isinstance(key, str) and is_called(key, names) and held[key] is not None:
                yield held, key


def _array(made: Any, names: tuple[str, ...]) -> Any:
    """The array that a layer keeps under one of `names`, or None: a number of groups may be called G."""
    return next((held[key] for held, key in _places(made, names) if is_array(held[key])), None)


def _gradient_of(made: Any, names: tuple[str, ...]) -> Any:
    """What a layer's backward left as the gradient of one of `names`."""
    own = getattr(made, "__dict__", {})
    spelled = {form.format(n) for n in names for form in ("d{}", "d_{}", "grad_{}", "{}_grad", "{}grad")}
    for key, value in own.items():
        if key.lower().strip("_") in spelled:
            return value
    for key, value in own.items():
        if "grad" in key.lower() and isinstance(value, Mapping):
            found = next((a for n, a in value.items() if n in (*names, *spelled)), None)
            if found is not None:
                return found
    return None
