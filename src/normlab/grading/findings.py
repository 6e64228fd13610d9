"""What a grading finds, as it finds it: checks, faults, notes. Each line is written down at once.

The process that runs somebody's code may end at any moment; what was found until then, and what was being asked, is
what the report is made of.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["DOUBLE", "SINGLE", "Findings", "difference"]

# Two correct implementations in float64 differ by the rounding of sums of at most 2^9 elements (2^9 units of 2^-53 if
# all fall the same way), with means up to 2^4 spreads: 2^-40, and sixteen times as much for what comes after.
DOUBLE = 2.0**-36
# The same in float32, where roundings do not all fall the same way: 2^-24, times 2^4 for the mean and 2^6 for the rest.
SINGLE = 2.0**-14


class Findings:
    """Collects what is found, and hands each line to `write`."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self.faults: dict[str, Mapping[str, Any]] = {}

    def _put(self, kind: str, **fields: Any) -> None:
        self._write(json.dumps({"kind": kind, **fields}, allow_nan=False))

    def asking(self, what: str, **fields: Any) -> None:
        """Say what is asked next."""
        self._put("asking", what=what, fields=_plain(fields))

    def check(
        self, name: str, passed: bool | None, *, worst: float | None = None, tolerance: float | None = None,
        **fields: Any,
    ) -> None:  # fmt: skip
        """One check is done; `passed` None: there was nothing to judge."""
        worst = None if worst is None or not np.isfinite(worst) else float(worst)
        self._put("check", name=name, passed=passed, worst=worst, tolerance=tolerance, fields=_plain(fields))

    def fault(self, key: str, evidence: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """A fault, once for each key."""
        if key not in self.faults:
            self.faults[key] = fields
            self._put("fault", key=key, fields=_plain(fields), evidence=_plain(evidence or {}))

    def note(self, key: str, **fields: Any) -> None:
        """What the reader must know, and is no fault."""
        self._put("note", key=key, fields=_plain(fields))

    def convention(self, key: str, **fields: Any) -> None:
        """A difference that is another library's way, and no fault."""
        self._put("convention", key=key, fields=_plain(fields))

    def refused(self, key: str, **fields: Any) -> None:
        """The question could not be asked."""
        self._put("refused", key=key, fields=_plain(fields))

    def defect(self, what: str) -> None:
        """The grader itself failed."""
        self._put("defect", what=what)

    def subject(self, **fields: Any) -> None:
        """What kind of thing is graded."""
        self._put("subject", fields=_plain(fields))

    def done(self) -> None:
        """Nothing follows."""
        self._put("done")


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in fields.items()}


def _value(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, tuple | list):
        return [_value(v) for v in value]
    return value if isinstance(value, str | int | bool | None) else str(value)


def difference(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest |got - wanted| as a share of the largest |wanted|; infinite where something is not finite."""
    if got.shape != wanted.shape:
        return float("inf")
    with np.errstate(all="ignore"):
        d = np.abs(got.astype(np.float64) - wanted)
        scale = float(np.max(np.abs(wanted), initial=0.0)) or 1.0
        worst = float(np.max(d, initial=0.0)) / scale
    return worst if np.isfinite(worst) else float("inf")
