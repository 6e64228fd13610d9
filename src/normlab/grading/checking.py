"""`check`: reads what is asked, lets another process grade it, and makes the document of what came back."""

from __future__ import annotations

import inspect
import os
import sys
import time
from typing import Any

from ..definition import Definition
from ..errors import ReadWriteError, UsageError
from ..language import N_, translate
from ..result import Result
from .document import LIMIT_S, written
from .loading import Target, applied
from .process import run
from .reading import read

__all__ = ["LIMIT_S", "Grade", "check", "found"]

MOST_LIMIT_S = 86_400.0


class Grade(Result):
    """A finished grading: `passed`, `faults`, and the document behind them."""

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong; another library's convention is not wrong."""
        return bool(self._document["passed"])

    @property
    def faults(self) -> list[dict[str, Any]]:
        """The faults: key, sentence in both languages, the line that mends it, evidence."""
        return list(self.to_dict()["faults"])

    @property
    def exit_code(self) -> int:
        """0 right, 1 where it has a fault."""
        return 0 if self.passed else 1


def check(
    function: Any, as_: str | Definition = "batch_norm", backward: Any = None, *, timeout: float = LIMIT_S
) -> Grade:
    """Grade somebody's own implementation of a method, and name what is wrong with it.

    Args:
        function: a function or class, or text "FILE.py:NAME". It is called by its parameters' names: the first is x;
            then gamma|weight, beta|bias, eps, momentum, running_mean, running_var, training|mode, and the method's
            options; what has a default may be left out. A class is built with the channels and called.
        as_: a method's name, with options if you like ("gn:groups=4"), or a line of notation.
        backward: the function that gives dx (and the gradients of weight and bias, in any order) for dy and the second
            of the forward's tuple; a name where `function` is text. A class's own method `backward` is found. What
            torch differentiates by itself is compared too.
        timeout: seconds after which it is stopped, 20 by default.
    Returns: a `Grade`. The code runs in a process of its own: a fresh one where it can be found by file or by name,
        else a fork of this one (where the system has no fork, a thread).
    Raises: UsageError for what cannot be graded, ReadWriteError for a file that cannot be read.
    Numerics: outputs in float64 must agree to 2**-36 of the largest, float32 to 2**-14; gradients with central
        differences to 2**-20.
    Example:
        >>> import numpy as np
        >>> def norm(x, gamma, beta, eps=1e-5):
        ...     return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) + beta
        >>> check(norm).passed
        True
    """
    began = time.perf_counter()
    definition, given = read(as_)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= MOST_LIMIT_S:
        message = N_("check: timeout must be a number of seconds above 0 and at most {most}, got {came}.")
        raise UsageError(translate(message, most=f"{MOST_LIMIT_S:g}", came=repr(timeout)))
    task, target, shown = _task(function, as_, backward)
    ended = run(task, float(timeout), target)
    settings = {
        "function": shown, "as": as_ if isinstance(as_, str) else definition.name,
        "backward": _name_of(backward), "timeout": float(timeout),
    }  # fmt: skip
    document = written(ended, definition, given, settings, task.get("file"))
    return Grade(document | {"wall_s": round(time.perf_counter() - began, 6)})


def found(function: str, as_: str) -> None:
    """Raise what `check` would raise before it runs anything."""
    read(as_)
    _file_of(function)


def _name_of(function: Any) -> str | None:
    return None if function is None else function if isinstance(function, str) else getattr(function, "__name__", "?")


def _task(function: Any, as_: Any, backward: Any) -> tuple[dict[str, Any], Target | None, str]:
    """What the other process is told; with the object itself where it cannot be found by name; and how it is shown."""
    base = {"as": as_, "path": [p or os.getcwd() for p in sys.path]}
    if isinstance(function, str):
        file, name = _file_of(function)
        if backward is not None and not isinstance(backward, str):
            message = N_("check: with a file, backward is the name of a function in it, got {came}.")
            raise UsageError(translate(message, came=type(backward).__name__))
        return {**base, "file": file, "name": name, "backward": backward}, None, function
    if not callable(function):
        message = N_("check: a function, a class, or 'FILE.py:FUNCTION' is required, got {came}.")
        raise UsageError(translate(message, came=type(function).__name__))
    if backward is not None and not callable(backward):
        message = N_("check: backward must be a function, got {came}.")
        raise UsageError(translate(message, came=type(backward).__name__))
    name = getattr(function, "__qualname__", None) or type(function).__name__
    module = _importable(function)
    inside = backward is None or _importable(backward) == module
    if module is not None and inside and isinstance(as_, str):
        named = None if backward is None else backward.__qualname__
        return {**base, "module": module, "name": name, "backward": named}, None, f"{module}.{name}"
    return base, Target(name, applied(function), backward, _source(function)), name


def _importable(function: Any) -> str | None:
    """The module in which a fresh process finds the very same object; None where there is none."""
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", None) or ""
    if not name or "<" in name or module in ("", "__main__", "builtins") or inspect.ismethod(function):
        return None
    found = sys.modules.get(module)
    file = getattr(found, "__file__", None)
    spec = getattr(found, "__spec__", None)
    if file is None or spec is None or spec.name != module or not _on_the_path(module, spec):
        return None
    for part in name.split("."):
        found = getattr(found, part, None)
    return module if found is function else None


def _on_the_path(module: str, spec: Any) -> bool:
    """Whether an import by that name leads to that file."""
    import importlib.util

    try:
        other = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return False
    return other is not None and other.origin == spec.origin


def _source(function: Any) -> str | None:
    try:
        return inspect.getsourcefile(inspect.unwrap(function))
    except (TypeError, OSError):
        return None


def _file_of(text: str) -> tuple[str, str]:
    """File and name of "FILE.py:NAME". Raises UsageError, ReadWriteError."""
    file, colon, name = text.rpartition(":")
    if not colon or not name or not file or "/" in name or "\\" in name:
        message = N_("check: 'FILE.py:FUNCTION' is required, got {came}.")
        raise UsageError(translate(message, came=repr(text)))
    if not os.path.exists(file):
        raise ReadWriteError(translate(N_("{path}: there is no such file."), path=file))
    if os.path.isdir(file):
        raise ReadWriteError(translate(N_("{path}: is a folder; a file is required."), path=file))
    try:
        with open(file, "rb") as stream:
            stream.read(1)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise ReadWriteError(translate(N_("{path}: cannot be read: {reason}."), path=file, reason=reason)) from problem
    return os.path.abspath(file), name
