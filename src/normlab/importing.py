"""An object of the user's by its name, `package.module:name`, as the command line says it."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from .errors import NormlabError, UsageError, near
from .language import translate

__all__ = ["named"]


def named(name: str, who: str) -> Any:
    """What `package.module:name` names; modules of the current folder are found too, as `python -m` does it.

    `who` asks for it, in errors. Raises UsageError: no such module or name, or a module that fails (with its reason).
    """
    path, colon, attribute = name.partition(":")
    if not (path and colon and attribute):
        raise UsageError(translate("{who}: 'module:name' is required, got {came}.", who=who, came=repr(name)))
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    module = _imported(path, who)
    if hasattr(module, attribute):
        return getattr(module, attribute)
    close = near(attribute, (n for n in vars(module) if not n.startswith("_")))
    hint = translate("Did you mean {names}?", names=", ".join(close)) if close else None
    raise UsageError(translate("{who}: module {path} has no {name}.", who=who, path=path, name=attribute), hint=hint)


def _imported(path: str, who: str) -> Any:
    try:
        return importlib.import_module(path)
    except NormlabError:
        raise
    except Exception as problem:  # importing runs the user's code, which may fail in any way
        reason = f"{type(problem).__name__}: {problem}"
        message = translate("{who}: module {name} cannot be imported: {reason}", who=who, name=path, reason=reason)
        raise UsageError(message) from problem
