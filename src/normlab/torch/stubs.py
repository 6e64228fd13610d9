"""Write `normlab/torch/__init__.pyi`, what editors and type checkers know of the layers: python -m normlab.torch.stubs

The layers are made from the definitions when they are first asked for; this writes them out as text.
"""

from __future__ import annotations

import inspect
from inspect import Parameter
from pathlib import Path
from typing import Any

import normlab.torch as face

from .. import registry
from ..constraints import Divides, Interval, OneOf
from ..definition import Definition

__all__ = ["FILE", "text"]

FILE = Path(__file__).with_name("__init__.pyi")
HEAD = '''"""Made from the definitions by python -m normlab.torch.stubs."""

from typing import Any, Literal

import torch
from torch import Tensor

from .call import call as call
from .call import normalize as normalize
from .layers import Layer as Layer
from .layers import build as build
from .layers import layer_class as layer_class
from .parametrize import joining as joining
'''
KNOWN = {
    "channels": "int | tuple[int, ...] | None", "layout": "str", "eps": "float", "affine": "bool", "bias": "bool",
    "device": "torch.device | str | int | None", "dtype": "torch.dtype | None", "module": "torch.nn.Module",
    "name": "str", "warmup": "int", "batch": "Tensor | None", "process_group": "Any",
}  # fmt: skip


def text() -> str:
    """The file's text."""
    acting = [d for d in registry.methods() if d.role != "input"]
    joined = [_joined(d) for d in acting if d.role == "weight"]
    return "\n".join([HEAD, *map(_layer, acting), *joined])


def _layer(d: Definition) -> str:
    held = [f"    {p.name}: torch.nn.Parameter" for p in d.params]
    held += [f"    {s.name}: Tensor" for s in d.states] + (["    num_batches_tracked: Tensor"] if d.has_running else [])
    inputs = [f"{i.name}: Tensor{'' if i.required else ' | None = ...'}" for i in d.inputs if i.where != "function"]
    mask = ["mask: Tensor | None = ..."] if d.forward is None and d.role != "weight" else []
    asked = ", ".join(["self", f"{d.subject}: Tensor", *inputs, *(["*", *mask] if mask else [])])
    lines = [f"class {d.class_name}(Layer):", f'    """{d.title}."""', "", *held]
    lines += _function("__init__", ["self", *_written(d, face.layer_class(d))], "None", "    ")
    lines += [f"    def forward({asked}) -> Tensor: ...  # type: ignore[override]"]
    lines += [f"    def __call__({asked}) -> Tensor: ..."]
    return "\n".join([*lines, ""])


def _joined(d: Definition) -> str:
    return "\n".join([*_function(d.name, _written(d, face.joining(d)), "torch.nn.Module", ""), ""])


def _function(name: str, shown: list[str], result: str, indent: str) -> list[str]:
    """One parameter a line."""
    return [f"{indent}def {name}(", *(f"{indent}    {p}," for p in shown), f"{indent}) -> {result}: ..."]


def _written(d: Definition, made: Any) -> list[str]:
    """The parameters of a class or function as its signature shows them, with their types."""
    options = {o.name: o for o in d.all_options}
    found, keyword = [], False
    for p in inspect.signature(made).parameters.values():
        if p.kind is Parameter.KEYWORD_ONLY and not keyword:
            found.append("*")
            keyword = True
        kind = _kind(options[p.name].constraint) if p.name in options else KNOWN[p.name]
        if p.default is None and "None" not in kind:
            kind += " | None"
        found.append(f"{p.name}: {kind}" + ("" if p.default is Parameter.empty else f" = {p.default!r}"))
    return found


def _kind(constraint: Any) -> str:
    """The type of an option's values."""
    if isinstance(constraint, OneOf):
        whole = set(map(type, constraint.values)) == {bool}
        return "bool" if whole else f"Literal[{', '.join(map(repr, constraint.values))}]"
    if isinstance(constraint, Interval):
        return ("int" if constraint.whole else "float") + (" | None" if constraint.none else "")
    return 'int | Literal["auto"]' if isinstance(constraint, Divides) else "Any"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8", newline="\n")
    print(FILE.name)
