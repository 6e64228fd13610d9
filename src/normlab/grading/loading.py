"""Finds what is to be graded: in a file, which is run for it, in an installed module, or given as an object."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from .problems import Refused, failure

__all__ = ["Target", "applied", "loaded", "names_used", "wants_torch"]

NEAR = 3  # names that are suggested


@dataclass(frozen=True)
class Target:
    """What is graded: its name, the object, its backward where one was named, and the file that holds it."""

    name: str
    function: Any
    backward: Any
    file: str | None


def loaded(task: Mapping[str, Any]) -> Target:
    """The target of a task: `file` or `module`, `name`, `backward`.

    Raises Refused: no such name, or nothing that can be called. Raises Failed: their code fails while it is run.
    """
    file = task.get("file")
    module = _run(file) if file else importlib.import_module(task["module"])
    file = file or getattr(module, "__file__", None)
    function = _named(module, task["name"])
    backward = None if task.get("backward") is None else _named(module, task["backward"])
    return Target(task["name"], function, backward, file)


def _run(file: str) -> ModuleType:
    """Run a file as a module: a `main` guard in it is not entered, and it may import what lies beside it."""
    name = os.path.splitext(os.path.basename(file))[0]
    name = name if name.isidentifier() and name not in sys.modules else "graded_file"
    sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
    sys.argv = [file]
    module = ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module
    try:
        with open(file, "rb") as stream:
            code = compile(stream.read(), file, "exec", dont_inherit=True)
        exec(code, module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # their code: it may raise anything, SystemExit too
        raise failure(problem, file) from None
    return module


def _named(module: ModuleType, name: str) -> Any:
    """What the dotted `name` in `module` is. Raises Refused with the nearest names."""
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            own = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
            close = difflib.get_close_matches(name, own, n=NEAR, cutoff=0.4) or own[:NEAR]
            raise Refused("no_such_function", name=name, near=", ".join(close))
        found = getattr(found, part)
    if not callable(found):
        raise Refused("not_callable", name=name, came=type(found).__name__)
    return applied(found)


def applied(found: Any) -> Any:
    """What is called: of torch's autograd functions `apply`, with the parameters of their forward."""
    torch = sys.modules.get("torch")
    if torch is None or not (isinstance(found, type) and issubclass(found, torch.autograd.Function)):
        return found
    made: Any = found
    parameters = list(inspect.signature(made.forward).parameters.values())
    signature = inspect.Signature(parameters[1:])  # without the context

    def apply(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return made.apply(*bound.args)

    apply.__signature__ = signature  # type: ignore[attr-defined]
    apply.__name__ = found.__name__
    return apply


def wants_torch(function: Any) -> bool | None:
    """Whether an implementation computes with torch: by what its code names, then by what its module imports."""
    if sys.modules.get("torch") is None:
        return False
    code = _codes(function)
    spaces = [c.__globals__ for c in code]
    if isinstance(function, type) and any(base.__module__.startswith("torch.") for base in function.__mro__):
        return True
    used = {n for c in code for n in _names(c.__code__)}
    values = [space[n] for space in spaces for n in used if n in space]
    tops = {_top(value) for value in values}
    if "torch" in tops or "numpy" in tops:
        return None if tops >= {"torch", "numpy"} else "torch" in tops
    imported = {_top(v) for space in spaces for v in space.values() if isinstance(v, ModuleType)}
    return True if "torch" in imported and "numpy" not in imported else None


def names_used(function: Any) -> set[str]:
    """The names that the code of an implementation reads."""
    return {n for f in _codes(function) for n in _names(f.__code__)}


def _codes(function: Any) -> list[Any]:
    """The plain functions behind it: itself, or a class's own methods."""
    if isinstance(function, type):
        return [f for base in function.__mro__[:-1] for f in vars(base).values() if inspect.isfunction(f)]
    function = inspect.unwrap(function)
    function = getattr(function, "func", function)  # functools.partial
    function = getattr(function, "__func__", function)
    return [function] if inspect.isfunction(function) else []


def _names(code: Any) -> set[str]:
    """The names that code reads, in nested functions too."""
    inner = [c for c in code.co_consts if inspect.iscode(c)]
    return set(code.co_names).union(*(_names(c) for c in inner)) if inner else set(code.co_names)


def _top(value: Any) -> str:
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "") or ""
    return str(name).partition(".")[0]
