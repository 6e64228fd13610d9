"""Grades in this process, for the many implementations of the tests, and keeps the list of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from normlab.experiments.repeatable import by_the_formula
from normlab.grading.examining import examine
from normlab.grading.findings import Findings
from normlab.grading.loading import Target, applied
from normlab.grading.problems import Failed, Refused
from normlab.grading.reading import read

__all__ = ["CASES", "Case", "Found", "graded", "planted", "right"]


@dataclass(frozen=True)
class Case:
    """An implementation, what it should be, and what is to be found."""

    function: Any
    as_: str
    keys: tuple[str, ...]
    backward: str | None = None
    conventions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.function.__module__}.{self.function.__name__}-{self.as_}"


CASES: list[Case] = []


def planted(as_: str, *keys: str, backward: str | None = None) -> Callable[[Any], Any]:
    """An implementation of `as_` with the mistakes `keys`."""

    def keep(function: Any) -> Any:
        CASES.append(Case(function, as_, keys, backward))
        return function

    return keep


def right(as_: str, *, backward: str | None = None, conventions: Sequence[str] = ()) -> Callable[[Any], Any]:
    """A right implementation of `as_`, and the conventions of other libraries in it."""

    def keep(function: Any) -> Any:
        CASES.append(Case(function, as_, (), backward, tuple(conventions)))
        return function

    return keep


@dataclass(frozen=True)
class Found:
    """What a grading found, by keys; `lines` are the findings as they were written."""

    faults: list[str]
    conventions: list[str]
    notes: list[str]
    lines: list[dict[str, Any]]


def graded(function: Any, as_: str = "bn", backward: Any = None) -> Found:
    """Grade here and now, as the other process would."""
    lines: list[dict[str, Any]] = []
    findings = Findings(lambda line: lines.append(json.loads(line)))
    definition, given = read(as_)
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    try:
        with by_the_formula():
            examine(Target(function.__name__, applied(function), backward, file), definition, given, findings)
    except (Failed, Refused) as problem:
        findings.fault(problem.key, **problem.fields)
    keys = {kind: [line["key"] for line in lines if line["kind"] == kind] for kind in ("fault", "convention", "note")}
    return Found(keys["fault"], keys["convention"], keys["note"], lines)
