"""Corners of the forward pass: float32, a constant set, a mean far above the spread, inputs that stay as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..sharing import shares
from .asked import Answer, Asked
from .findings import SINGLE, Findings, difference
from .forward import Judged, Subject, ask
from .problems import Failed
from .truth import draw, is_recipe, truth

__all__ = ["examine"]

CONSTANT = 0.7  # no binary fraction: its mean is not exactly itself
# mean / spread, and what a mean that is rounded once may cost: the ratio times the unit, times 2^6 for the sum's own
# rounding. E[x^2] - E[x]^2 costs the square of the ratio: 1e12 units and 1e8 units.
FAR = {"float64": (1e6, 2.0**-26), "float32": (1e4, 2.0**-5)}


def examine(subject: Subject, judged: Judged, settings: dict[str, Any], findings: Findings) -> None:
    """All corners, in the first frame that the implementation takes."""
    _kept(judged, findings)
    _repeatable(subject, judged, settings, findings)
    _dtype(subject, judged, settings, findings)
    if is_recipe(judged.frame.definition) and judged.frame.definition.forward is None:
        if judged.frame.definition.eps is not None:  # without one nobody says what 0 / 0 is
            _constant(subject, judged, settings, findings)
        if judged.frame.definition.centre:
            _far(subject, judged, settings, findings)


def _eps(judged: Judged) -> float:
    return 0.0 if judged.explanation is None else judged.explanation.eps


def _asked(subject: Subject, asked: Asked, name: str, findings: Findings) -> tuple[Asked, Answer] | None:
    """The answer to one more question; an implementation that fails at it has a fault."""
    findings.asking(name, shape=asked.x.shape)
    try:
        return ask(subject, asked)
    except Failed as problem:
        findings.check(name, False)
        findings.fault(problem.key, {"check": name}, **problem.fields)
        return None


def _kept(judged: Judged, findings: Findings) -> None:
    """Whether x, weight and bias are what they were."""
    names = sorted({name for _, answer in judged.pairs for name in answer.changed})
    findings.check("inputs", not names)
    if names:
        findings.fault("input_changed", names=", ".join(names))
    if any(answer.is_list for _, answer in judged.pairs):
        findings.fault("returns_list")


def _repeatable(subject: Subject, judged: Judged, settings: dict[str, Any], findings: Findings) -> None:
    first = judged.pairs[0][1]
    again = _asked(subject, draw(judged.frame, seed=1, **settings), "repeatable", findings)
    if again is not None:
        same = np.array_equal(first.y, again[1].y, equal_nan=True)
        findings.check("repeatable", same, worst=difference(again[1].y, first.y.astype(np.float64)), tolerance=0.0)
        if not same:
            findings.fault("not_repeatable")


def _dtype(subject: Subject, judged: Judged, settings: dict[str, Any], findings: Findings) -> None:
    """float32 in, float32 out, and right to its precision."""
    found = _asked(subject, draw(judged.frame, seed=1, dtype="float32", **settings), "dtype", findings)
    if found is None:
        return
    asked, answer = found
    came = str(answer.y.dtype)
    wide = str(judged.pairs[0][1].y.dtype)
    findings.check("dtype", came == "float32" and wide == "float64", came=came)
    if answer.is_list:
        return
    if came != "float32":
        findings.fault("wrong_dtype", {"given": "float32", "came": came}, given="float32", came=came)
    elif wide != "float64":
        findings.fault("wrong_dtype", {"given": "float64", "came": wide}, given="float64", came=wide)
    if judged.is_right:
        off = difference(answer.y, truth(asked, _eps(judged)))
        findings.check("float32", off <= SINGLE, worst=off, tolerance=SINGLE)
        if off > SINGLE:
            findings.fault("float32_lost", {"worst": off})


def _constant(subject: Subject, judged: Judged, settings: dict[str, Any], findings: Findings) -> None:
    """A set without spread gives the bias: finite, and not the noise of its mean's rounding."""
    asked = draw(judged.frame, seed=4, **settings)
    numbers = shares(judged.frame.pattern, asked.x.shape, **judged.frame.given())
    value = CONSTANT if judged.frame.definition.centre else 0.0
    found = _asked(subject, replace(asked, x=np.where(numbers == 0, value, asked.x)), "constant", findings)
    if found is None:
        return
    if not judged.is_right and np.isfinite(found[1].y).all():
        findings.check("constant", None)  # what is wrong everywhere is wrong here too
        return
    wanted = truth(found[0], _eps(judged))
    off = difference(found[1].y, wanted)
    findings.check("constant", off <= SINGLE, worst=off, tolerance=SINGLE)
    if off > SINGLE and not {"eps_missing", "eps_added_to_quotient", "not_finite"} & findings.faults.keys():
        finite = bool(np.isfinite(found[1].y).all())
        key = "constant_noise" if finite else "constant_not_finite"
        findings.fault(key, {"worst": off}, **judged.frame.pooled(asked.x.shape))


def _far(subject: Subject, judged: Judged, settings: dict[str, Any], findings: Findings) -> None:
    """A mean far above the spread: what cancels, cancels here."""
    if not judged.is_right or judged.explanation is None:
        findings.check("far", None)
        return
    dtypes = ("float32",) if judged.explanation.single else ("float64", "float32")
    for dtype in dtypes:
        ratio, tolerance = FAR[dtype]
        off = _off(subject, judged, settings, dtype, ratio, findings)
        if off is None:
            return
        findings.check("far", off <= tolerance, worst=off, tolerance=tolerance, ratio=f"{ratio:g}", dtype=dtype)
        if off > tolerance:
            near = _off(subject, judged, settings, dtype, ratio / 100, findings)
            key = "one_pass_variance" if _is_quadratic(off, near) else "far_mean_lost"
            evidence = {"worst": off, "ratio": ratio, "dtype": dtype}
            place = judged.frame.pooled(judged.pairs[0][0].x.shape)
            findings.fault(key, evidence, ratio=f"{ratio:g}", dtype=dtype, off=f"{off:.1e}", **place)
            return


def _off(
    subject: Subject, judged: Judged, settings: dict[str, Any], dtype: str, ratio: float, findings: Findings
) -> float | None:
    rng = np.random.default_rng(5)
    asked = draw(judged.frame, seed=5, dtype=dtype, **settings)
    x = (ratio + rng.standard_normal(asked.x.shape)).astype(dtype)
    found = _asked(subject, replace(asked, x=x), "far", findings)
    return None if found is None else difference(found[1].y, truth(found[0], _eps(judged)))


def _is_quadratic(far: float, near: float | None) -> bool:
    """Whether a hundredth of the mean costs far less than a hundredth: 1e-4 where the mean is squared."""
    return near is None or near < far / 500


