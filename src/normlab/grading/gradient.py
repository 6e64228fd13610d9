"""The backward pass against central differences of the implementation's own forward, and the known mistakes in it.

A backward is right where it is the derivative of its own forward: a wrong forward is another fault, named already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .arrays import copied, to_native, torch_module
from .asked import Answer, Asked, Gradients
from .findings import Findings, difference
from .forward import Judged, Subject, ask
from .problems import Failed, failure
from .slopes import STEP, dx_mistakes, parameter_mistakes
from .truth import SEED, draw, given_of

__all__ = ["examine"]

# (f(x + h) - f(x - h)) / 2h is off by h^2 f''' / 6, which is 1e-11 for h = 2^-17, and by 2^-53 / h = 1.5e-11.
DIFFERENCES = 2.0**-20
COARSE_STEP, COARSE = 2.0**-7, 2.0**-5  # of a forward in single precision: 2^-24 / h = 8e-6, h^2 = 6e-5
ROLES = ("weight", "bias")
DIRECTIONS = 6


def examine(subject: Subject, told: Sequence[Judged], settings: dict[str, Any], findings: Findings) -> None:
    """The backward in up to two frames: the smallest and the one of the most axes."""
    by_framework = subject.framework == "torch" and subject.backward_slots is None
    d = subject.definition
    if d.states and not d.has_running:  # its state counts as a constant on the way back: no derivative of the forward
        findings.check("backward", None, of="dx", layout=told[0].frame.line)
        findings.note("constant_state", names=", ".join(s.name for s in d.states))
        return
    if not by_framework and subject.backward_slots is None:
        findings.check("backward", None, of="dx", layout=told[0].frame.line)
        findings.note("no_backward")
        return
    before = len(findings.faults)
    chosen = sorted(told, key=lambda one: len(one.frame.axes))
    for judged in dict.fromkeys((id(chosen[0]), id(chosen[-1]))):
        one = next(j for j in told if id(j) == judged)
        # Who wrote for dense input sums over its one other axis; where the channels stand last, tokens come by chance.
        lenient = one is not chosen[0] and len(findings.faults) == before and one.frame.axes[-1] == "c"
        _one_frame(subject, one, settings, findings, by_framework, lenient)


def _one_frame(
    subject: Subject, judged: Judged, settings: dict[str, Any], findings: Findings, by_framework: bool, lenient: bool
) -> None:
    """Ask for the gradients of sum(dy * y) and compare each."""
    findings.asking("backward", shape=judged.frame.shape(small=True))
    asked = draw(judged.frame, seed=7, small=True, **settings)
    dy = np.random.default_rng([SEED, 8]).standard_normal(asked.x.shape)
    try:
        known, answer = ask(subject, asked, gradient=by_framework)
        got = _by_framework(subject, answer, dy) if by_framework else subject.backward(asked, answer, dy)
        names = _differentiable(known)
        if got.dx is not None and _agrees(subject, asked, dy, got.dx, judged, findings):
            names.remove("x")
        wanted = {name: _differences(subject, asked, name, dy, judged) for name in names}
    except Failed as problem:
        findings.check("backward", False, kind=judged.frame.kind, layout=judged.frame.line)
        findings.fault(problem.key, {"check": "backward"}, **problem.fields)
        return
    _compare(judged, known, dy, got, wanted, findings, lenient)


def _differentiable(asked: Asked) -> list[str]:
    return [name for name in ("x", *ROLES) if getattr(asked, name) is not None]


def _agrees(
    subject: Subject, asked: Asked, dy: np.ndarray, dx: np.ndarray, judged: Judged, findings: Findings
) -> bool:  # fmt: skip
    """Whether dx is right along some random directions: far fewer calls than one for every element and sign."""
    step, tolerance = _steps(judged)
    rng = np.random.default_rng([SEED, 9])
    pairs = []
    for _ in range(DIRECTIONS):
        v = rng.standard_normal(asked.x.shape) / np.sqrt(asked.x.size)
        ends = [float((dy * subject.call(replace(asked, x=asked.x + s * step * v)).y).sum()) for s in (1, -1)]
        pairs.append(((ends[0] - ends[1]) / (2 * step), float((dx * v).sum())))
    want, got = np.array(pairs).T
    worst = difference(got, want)
    if worst > tolerance:
        return False
    findings.check("backward", True, worst=worst, tolerance=tolerance, of="dx", kind=judged.frame.kind,
                   layout=judged.frame.line, shape=asked.x.shape)  # fmt: skip
    return True


def _steps(judged: Judged) -> tuple[float, float]:
    """The step of the differences, and what they are good for."""
    single = judged.explanation is not None and judged.explanation.single
    return (COARSE_STEP, COARSE) if single else (STEP, DIFFERENCES)


def _by_framework(subject: Subject, answer: Answer, dy: np.ndarray) -> Gradients:
    """What torch's own differentiation gives: a detached statistic shows here."""
    torch = torch_module()
    leaves = {n: answer.handed[n] for n in ("x", *ROLES) if getattr(answer.handed.get(n), "requires_grad", False)}
    if not getattr(answer.native, "requires_grad", False):
        raise Failed("no_gradient")
    try:
        cotangent = to_native(dy, "torch").to(answer.native.dtype)
        found = torch.autograd.grad(answer.native, list(leaves.values()), cotangent, allow_unused=True)
    except Exception as problem:  # in somebody's graph anything may fail
        raise failure(problem, None) from None
    named = {n: copied(g) for n, g in zip(leaves, found, strict=True) if g is not None}
    return Gradients(named.pop("x", None), [], named)


def _differences(subject: Subject, asked: Asked, name: str, dy: np.ndarray, judged: Judged) -> np.ndarray:
    """The derivative of sum(dy * y) by the elements of x, weight or bias, each moved up and down."""
    step, _ = _steps(judged)
    at = getattr(asked, name)
    found = np.zeros(at.size)
    for k in range(at.size):
        ends = []
        for sign in (1, -1):
            moved = at.copy()
            moved.flat[k] += sign * step
            ends.append(float((dy * subject.call(replace(asked, **{name: moved})).y).sum()))
        found[k] = (ends[0] - ends[1]) / (2 * step)
    return found.reshape(at.shape)


def _compare(
    judged: Judged, asked: Asked, dy: np.ndarray, got: Gradients, wanted: dict[str, np.ndarray], findings: Findings,
    lenient: bool,
) -> None:  # fmt: skip
    """dx, and the gradients of weight and bias in whatever order they come."""
    _, tolerance = _steps(judged)
    place = {"kind": judged.frame.kind, "layout": judged.frame.line, "shape": asked.x.shape}
    if got.dx is None:
        findings.fault("no_gradient")
        return
    if "x" in wanted:
        worst = difference(got.dx, wanted["x"])
        findings.check("backward", worst <= tolerance, worst=worst, tolerance=tolerance, of="dx", **place)
        if worst > tolerance:
            _name_dx(judged, asked, dy, got.dx, tolerance, worst, findings)
    for name in ROLES:
        if name in wanted:
            _parameter(name, judged, asked, dy, got, wanted, tolerance, findings, lenient)


def _parameter(
    name: str, judged: Judged, asked: Asked, dy: np.ndarray, got: Gradients, wanted: dict[str, np.ndarray],
    tolerance: float, findings: Findings, lenient: bool,
) -> None:  # fmt: skip
    """One parameter's gradient: among those that came, the one that is right; else what is known to go wrong."""
    want = wanted[name]
    came = [got.named[name]] if name in got.named else got.others
    place: dict[str, Any] = {"kind": judged.frame.kind, "layout": judged.frame.line}
    if not came:
        findings.check("backward", None, of=f"d{name}", **place)
        findings.note("no_parameter_gradient", name=name)
        return
    offs = [difference(a.reshape(want.shape), want) for a in came if a.size == want.size]
    worst = min(offs, default=float("inf"))
    if worst <= tolerance:
        findings.check("backward", True, worst=worst, tolerance=tolerance, of=f"d{name}", **place)
        return
    if lenient and any(a.size > want.size for a in came):
        findings.note("gradient_only_here", of=f"d{name}", **place)
        return
    findings.check("backward", False, worst=worst, tolerance=tolerance, of=f"d{name}", **place)
    key = next((k for k in parameter_mistakes(name, asked, dy, came, wanted, tolerance)), None)
    findings.fault(key or "gradient_unknown", {"worst": min(worst, 1e300)}, of=f"d{name}", name=name,
                   off=f"{worst:.2g}" if np.isfinite(worst) else "-", shape=str(want.shape),
                   came=", ".join(str(a.shape) for a in came), **_axes(judged, asked))  # fmt: skip


def _name_dx(
    judged: Judged, asked: Asked, dy: np.ndarray, dx: np.ndarray, tolerance: float, worst: float, findings: Findings
) -> None:  # fmt: skip
    """The known mistake that gives this dx, where the forward is a recipe."""
    found = judged.explanation
    key = None
    if found is not None and judged.named is None and found.recipe.spread is not None:
        given = given_of(asked, found.eps)
        key = next((k for k, a in dx_mistakes(found.recipe, given, dy) if difference(dx, a) <= tolerance), None)
    findings.fault(key or "gradient_unknown", {"worst": worst}, of="dx", name="x", off=f"{worst:.2g}",
                   shape=str(asked.x.shape), came=str(dx.shape), **_axes(judged, asked))  # fmt: skip


def _axes(judged: Judged, asked: Asked) -> dict[str, Any]:
    """The pooled axes, for the line that mends; none where nothing is pooled."""
    return judged.frame.pooled(asked.x.shape) if judged.frame.definition.forward is None else {}
