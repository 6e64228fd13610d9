"""Which of our layers a module of another library is: by its exact class, as a definition's `known_as` names it.

Whatever makes a module more than its class says (hooks, an own forward, a parametrization) is a reason to refuse: the
layer that took its place would lose it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.nn.modules.lazy import LazyModuleMixin

from .. import registry
from .. import torch as face
from ..definition import Definition, KnownAs
from ..errors import NormlabError, ShapeError

__all__ = ["Refused", "Twin", "method_of", "ours_for", "seems_to_normalize"]

NORMS = ("norm", "norm_and_activation")
HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks",
    "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip
# What a subclass may have of its own and still compute the same.
HARMLESS = {"__init__", "__repr__", "extra_repr", "reset_parameters"}


class Refused(Exception):
    """Why a module is left as it is."""


class Twin(NamedTuple):
    """A class of another library and the definition that names it."""

    made: type
    definition: Definition
    known: KnownAs


def _twins() -> Iterator[Twin]:
    """Those of the libraries that are imported: no module can be of another one."""
    for definition in registry.methods():
        for known in definition.known_as if definition.role in NORMS else ():
            package, _, name = known.name.rpartition(".")
            made = getattr(sys.modules.get(package), name, None)
            if isinstance(made, type) and issubclass(made, torch.nn.Module):
                yield Twin(made, definition, known)


def seems_to_normalize(module: torch.nn.Module) -> bool:
    """Whether a module is, or by its name seems to be, a normalization that is not ours."""
    if isinstance(module, face.Layer):
        return False
    named = "norm" in type(module).__name__.lower()
    # What only holds others (a block "with norm") has no arrays of its own.
    whole = bool(module._parameters or module._buffers) or not module._modules
    return (named and whole) or any(isinstance(module, twin.made) for twin in _twins())


def method_of(module: torch.nn.Module) -> str | None:
    """The name of the method that a module computes, ours or by the class that `known_as` names; else None."""
    if isinstance(module, face.Layer):
        return module.definition.name
    twins = {twin.made: twin for twin in _twins()}
    base = next((c for c in type(module).__mro__ if c in twins), None)
    return None if base is None else twins[base].definition.name


def ours_for(module: torch.nn.Module) -> face.Layer:
    """Our layer of the same function, with the module's own parameters and buffers. Raises Refused."""
    twin = _twin_of(module)
    _check_plain(module, twin)
    arguments = _arguments(module, twin)
    try:
        layer = face.build(twin.definition, device="meta", **arguments)
    except NormlabError as error:
        raise Refused(str(error)) from None
    if math.prod(layer.blueprint.made_for or (0,)) == 1 and twin.definition.layout == "... c":
        raise Refused("it pools a single element, of which nothing is left")
    share(module, layer)
    for name, value in vars(module).items():  # num_features and its like: other code may ask for them
        if not hasattr(layer, name):
            setattr(layer, name, value)
    if hasattr(module, "_get_no_batch_dim"):
        layer.register_forward_pre_hook(_Batched(module._get_no_batch_dim() + 1))  # type: ignore[operator]
    return layer


def share(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Give the one module the other's parameters, buffers and mode: the same objects. Raises Refused."""
    for kind in ("_parameters", "_buffers"):
        have, want = getattr(source, kind), getattr(target, kind)
        differ = {n for n in {*have, *want} if _shape(have.get(n)) != _shape(want.get(n))}
        if differ:
            raise Refused(f"its {', '.join(sorted(differ))} are not what its options say")
    for kind in ("_parameters", "_buffers"):
        getattr(target, kind).update({n: a for n, a in getattr(source, kind).items() if n in getattr(target, kind)})
    target.training = source.training


def _shape(a: Any) -> tuple[int, ...] | None:
    return None if a is None else tuple(a.shape)


def _twin_of(module: torch.nn.Module) -> Twin:
    kind = type(module)
    if isinstance(module, LazyModuleMixin):
        raise Refused("it is lazy and has no shape yet; call the model once before")
    twins = {twin.made: twin for twin in _twins()}
    base = next((c for c in kind.__mro__ if c in twins), None)
    if base is None:
        raise Refused(f"no definition names {kind.__module__}.{kind.__qualname__}")
    own = {n for c in kind.__mro__[: kind.__mro__.index(base)] for n, v in vars(c).items() if _acts(v)} - HARMLESS
    if own:
        raise Refused(f"{kind.__qualname__} has its own {', '.join(sorted(own))} beyond {base.__qualname__}")
    return twins[base]


def _acts(value: Any) -> bool:
    return callable(value) or isinstance(value, property | staticmethod | classmethod)


def _check_plain(module: torch.nn.Module, twin: Twin) -> None:
    hooks = [n.strip("_") for n in HOOKS if getattr(module, n, None)]
    if hooks:
        raise Refused(f"it has hooks ({', '.join(hooks)})")
    changed = [n for n, v in vars(module).items() if callable(v) and hasattr(type(module), n)]
    if changed:
        raise Refused(f"its {', '.join(sorted(changed))} was replaced")
    for name, value in twin.known.unless.items():
        if getattr(module, name, None) == value:
            raise Refused(f"{twin.known.name} with {name}={value!r} does something else")


def _arguments(module: torch.nn.Module, twin: Twin) -> dict[str, Any]:
    """What our layer is built with."""
    d, known = twin.definition, twin.known
    learnt = [p.name for p in d.params if getattr(module, p.name, None) is not None]
    found = dict(known.fixed)
    for theirs, own in known.options.items():
        value = getattr(module, theirs, None)
        if own not in ("affine", "bias") and not (value is None and own in known.fixed):
            found[own] = value
    first = next((p for p in module.parameters(recurse=False)), None)
    dtype = torch.get_default_dtype() if first is None else first.dtype
    if "eps" in found and found["eps"] is None:  # the smallest step of what it computes in
        found["eps"] = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    scale, shift = d.affine
    options = {o.name for o in d.all_options}
    return {
        "channels": _channels(module, known), "dtype": dtype, "affine": scale in learnt, "bias": shift in learnt,
        "options": {n: v for n, v in found.items() if n in options},
        **{n: v for n, v in found.items() if n not in options},
    }  # fmt: skip


def _channels(module: torch.nn.Module, known: KnownAs) -> Any:
    if not known.channels:
        return None
    found = getattr(module, known.channels)
    sizes = tuple(found) if isinstance(found, list | tuple) else (found,)
    return sizes if len(sizes) > 1 else sizes[0]


class _Batched:
    """Said of a layer whose twin takes a sample without its batch as well: ours would take its channels for samples."""

    def __init__(self, axes: int) -> None:
        self.axes = axes

    def __call__(self, layer: face.Layer, given: tuple[Any, ...]) -> None:
        if given and isinstance(given[0], torch.Tensor) and given[0].ndim != self.axes:
            raise ShapeError(
                f"{layer.definition.class_name}: x must have {self.axes} axes, got shape {tuple(given[0].shape)}.",
                hint="Give a single sample a batch of one: x[None].",
            )
