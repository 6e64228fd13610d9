"""Calls somebody's function by its parameters' names, and takes its answer apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..definition import Definition
from .arrays import answered, copied, gradients, numbers, to_native
from .asked import MODES, MOMENTUM, Answer, Asked, Gradients
from .frames import parts_of
from .loading import Target, names_used
from .problems import Failed, Refused, failure
from .quiet import quietly
from .roles import ALIASES, Slot, arguments, slots

__all__ = ["FunctionSubject", "differ", "gradients_of", "taken_roles"]

DY = ("dy", "dout", "grad_output", "grad_out", "grad", "dz", "dw", "upstream", "delta", "g_out", "gy", "d_out", "dl_dy")
CACHE = ("cache", "ctx", "context", "saved", "tape", "memory", "residuals", "res", "state")
LEAVES = ("x", "weight", "bias")
X = ("x", "input", "inputs", "z", "v", "w", "a", "h")


def taken_roles(definition: Definition, training: bool = True) -> set[str]:
    """The roles that this method's implementations may take."""
    found = {"x", "option", "bundle", "training", "state"}
    specs = {p.name for p in parts_of(definition) if p.where != "layer"}
    if definition.forward is None or specs:
        found |= {"weight", "bias"}
    if definition.eps is not None:
        found.add("eps")
    if definition.has_running and definition.running:
        found |= {"running_mean", "running_var", "momentum"}
    return found


class FunctionSubject:
    """A function of arrays."""

    def __init__(self, target: Target, definition: Definition, framework: str) -> None:
        self.target, self.definition, self.framework = target, definition, framework
        self.slots = slots(target.function, definition, taken_roles(definition), target.name)
        for needed in definition.inputs:
            if needed.required and needed.where != "layer" and needed.name not in self.roles_by_name:
                names = ALIASES.get(needed.name, (needed.name,))
                raise Refused("input_missing", name=target.name, input="|".join(names))
        self.by_gradients = framework == "torch" and "is_grad_enabled" in names_used(target.function)
        self.modes: tuple[Any, Any] = (True, False)
        self.broad: set[str] = set()  # the kinds of frames in which weight and bias must broadcast by themselves
        self.backward_slots = None if target.backward is None else self._backward_slots()

    @property
    def roles_by_name(self) -> set[str]:
        """The roles of its parameters."""
        return {s.role for s in self.slots if s.role}

    @property
    def roles(self) -> set[str]:
        """The roles that it takes, in a dictionary or by name."""
        own = self.roles_by_name | ({"training"} if self.by_gradients else set())
        return own | ({"eps", "momentum", "running_mean", "running_var", "training"} if "bundle" in own else set())

    @property
    def bundled(self) -> bool:
        """Whether momentum and modes come in a dictionary, as a course has it."""
        return any(s.role == "bundle" for s in self.slots)

    def default(self, role: str) -> Any:
        """The default of the parameter with that role; None where it has none."""
        slot = next((s for s in self.slots if s.role == role), None)
        return None if slot is None or slot.required else slot.default

    def mode_pairs(self) -> tuple[tuple[Any, Any], ...]:
        """What may stand for training and evaluation, likeliest first."""
        slot = next((s for s in self.slots if s.role == "training"), None)
        if slot is None:
            return MODES["words"] if self.bundled else MODES["truth"]
        if isinstance(slot.default, str):
            return MODES["words"]
        if slot.required and slot.name.lower() == "mode":
            return (*MODES["words"], *MODES["truth"])
        return MODES["truth"] if isinstance(slot.default, bool) else (*MODES["truth"], *MODES["words"])

    def call(self, asked: Asked, *, gradient: bool = False) -> Answer:
        """Ask once. Raises Failed."""
        shaped = self._shaped(asked)
        handed = {n: to_native(a, self.framework, gradient and n in LEAVES) for n, a in shaped.items()}
        before = {n: copied(a) for n, a in handed.items()}
        bundle = self._bundle(asked, handed)
        values = {**handed, **self._plain(asked), "bundle": bundle}
        positional, named = arguments(values, self.slots)
        with gradients(self.framework, asked.training):
            result = self._called(self.target.function, positional, named)
        y, rest, is_list = answered(result, asked.x.shape, self.target.name)
        changed = tuple(n for n in ("x", "weight", "bias") if n in handed and differ(before[n], handed[n]))
        after = {n: copied(a) for n, a in handed.items() if n.startswith("running")}
        after |= {n: copied(bundle[n]) for n in ("running_mean", "running_var") if bundle.get(n) is not None}
        native = result[0] if isinstance(result, tuple) else result
        kept = {n: a for n, a in after.items() if a is not None}
        return Answer(y, rest, kept, changed, is_list, native, handed)

    def _shaped(self, asked: Asked) -> dict[str, np.ndarray]:
        """The arrays as they are handed over."""
        found = {n: a for n, a in asked.arrays().items() if n in self.roles}
        if asked.frame.kind in self.broad:
            target = asked.frame.broad(asked.x.shape)
            found |= {n: found[n].reshape(target) for n in ("weight", "bias") if n in found}
        return found

    def _plain(self, asked: Asked) -> dict[str, Any]:
        found: dict[str, Any] = {
            "momentum": MOMENTUM, "training": self.modes[0 if asked.training else 1], "layout": asked.frame.layout,
            "shape": (asked.frame.channels(asked.x.shape),),
        }  # fmt: skip
        if asked.eps is not None:
            found["eps"] = asked.eps
        return found | {f"option:{n}": v for n, v in asked.options.items()}

    def _bundle(self, asked: Asked, handed: dict[str, Any]) -> dict[str, Any]:
        """The dictionary of a course, with what has no parameter of its own."""
        found = {"mode": self.modes[0 if asked.training else 1], "momentum": MOMENTUM}
        found |= {} if asked.eps is None else {"eps": asked.eps}
        if asked.running is not None:
            for name, a in zip(("running_mean", "running_var"), asked.running, strict=True):
                found[name] = to_native(a, self.framework)
        own = {s.role for s in self.slots}
        return {n: v for n, v in found.items() if n not in own}

    def _called(self, function: Any, positional: list[Any], named: dict[str, Any]) -> Any:
        try:
            with quietly():
                return function(*positional, **named)
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # their code may raise anything, SystemExit too
            raise failure(problem, self.target.file) from None

    def _backward_slots(self) -> list[Slot]:
        """The roles of the backward's parameters: dy, what the forward kept, or the forward's own arguments."""
        first = self.slots[0].name
        own = {*X, first} - {s.name for s in self.slots[1:]}
        found = slots(self.target.backward, self.definition, {*taken_roles(self.definition), "other"}, "backward", "dy")
        named = {s.name.lower() for s in found}
        roles: list[str | None] = []
        for s in found:
            lower = s.name.lower()
            role = "dy" if lower in DY else "cache" if lower in CACHE else "x" if lower in own else s.role
            roles.append(role)
        if not named & set(DY):
            roles[0] = "dy"
        for k, s in enumerate(found):
            if roles[k] is None and s.required:
                roles[k] = "cache" if "cache" not in roles else None
        return [Slot(s.name, r, s.default, s.kind) for s, r in zip(found, roles, strict=True)]

    def backward(self, asked: Asked, answer: Answer, dy: np.ndarray) -> Gradients:
        """The gradients for `dy`. Raises Failed."""
        assert self.backward_slots is not None
        roles = {s.role for s in self.backward_slots}
        if "cache" in roles and not answer.rest:
            raise Failed("no_cache", name=self.target.name)
        fresh = {n: to_native(a, self.framework) for n, a in self._shaped(asked).items()}
        values = {**fresh, **self._plain(asked), "dy": to_native(dy, self.framework)}
        values |= {"cache": answer.rest[0]} if answer.rest else {}
        values["bundle"] = self._bundle(asked, fresh)
        found = [Slot(s.name, s.role, s.default, s.kind) for s in self.backward_slots]
        positional, named = arguments(values, found)
        return gradients_of(self._called(self.target.backward, positional, named), asked.x.shape)


def gradients_of(result: Any, shape: tuple[int, ...]) -> Gradients:
    """The parts of what a backward returned. Raises Failed where none of them is an array of x's shape."""
    named: dict[str, np.ndarray] = {}
    if isinstance(result, dict):
        found = {str(n): a for n, b in result.items() if (a := numbers(b)) is not None}
        dx = next((a for n, a in found.items() if a.shape == shape and "x" in n.lower()), None)
        dx = next((a for a in found.values() if a.shape == shape), None) if dx is None else dx
        parts = [a for a in found.values() if a is not dx]
        named = {role: np.array(a) for n, a in found.items() if a is not dx and (role := _gradient_role(n)) is not None}
    else:
        came = [numbers(a) for a in (result if isinstance(result, tuple | list) else [result])]
        parts = [a for a in came if a is not None]
        dx = next((a for a in parts if a.shape == shape), None)
        parts = [a for a in parts if a is not dx]
    if dx is None:
        raise Failed("no_dx", shape=shape, came=", ".join(str(a.shape) for a in parts if a is not None) or "None")
    return Gradients(np.array(dx), [np.array(a) for a in parts], named)


def _gradient_role(name: str) -> str | None:
    """Of which parameter a gradient of that name is: dgamma, grad_weight, beta."""
    bare = name.lower().removeprefix("grad").removeprefix("_").removesuffix("_grad")
    names = {bare, bare.removeprefix("d").removeprefix("_")}
    return next((role for role in ("weight", "bias") if names & set(ALIASES[role])), None)


def differ(before: np.ndarray | None, now: Any) -> bool:
    found = numbers(now)
    return before is None or found is None or not np.array_equal(before, found, equal_nan=True)
