"""What somebody else's parameters mean: by their names, as the field writes them, and by the method's own options."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

from ..definition import Definition
from ..notation import REST
from .problems import Refused

__all__ = ["ALIASES", "SHOWN", "Slot", "alias_of", "arguments", "is_bundle", "is_called", "known_names", "slots"]

ALIASES = {
    "weight": ("gamma", "weight", "scale", "w", "g", "gain", "weights"),
    "bias": ("beta", "bias", "shift", "b"),
    "eps": ("eps", "epsilon"),
    "momentum": ("momentum", "decay"),
    "running_mean": ("running_mean", "moving_mean", "running_mu", "mean_running", "moving_average_mean"),
    "running_var": ("running_var", "moving_var", "running_variance", "moving_variance", "running_sigma2"),
    "training": ("training", "train", "is_training", "mode", "is_train", "train_flg", "train_flag", "training_mode"),
}
# So many of them are told to whoever used another name.
SHOWN = {"weight": 5, "bias": 4, "eps": 2, "momentum": 2, "running_mean": 2, "running_var": 2, "training": 4}
SHAPES = ("normalized_shape",)
RANK = ("num_dims", "ndim", "n_dims", "dims", "rank")  # how many axes x has
CHANNELS = (
    "channels", "features", "num_features", "num_channels", "dim", "n_features", "in_features", "hidden_size",
    "normalized_shape", "size", "d", "c", "n",
)  # fmt: skip
# A dictionary that carries all else, as courses write it: `bn_param`, `ln_params`.
BUNDLES = ("param", "params", "config")
_ORDINARY = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Slot:
    """One parameter of theirs and what it is given: a role, `option:<name>`, or None where its default stays."""

    name: str
    role: str | None
    default: Any = Parameter.empty
    kind: Any = Parameter.POSITIONAL_OR_KEYWORD

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is Parameter.empty


def alias_of(name: str, definition: Definition) -> str | None:
    """The role of a parameter's name; the method's own options, and what others call them, come first."""
    options = {o.name: o.name for o in definition.options}
    options |= {theirs: ours for k in definition.known_as for theirs, ours in k.options.items() if ours in options}
    options |= {o.factor.upper(): o.name for o in definition.options if o.factor}
    options |= {f"n_{o.name}": o.name for o in definition.options}
    if name in options:
        return f"option:{options[name]}"
    if name in {s.name for s in definition.states} - {"running_mean", "running_var"}:
        return f"state:{name}"
    return next((role for role, names in ALIASES.items() if is_called(name, names)), None)


def is_called(name: str, names: Iterable[str]) -> bool:
    """Whether `name` is one of `names`, however it is spelled: runningMean, _running_mean."""
    bare = name.lower().replace("_", "")
    return any(bare == other.replace("_", "") for other in names)


def is_bundle(name: str) -> bool:
    """Whether a parameter is a dictionary of the others."""
    return name.lower() in BUNDLES or name.lower().rpartition("_")[2] in BUNDLES


def slots(function: Any, definition: Definition, taken: Iterable[str], who: str, first: str = "x") -> list[Slot]:
    """Every parameter of `function` and its role; the first one is `first`, or what its name says where that is None.

    Raises Refused: no parameters, a required name that means nothing here, or a signature that Python cannot read.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise Refused("no_signature", name=who) from None
    if first and not any(p.kind in (*_ORDINARY, Parameter.VAR_POSITIONAL) for p in parameters):
        raise Refused("no_parameters", name=who)
    allowed = set(taken)
    found: list[Slot] = []
    for k, p in enumerate(parameters):
        if first and k == 0:
            found.append(Slot(p.name, first, kind=p.kind))
        elif p.kind in _ORDINARY:
            found.append(_slot(p, definition, allowed, who))
    return found


def _slot(p: Parameter, definition: Definition, allowed: set[str], who: str) -> Slot:
    role = alias_of(p.name, definition)
    if role is not None and role.partition(":")[0] not in allowed:
        role = None
    if role in ("weight", "bias", "running_mean", "running_var") and isinstance(p.default, bool):
        role = None  # whether there is one
    if p.name == "layout" and isinstance(p.default, str) and REST in p.default:
        role = "layout"  # this library's own
    if role is None and "bundle" in allowed and is_bundle(p.name):
        role = "bundle"
    if role is None and "channels" in allowed and is_called(p.name, CHANNELS):
        role = "channels"
    if role is None and "channels" in allowed and p.default is Parameter.empty and p.name.lower() in RANK:
        role = "rank"
    if role is None and p.name.lower() in SHAPES:
        role = "shape"  # of what is normalized together
    if role is None and p.default is Parameter.empty and "other" not in allowed:
        raise Refused("unknown_parameter", name=p.name, who=who, known=known_names(definition, allowed))
    return Slot(p.name, role, p.default, p.kind)


def known_names(definition: Definition, allowed: set[str]) -> str:
    """The names that would be understood."""
    names = ["|".join(ALIASES[role][:most]) for role, most in SHOWN.items() if role in allowed]
    names += [o.name for o in definition.options if "option" in allowed]
    return ", ".join(names) or "x"


def arguments(filled: Mapping[str, Any], found: Iterable[Slot]) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments for the slots whose roles are `filled`."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for k, slot in enumerate(found):
        if slot.role is None or slot.role not in filled:
            continue
        if k == 0 or slot.kind is Parameter.POSITIONAL_ONLY:
            positional.append(filled[slot.role])
        else:
            named[slot.name] = filled[slot.role]
    return positional, named
