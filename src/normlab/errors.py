"""The exceptions of normlab, as a tree; each carries the exit code that the command line returns for it.

NormlabError
  UsageError (2, also ValueError)     UnknownNameError, PatternError, ShapeError, DtypeError
  MissingExtraError (3, also ImportError)
  NonFiniteError (4, also ArithmeticError)
  ReadWriteError (5, also OSError)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "DtypeError",
    "MissingExtraError",
    "NonFiniteError",
    "NormlabError",
    "PatternError",
    "ReadWriteError",
    "ShapeError",
    "UnknownNameError",
    "UsageError",
    "install_line",
    "missing_extra",
    "near",
    "unknown",
]


class NormlabError(Exception):
    """Anything that normlab refuses, with the exit code `code` and an optional `hint` on what to do."""

    code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"


class UsageError(NormlabError, ValueError):
    """An argument that cannot be used."""


class UnknownNameError(UsageError, LookupError):
    """A name that nothing has; the message lists the nearest names."""


class PatternError(UsageError):
    """A line of notation that cannot be read; the message says where and why."""


class ShapeError(UsageError):
    """An array whose shape does not fit."""


class DtypeError(UsageError, TypeError):
    """An array whose element type cannot be normalized."""


class MissingExtraError(NormlabError, ImportError):
    """A package that an optional part needs is not installed."""

    code = 3


class NonFiniteError(NormlabError, ArithmeticError):
    """NaN or infinity where finite numbers were asked for."""

    code = 4


class ReadWriteError(NormlabError, OSError):
    """A file that cannot be read or written."""

    code = 5

    def __str__(self) -> str:  # OSError's own would print its arguments as a tuple
        return NormlabError.__str__(self)


def near(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The `count` of `names` that look most like `name`, best first; empty where none is near."""
    known = list(names)
    lowered = {n.lower(): n for n in reversed(known)}
    found = difflib.get_close_matches(name.lower().replace("-", "_"), lowered, n=count, cutoff=0.5)
    return [lowered[n] for n in found]


def unknown(kind: str, name: str, names: Iterable[str]) -> UnknownNameError:
    """The error for a `name` that is no `kind` (method, preset ...), with the nearest or, failing that, all names."""
    known = list(names)
    close = near(name, known)
    hint = f"Did you mean {', '.join(close)}?" if close else f"Known: {', '.join(known)}."
    return UnknownNameError(f"unknown {kind} {name!r}.", hint=hint)


def install_line(extra: str) -> str:
    """The command that installs `extra` for this copy of normlab: normlab is on no index, so it is a checkout."""
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file() and (root / "constraints.txt").is_file():
        return f'pip install -c constraints.txt -e ".[{extra}]"'
    return f'pip install "normlab[{extra}] @ file:///path/to/your/checkout"'


def missing_extra(extra: str, module: str) -> MissingExtraError:
    """The error for a missing `module`: its message is the line that installs the `extra` which brings it."""
    return MissingExtraError(f"{module} is not installed.", hint=f"Install it with: {install_line(extra)}")
