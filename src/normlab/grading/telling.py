"""Puts the explanation of one frame into faults: each known mistake by its key, or where the output differs most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..definition import Definition
from ..pattern import Plan
from .findings import DOUBLE, Findings
from .forward import Judged, Subject, eps_values
from .frames import Frame, set_of
from .problems import Failed
from .recipe import Recipe
from .truth import truth

__all__ = ["tell"]


def tell(one: Judged, definition: Definition, subject: Subject, findings: Findings) -> None:
    """The faults of one frame, by name; or where it differs most."""
    asked = one.pairs[0][0]
    found = one.explanation
    if found is None:
        _unknown(one, subject, findings)
        return
    if found.single:
        findings.fault("single_precision", {"worst": found.worst}, worst=f"{found.worst:.0e}")
    if one.way is not None:
        findings.convention(one.way)
    if one.named is not None:
        findings.fault(one.named[0], {"agrees_to": found.worst, "layout": one.frame.line}, **one.named[1])
    tiny = "eps_missing" in found.keys and _has_tiny_eps(subject, one)
    if tiny:
        findings.convention("another_eps", eps="< 1e-12", ours=f"{definition.eps:g}")
    for key in found.keys:
        if tiny and key == "eps_missing":
            continue
        evidence = {"agrees_to": found.worst, "off_by": one.worst, "layout": one.frame.line}
        findings.fault(key, evidence, **_shares(one))
    if definition.eps is not None and "eps" not in subject.roles and found.recipe.eps_rule != "none":
        ours = eps_values(subject, asked)[0]
        if found.eps != ours:
            findings.convention("another_eps", eps=f"{found.eps:g}", ours=f"{ours:g}")


def _has_tiny_eps(subject: Subject, one: Judged) -> bool:
    """Whether there is an eps, too small to be seen in a quotient: values that are all exactly equal tell."""
    asked = one.pairs[0][0]
    if "eps" in subject.roles:
        return False
    try:
        return bool(np.isfinite(subject.call(replace(asked, x=np.full_like(asked.x, 0.5))).y).all())
    except Failed:
        return False


def _shares(one: Judged) -> dict[str, Any]:
    """What shares a statistic there, and what should, in the notation; and NumPy's axes."""
    assert one.explanation is not None
    recipe, plan = one.explanation.recipe, one.frame.plan(one.pairs[0][0].x.shape)
    names = _axis_names(one.frame, plan.names)
    spread, centre = recipe.spreading, recipe.centring
    return {
        "which": _which(recipe, plan),
        "got": _line(names, centre if centre is not None and centre != plan.pooled else spread),
        "right": _line(names, plan.pooled),
        "layout": one.frame.line, **one.frame.pooled(plan.shape),
    }  # fmt: skip


def _which(recipe: Recipe, plan: Plan) -> str:
    """The statistics that are taken over other axes than they should be."""
    if recipe.centring is None:
        return "mean square"
    wrong = (recipe.centring != plan.pooled, recipe.spreading != plan.pooled)
    return {(True, False): "mean", (False, True): "variance"}.get(wrong, "mean and variance")


def _axis_names(frame: Frame, split: Sequence[str]) -> list[str]:
    """A name for every split axis: `...` is what stands there in this frame."""
    rest = iter([a for a in frame.axes if a not in split])
    return [next(rest) if name == "..." else name for name in split]


def _line(names: Sequence[str], pooled: Sequence[int]) -> str:
    words = [f"[{n}]" if k in pooled else n for k, n in enumerate(names)]
    return " ".join(words).replace("] [", " ")


def _unknown(one: Judged, subject: Subject, findings: Findings) -> None:
    """Wrong, and no known mistake gives these numbers: where it differs most, and by how much."""
    asked, answer = one.pairs[0]
    wanted = truth(asked, eps_values(subject, asked)[0])
    with np.errstate(all="ignore"):
        off = np.nan_to_num(np.abs(answer.y - wanted), nan=np.inf)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(off)), off.shape))
    fields = {"got": f"{float(answer.y[index]):.6g}", "wanted": f"{float(wanted[index]):.6g}"}
    plan = one.frame.plan(asked.x.shape)
    names = _axis_names(one.frame, plan.names)
    where = ", ".join(f"{names[a]}={k}" for a, k in zip(plan.kept, set_of(plan, index), strict=True))
    key = "unknown" if np.isfinite(answer.y).all() else "not_finite"
    findings.fault(
        key, {"worst": one.worst}, index=str(list(index)), set=where or "-", layout=one.frame.line,
        shape=str(asked.x.shape), differ=f"{int((off > DOUBLE * np.max(np.abs(wanted))).sum())}/{off.size}", **fields,
    )  # fmt: skip
