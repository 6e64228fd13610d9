"""Signatures and docstrings of layers and functions, made from the definitions: the same on every face."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any

from .constraints import is_number
from .definition import Choice, Definition, Input, Option, Param
from .errors import UsageError, unknown
from .pattern import parse_plain

__all__ = ["bind_inputs", "function_doc", "function_signature", "layer_doc", "layer_signature", "sizes"]

_REQUIRED = Parameter.empty
MOST_CHANNELS = 2**31 - 1  # beyond it a slip is likelier than a layer, and no parameter would fit into memory


def _keyword(name: str, default: Any = _REQUIRED) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default)


def _positional(name: str, default: Any = _REQUIRED) -> Parameter:
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default)


def layer_signature(d: Definition) -> Signature:
    """`(channels, *, layout, eps, affine, bias, <options>)`; what a method has no use for is left out."""
    learnt = bool(d.params or d.states)
    scale, shift = (n for n in d.affine)
    names = [p.name for p in d.params]
    found = [_positional("channels", _REQUIRED if learnt else None)]
    found += [_keyword("layout", d.layout)] if d.layout != "..." else []
    found += [_keyword("eps", d.eps)] if d.eps is not None else []
    found += [_keyword("affine", True)] if scale in names else []
    found += [_keyword("bias", True)] if shift in names else []
    found += [_keyword(o.name, o.default) for o in d.all_options]
    return Signature(found)


def function_signature(d: Definition) -> Signature:
    """`(x, <inputs>, <parameters>, *, <state>, training, layout, eps, mask, <options>)`."""
    found = [Parameter(d.subject, Parameter.POSITIONAL_OR_KEYWORD)]
    own_state = [] if d.has_running else [s.name for s in d.states]
    found += [_positional(n) for n in own_state]
    found += [_positional(i.name, _REQUIRED if i.required else None) for i in d.inputs if i.where != "layer"]
    found += [_positional(p.name, None) for p in d.params if p.where != "layer"]
    found.sort(key=lambda p: p.default is not _REQUIRED)
    if d.has_running:
        found += [_keyword("running_mean", None), _keyword("running_var", None)]
    if d.states or d.role == "dropout":
        found.append(_keyword("training", True))
    if d.role == "dropout":
        found.append(_keyword("key", None))
    found += [_keyword("layout", d.layout)] if d.layout != "..." else []
    found += [_keyword("eps", d.eps)] if d.eps is not None else []
    found += [_keyword("mask", None)] if d.forward is None and d.pools is not None and d.role != "weight" else []
    # A functional call has no layer to keep running statistics: it is given them or not.
    found += [_keyword(o.name, o.default) for o in d.all_options if o.name != "running" and not _shapes_layer(d, o)]
    return Signature(found)


def bind_inputs(d: Definition, given: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """The further inputs of a layer's call by name. Raises UsageError for one too many or unknown."""
    names = [i.name for i in d.inputs if i.where != "function"]
    if len(given) > len(names):
        raise UsageError(f"{d.class_name}: takes {len(names)} inputs besides {d.subject}, got {len(given)}.")
    bound = dict(zip(names, given, strict=False))
    for name, value in named.items():
        if name not in names:
            raise unknown(f"input of {d.class_name}", name, names or ["none"])
        bound[name] = value
    for value in d.inputs:
        if value.required and value.name in names and bound.get(value.name) is None:
            raise UsageError(f"{d.class_name}: {value.name} is required: {value.doc}.")
    return bound


def _shapes_layer(d: Definition, option: Option) -> bool:
    """Whether an option only sizes a parameter that functions are not given, or only says how a layer starts."""
    chosen = isinstance(d.pools, Choice) and d.pools.option == option.name
    if d.start is not None and d.forward is None and option in d.options and option.factor is None and not chosen:
        return True
    layers = [p.axes.split() for p in d.params if p.where == "layer"]
    return option.factor is not None and any(option.factor in axes for axes in layers)


def sizes(d: Definition, options: Mapping[str, Any], channels: int | tuple[int, ...] | None) -> dict[str, int]:
    """The size of every axis name that channels and options tell. Raises UsageError for channels that cannot be."""
    if channels is None:
        return d.factor_sizes(options, None)
    parts = channels if isinstance(channels, tuple) else (channels,)
    whole = all(is_number(p, whole=True) and 1 <= p <= MOST_CHANNELS for p in parts)
    if not parts or not whole:
        raise UsageError(
            f"{d.class_name}: channels must be a whole number from 1 to {MOST_CHANNELS}, got {channels!r}."
        )
    names = parse_plain(d.layout).names
    if isinstance(channels, tuple) and "o" not in names and not d.layout.endswith(" c"):
        raise UsageError(f"{d.class_name}: channels must be one whole number, got {channels!r}.")
    main = names[0] if "o" in names else "c"
    count = int(parts[0]) if main == "o" else math.prod(map(int, parts))
    return {main: count, **d.factor_sizes(options, count)}


def layer_doc(d: Definition) -> str:
    """A layer's docstring."""
    head = f"{d.title}: {_what(d)}"
    args = [f"channels: how many channels (features) x has{'' if d.params or d.states else '; not needed'}."]
    args += [f"layout: the order of x's axes, by default {d.layout!r}."]
    options = _options(d, layer_signature(d).parameters)
    return "\n".join([head, "", "Args:", *(f"    {a}" for a in args), *options, "", f"Source: {d.source}"])


def function_doc(d: Definition) -> str:
    """A function's docstring."""
    lines = [
        f"{d.title}: {_what(d)}",
        "",
        "Args:",
        f"    {d.subject}: a floating-point array, {d.layout!r} unless layout= says otherwise.",
    ]
    described: tuple[Input | Param, ...] = (*d.inputs, *d.params)
    for spec in described:
        if spec.where == "layer":
            continue
        lines.append(f"    {spec.name}: axes {spec.axes or 'none (a scalar)'}; {spec.doc or 'left out where None'}.")
    lines += _options(d, function_signature(d).parameters)
    returns = "an array of the shape, dtype and memory layout of the input"
    if d.has_running:
        returns += "; with training=True and running statistics given (y, running_mean, running_var)"
    elif d.states:
        returns = f"(result, {', '.join(s.name for s in d.states)})"
    return "\n".join([*lines, "", f"Returns: {returns}.", "", f"Source: {d.source}"])


def _what(d: Definition) -> str:
    lines = ", ".join(d._texts())
    return f"what shares a statistic is `{lines}`." if lines else f"a method of the family {d.family}."


def _options(d: Definition, taken: Mapping[str, Parameter]) -> list[str]:
    options = [o for o in d.all_options if o.name in taken]
    return [f"    {o.name}: {o.doc}; {o.constraint}, by default {o.default!r}." for o in options]


def documented(function: Any, name: str, signature: Signature, doc: str, module: str) -> Any:
    """Dress a generated function with its name, signature and docstring."""
    function.__name__ = function.__qualname__ = name
    function.__signature__ = signature
    function.__doc__ = inspect.cleandoc(doc)
    function.__module__ = module
    return function
