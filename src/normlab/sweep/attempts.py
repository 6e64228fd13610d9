"""One attempt at a trial, wherever it runs: call the function, and make whatever happens an outcome."""

from __future__ import annotations

import functools
import importlib
import math
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any

__all__ = ["DIED", "Outcome", "Task", "attempt", "function_named"]

DIED = "the worker died"
"""The same words on every engine and for every cause, as they stand in the final table; the cause is kept apart."""
SECONDS = "seconds"
"""The metric that no two runs share: it belongs to the attempt, not to the result."""


@dataclass(frozen=True)
class Task:
    """What an engine is given: the trial's number, its parameters, and where it may keep a checkpoint."""

    trial: int
    parameters: Mapping[str, Any]
    checkpoint: str


@dataclass(frozen=True)
class Outcome:
    """What became of it: metrics, or an error; `cause` is a traceback, or how the worker ended."""

    metrics: Mapping[str, Any] | None
    error: str | None = None
    cause: str | None = None
    seconds: float | None = None
    died: bool = False
    worker: str = field(default="")


def attempt(name: str, parameters: Mapping[str, Any], checkpoint: str) -> dict[str, Any]:
    """Call the trial function `name` ("module:function"): the fields of an Outcome, never an exception."""
    began = time.perf_counter()
    path = Path(checkpoint) if Path(checkpoint).parent.is_dir() else None  # another machine may not see the folder
    try:
        metrics = _flat(function_named(name)(parameters, checkpoint=path))
    except (Exception, SystemExit) as problem:
        error = f"{type(problem).__name__}: {problem}"
        seconds = time.perf_counter() - began
        return {"metrics": None, "error": error, "cause": traceback.format_exc(), "seconds": seconds}
    return {"seconds": metrics.pop(SECONDS, time.perf_counter() - began), "metrics": metrics}


@functools.cache
def function_named(name: str) -> Any:
    """The function behind "module:function"."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _flat(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Plain numbers and texts, which every engine carries alike; what is not finite becomes None."""
    found: dict[str, Any] = {}
    for name, value in metrics.items():
        if value is None or isinstance(value, str | bool):
            found[name] = value
        elif isinstance(value, Integral):
            found[name] = int(value)
        elif isinstance(value, Real):
            found[name] = float(value) if math.isfinite(value) else None
        else:
            raise TypeError(f"a metric must be a number or a text, {name} is {type(value).__name__}")
    return found
