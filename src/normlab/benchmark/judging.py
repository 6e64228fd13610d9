"""From samples to figures: times, ratios with their intervals, what is void, and how far each output is off."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .suite import Case, tier_of
from .timing import interval, low, widest

__all__ = ["error_of", "geometric", "is_another_function", "row"]

# Two thread pools on the same cores can slow each other down many times over; then the comparison says nothing.
MOST_DISTURBED = 1.2
# Half of the largest value is no rounding, not even of a sum of bfloat16 that stood still.
ANOTHER_FUNCTION = 0.5
UNIT = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def error_of(found: Any, right: Any, dtype: str) -> dict[str, float | None]:
    """The largest error of y and dx, in eps of the dtype times their largest value; None where not finite."""
    pairs = {"y": (found.y, right.y), "dx": (found.dx, right.dx)}
    return {n: _units(a, b, dtype) for n, (a, b) in pairs.items() if a is not None and b is not None}


def is_another_function(error: Mapping[str, float | None] | None, dtype: str) -> bool:
    """Whether an output is so far off that something else was computed, whose time says nothing."""
    y = None if error is None else error.get("y")
    return y is not None and y * UNIT[dtype] > ANOTHER_FUNCTION


def _units(found: np.ndarray, right: np.ndarray, dtype: str) -> float | None:
    if found.size == 0:
        return 0.0
    off = float(np.max(np.abs(np.asarray(found, np.float64) - right)))
    scale = UNIT[dtype] * max(float(np.max(np.abs(right))), np.finfo(np.float64).tiny)
    return off / scale if math.isfinite(off) else None


def row(together: Mapping[str, Any], alone: Mapping[str, float], floor_bytes: int) -> dict[str, Any]:
    """The figures of a case, from the samples taken in turns and each contestant's time alone (seconds)."""
    case = Case(**{**together["case"], "shape": tuple(together["case"]["shape"])})
    samples = {n: np.array(s) for n, s in together["samples"].items()}
    reference = together["against_itself"]
    entries = {}
    for name, own in samples.items():
        if name in ("again", "clone"):
            continue
        entry: dict[str, Any] = {"us": 1e6 * low(own), "alone_us": _micro(alone.get(name))}
        entry["disturbed"] = entry["alone_us"] is not None and entry["us"] > MOST_DISTURBED * entry["alone_us"]
        entry["error_units"] = together["errors"].get(name)
        if reference is not None and name != reference:
            below, middle, above = interval(own, samples[reference])
            entry["over_normlab"] = {"low": below, "ratio": middle, "high": above}
        entries[name] = entry
    disturbed = entries.get(reference or "", {}).get("disturbed", False)
    for entry in entries.values():
        entry["void"] = bool(disturbed or entry["disturbed"])
    return {
        **case.to_dict(), "shape": list(case.shape), "tier": tier_of(case.shape, case.dtype), "reference": reference,
        "contestants": entries, "refused": dict(together["refused"]), "floor_bytes": floor_bytes,
        "clone_us": 1e6 * low(samples["clone"]) if "clone" in samples else None,
        "kernel_us": _micro(together.get("inside_kernels")),
        "width": widest(samples["again"], samples[reference]) if reference in samples and "again" in samples else None,
    }  # fmt: skip


def _micro(seconds: float | None) -> float | None:
    return None if seconds is None else 1e6 * seconds


def geometric(values: Iterable[float]) -> float | None:
    """The geometric mean; None of nothing."""
    found: Sequence[float] = [v for v in values if v > 0]
    return math.exp(sum(map(math.log, found)) / len(found)) if found else None
