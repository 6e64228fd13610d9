"""What SPEC.toml says: a name, a grid of lists, fixed values; read, checked, and laid out as numbered trials."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normlab.errors import ReadWriteError, UsageError, near, unknown

__all__ = ["MOST_TRIALS", "Spec", "Trial", "read_spec"]

Check = Callable[[Mapping[str, Any]], Mapping[str, Any]]

KEYS = ("name", "grid", "fixed")
MOST_TRIALS = 1000
"""More than that is asked for by number: a list too many multiplies the hours."""
MOST_SEEDS = 1000  # as `train` has it


@dataclass(frozen=True)
class Trial:
    """One point of the grid: its number from 1 on, all its parameters, and a key made of those."""

    number: int
    key: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Spec:
    """A checked specification; `source` names it in errors."""

    name: str
    grid: Mapping[str, Sequence[Any]]
    fixed: Mapping[str, Any]
    source: str = "sweep"

    @classmethod
    def of(cls, content: Mapping[str, Any], source: str = "sweep") -> Spec:
        """Check what a file or a caller gives. Raises UsageError naming what was required and what came."""
        for key in content:
            if key not in KEYS:
                raise unknown(f"key of {source}:", key, KEYS)
        name = content.get("name")
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f"{source}: name must be a text that is not empty, got {name!r}.")
        grid, fixed = _table(content, "grid", source), _table(content, "fixed", source)
        if "seeds" in grid or "seeds" in fixed:
            _spread_seeds(grid, fixed, source)
        if not grid:
            hint = "Such as: lr = [0.1, 0.3]"
            raise UsageError(f"{source}: [grid] must name at least one argument, got none.", hint=hint)
        for key, values in grid.items():
            _check_list(key, values, source)
        for key, value in fixed.items():
            _check_fixed(key, value, grid, source)
        return cls(name, grid, fixed, source)

    @property
    def size(self) -> int:
        """How many trials the grid has."""
        return math.prod(len(values) for values in self.grid.values())

    def to_dict(self) -> dict[str, Any]:
        """What is kept in the results file and compared when a sweep is continued."""
        return {"name": self.name, "grid": {k: list(v) for k, v in self.grid.items()}, "fixed": dict(self.fixed)}

    def trials(self, check: Check, most: int = MOST_TRIALS) -> list[Trial]:
        """The grid in row-major order, the last argument of the spec running fastest.

        Args:
            check: fills in and validates the parameters of one trial.
            most: how many trials are allowed.

        Raises:
            UsageError: more trials than that, parameters that `check` refuses, two trials that are the same.
        """
        if self.size > most:
            message = f"{self.source}: [grid] must have at most {most:,} trials, got {self.size:,}."
            raise UsageError(message, hint=f"If all are meant: --most {self.size}")
        found: dict[str, Trial] = {}
        for number, values in enumerate(itertools.product(*self.grid.values()), 1):
            given = dict(zip(self.grid, values, strict=True))
            trial = _trial(number, check({**self.fixed, **given}))
            if trial.key in found:
                raise UsageError(f"{self.source}: trials {found[trial.key].number} and {number} are the same: {given}.")
            found[trial.key] = trial
        return list(found.values())


def read_spec(path: str | os.PathLike[str]) -> Spec:
    """Read a specification. Raises ReadWriteError: the file; UsageError: what stands in it."""
    file = Path(path)
    try:
        text = file.read_bytes().decode("utf-8-sig")
        return Spec.of(tomllib.loads(text), str(path))
    except FileNotFoundError:
        close = near(file.name, [one.name for one in file.parent.glob("*.toml")])
        hint = f"Did you mean {', '.join(str(file.with_name(one)) for one in close)}?" if close else None
        raise ReadWriteError(f"{path}: there is no such file.", hint=hint) from None
    except OSError as problem:
        raise ReadWriteError(f"{path}: cannot be read: {problem.strerror or problem}.") from None
    except UnicodeDecodeError as problem:
        raise UsageError(f"{path}: holds no text in UTF-8: {problem.reason} at byte {problem.start}.") from None
    except tomllib.TOMLDecodeError as problem:  # its text says line and column
        raise UsageError(f"{path}: holds no TOML: {problem}.") from None


def _table(content: Mapping[str, Any], key: str, source: str) -> dict[str, Any]:
    table = content.get(key, {})
    if not isinstance(table, Mapping):
        raise UsageError(f"{source}: {key} must be a table, got {table!r}.", hint=f"Write it as [{key}].")
    return dict(table)


def _spread_seeds(grid: dict[str, Any], fixed: dict[str, Any], source: str) -> None:
    """`seeds = N`, as `train` has it: a trial for each of N seeds, the first of them `seed`."""
    hint = "Write seeds = 3 in [fixed], or list them: seed = [0, 1, 2] in [grid]."
    if "seeds" in grid or "seed" in grid:
        raise UsageError(f"{source}: seed in [grid], or seeds in [fixed]: one of them is required.", hint=hint)
    many, first = fixed.pop("seeds"), fixed.pop("seed", 0)
    whole = all(type(number) is int for number in (many, first))
    if not whole or not 1 <= many <= MOST_SEEDS or first < 0:
        wanted = f"seeds must be one whole number from 1 to {MOST_SEEDS} in [fixed]"
        raise UsageError(f"{source}: {wanted}, got {many!r}.", hint=hint)
    grid["seed"] = list(range(first, first + many))


def _check_list(key: str, values: Any, source: str) -> None:
    if not isinstance(values, list | tuple):
        hint = f"Write {key} = [{json.dumps(values, default=str)}], or move it to [fixed]."
        raise UsageError(f"{source}: {key} in [grid] must be a list, got {values!r}.", hint=hint)
    if not values:
        raise UsageError(f"{source}: {key} in [grid] must have at least one value, got an empty list.")
    met = set()
    for value in values:
        _check_scalar(key, value, source)
        if (type(value), value) in met:  # 1, 1.0 and true are three values
            raise UsageError(f"{source}: {key} in [grid] has {value!r} twice.")
        met.add((type(value), value))


def _check_fixed(key: str, value: Any, grid: Mapping[str, Any], source: str) -> None:
    if isinstance(value, list | tuple):
        hint = "Move it to [grid]: a trial for each of its values."
        raise UsageError(f"{source}: {key} in [fixed] must be one value, got the list {value!r}.", hint=hint)
    if key in grid:
        raise UsageError(f"{source}: {key} stands in [grid] and in [fixed]; one of them is required.")
    _check_scalar(key, value, source)


def _check_scalar(key: str, value: Any, source: str) -> None:
    if not isinstance(value, str | int | float):  # a bool is an int
        raise UsageError(f"{source}: {key} must be a text, a number, true or false, got {value!r}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{source}: {key} must be finite, got {value!r}.")


def _trial(number: int, parameters: Mapping[str, Any]) -> Trial:
    """A key from all the parameters, so that it stays when trials are numbered anew, and changes with any default."""
    text = json.dumps(parameters, sort_keys=True, ensure_ascii=False, default=str)
    return Trial(number, hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16], json.loads(text))
