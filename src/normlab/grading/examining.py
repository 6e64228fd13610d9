"""The examination, in the order in which its parts lean on each other; everything goes to `Findings` as it is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..definition import Definition
from . import corners, gradient, state
from .classes import ClassSubject
from .findings import DOUBLE, Findings
from .forward import Judged, Subject, eps_values, judge, modes_of, settings_of
from .frames import CHANNELS, Frame, frames, parts_of
from .functions import FunctionSubject
from .loading import Target, wants_torch
from .problems import Failed
from .reading import chosen_options
from .truth import option_values, truth

__all__ = ["examine"]

GROUPS = (2, 3, 4, 6)  # of twelve channels, for an implementation that fixes them without saying so


def examine(target: Target, definition: Definition, given: Mapping[str, Any], findings: Findings) -> None:
    """Grade one implementation. Raises Refused for a question that cannot be asked."""
    findings.asking("forward", shape=())
    try:
        subject, judged, options = _first(target, definition, given)
    except Failed as problem:
        _no_answer(problem, findings)
        return
    settings = settings_of(subject, options)
    kind = "class" if isinstance(target.function, type) else "function"
    findings.subject(framework=subject.framework, kind=kind, roles=sorted(subject.roles))
    told = _forward(judged, definition, subject, findings)
    if not told:
        return
    _facts(told, definition, given, options, findings)
    corners.examine(subject, told[0], settings, findings)
    state.examine(subject, told, settings, findings)
    gradient.examine(subject, told, settings, findings)


def _facts(
    told: Sequence[Judged], definition: Definition, given: Mapping[str, Any], options: Mapping[str, Any],
    findings: Findings,
) -> None:  # fmt: skip
    """Say where it was judged, and which number of groups it turned out to have."""
    findings.subject(frames=[one.frame.line for one in told])
    for option in definition.options:
        value = told[0].frame.known[option.name]
        usual = definition.resolve(definition.validate({}), CHANNELS)[option.name]
        if option.factor is not None and option.name not in {*given, *options} and value != usual:
            findings.convention("groups_fixed", groups=value)


def _first(
    target: Target, definition: Definition, given: Mapping[str, Any]
) -> tuple[Subject, list[Judged], dict[str, Any]]:
    """The implementation in the framework that it works in. Raises Failed where it works in none."""
    torch_first = wants_torch(target.function)
    order = {True: ("torch",), False: ("numpy",), None: ("numpy", "torch")}[torch_first]
    failed: Failed | None = None
    best: tuple[Subject, list[Judged], dict[str, Any]] | None = None
    for framework in order if torch_first is not False else ("numpy",):
        found = _in_framework(target, definition, given, framework, naming=best is None)
        if any(one.is_right for one in found[1]):
            return found if best is None else _in_framework(target, definition, given, framework, naming=True)
        if any(one.accepted for one in found[1]):
            best = best or found
        failed = failed or found[1][0].failed
    if best is None:
        raise failed or Failed("raises", what="?", line=0, code="")
    return best


def _in_framework(
    target: Target, definition: Definition, given: Mapping[str, Any], framework: str, naming: bool
) -> tuple[Subject, list[Judged], dict[str, Any]]:
    make = ClassSubject if isinstance(target.function, type) else FunctionSubject
    subject: Subject = make(target, definition, framework)
    options, shown = chosen_options(definition, given, subject.roles, option_values(definition, given))
    found = _judged(subject, definition, options, shown, naming)
    factor = next((o for o in definition.options if o.factor), None)
    if factor is not None and factor.name not in options and not any(one.is_right for one in found):
        for groups in GROUPS:  # it fixes them: which?
            other = _judged(subject, definition, {**options, factor.name: groups}, shown, naming=False)
            if any(one.is_right for one in other):
                return subject, _judged(subject, definition, {**options, factor.name: groups}, shown), shown
    return subject, found, shown


def _judged(
    subject: Subject, definition: Definition, options: dict[str, Any], shown: dict[str, Any], naming: bool = True
) -> list[Judged]:  # fmt: skip
    """Every frame, the smallest first: what is named there is looked for first elsewhere."""
    settings = settings_of(subject, shown)
    found: list[Judged] = []
    prior: tuple[str, ...] = ()
    for frame in frames(definition, definition.resolve(definition.validate(options), CHANNELS)):
        if not found or "training" in subject.roles:
            modes_of(subject, frame, settings)
        found.append(judge(subject, frame, settings, prior, naming=naming))
        prior = prior or found[-1].keys
    return found


def _no_answer(problem: Failed, findings: Findings) -> None:
    findings.check("forward", False)
    findings.fault(problem.key, **problem.fields)


def claimed(judged: Sequence[Judged], subject: Subject) -> tuple[list[Judged], list[Judged]]:
    """The frames that the implementation was written for, and those in which it merely does not fail.

    An implementation for dense input often takes images too and does something else to them. It is held to images where
    it is wrong on dense input, or where it gives every channel its weight there, which does not happen by chance.
    """
    accepted = [one for one in judged if one.accepted]
    own = [one for one in accepted if not one.frame.other]
    others = [one for one in accepted if one.frame.other and (not own or one.frame.kind not in subject.broad)]
    right_others = [one for one in others if one.is_right]
    low = [one for one in own if len(one.frame.axes) <= 2]
    high = [one for one in own if len(one.frame.axes) > 2]
    wrong_high = [one for one in high if not one.is_right]
    if wrong_high and right_others:  # its axes stand in another order
        return [*low, *right_others], []
    if low and wrong_high:
        known = {key for one in low for key in one.keys}
        kept = [one for one in wrong_high if _knows_channels(one.frame, subject, known) or _same_mistakes(one, known)]
        return [one for one in own if one not in wrong_high or one in kept], [o for o in wrong_high if o not in kept]
    return (own, []) if own else (right_others or others[:1], [])


def _same_mistakes(one: Judged, known: set[str]) -> bool:
    """Whether it is explained by nothing but what explains dense input."""
    return bool(one.keys) and set(one.keys) <= known


def _knows_channels(frame: Frame, subject: Subject, known: set[str]) -> bool:
    """Whether weight and bias of shape (c,) were used, and brought to the channels' axis, which is not the last one."""
    used = {name for name in ("weight", "bias") if name in subject.roles and f"missing_{name}" not in known}
    return "c" in frame.axes[:-1] and bool(used) and frame.kind not in subject.broad


def _forward(
    judged: list[Judged], definition: Definition, subject: Subject, findings: Findings
) -> list[Judged]:  # fmt: skip
    """Report the output; return the frames in which all else is judged, the right ones first."""
    told, elsewhere = claimed(judged, subject)
    for one in told:
        findings.check(
            "output", one.is_right, worst=one.worst if not one.is_right else one.explanation.worst,  # type: ignore[union-attr]
            tolerance=DOUBLE, kind=one.frame.kind, layout=one.frame.line, shape=one.pairs[0][0].x.shape,
        )  # fmt: skip
        _faults_of(one, definition, subject, findings)
    for one in elsewhere:
        findings.note("only_here", kind=told[0].frame.kind, layout=told[0].frame.line, other=one.frame.kind,
                      other_layout=one.frame.line)  # fmt: skip
    for one in judged:
        if one.failed is not None and not one.frame.other and told:
            findings.note("not_taken", kind=one.frame.kind, layout=one.frame.line, why=_short(one.failed))
    if told and any(one.frame.other for one in told):
        findings.note("other_order", layout=next(one.frame.line for one in told if one.frame.other))
    _parts(subject, definition, findings)
    return sorted(told, key=lambda one: not one.is_right)


def _short(problem: Failed) -> str:
    fields = problem.fields
    return str(fields.get("what") or fields.get("came") or problem.key)


def _parts(subject: Subject, definition: Definition, findings: Findings) -> None:
    """What the implementation has no parameter for, and so was judged without."""
    names = {p.name for p in parts_of(definition)}
    missing = [n for n in ("weight", "bias") if n in names and n not in subject.roles]
    if missing:
        findings.note("judged_without", names=", ".join(missing))


def _faults_of(one: Judged, definition: Definition, subject: Subject, findings: Findings) -> None:
    """The faults of one frame, by name; or where it differs most."""
    asked = one.pairs[0][0]
    found = one.explanation
    if found is None:
        _unknown(one, subject, findings)
        return
    if found.single:
        findings.fault("single_precision", {"worst": found.worst}, worst=f"{found.worst:.0e}")
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
        "got": _line(names, centre if centre is not None and centre != plan.pooled else spread),
        "right": _line(names, plan.pooled),
        "axes": [a for a, pooled in _whole(one.frame, plan) if pooled], "split": len(plan.split) > len(plan.shape),
        "layout": one.frame.line,
    }  # fmt: skip


def _axis_names(frame: Frame, split: Sequence[str]) -> list[str]:
    """A name for every split axis: `...` is what stands there in this frame."""
    rest = iter([a for a in frame.axes if a not in split])
    return [next(rest) if name == "..." else name for name in split]


def _line(names: Sequence[str], pooled: Sequence[int]) -> str:
    words = [f"[{n}]" if k in pooled else n for k, n in enumerate(names)]
    return " ".join(words).replace("] [", " ")


def _whole(frame: Frame, plan: Any) -> list[tuple[int, bool]]:
    """Every axis of x and whether it is pooled."""
    found, at = [], 0
    for axis in range(len(plan.shape)):
        size = 1
        parts: list[bool] = []
        while size < plan.shape[axis] or not parts:
            size *= plan.split[at]
            parts.append(at in plan.pooled)
            at += 1
        found.append((axis, all(parts)))
    return found


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
    from .frames import set_of

    where = ", ".join(f"{names[a]}={k}" for a, k in zip(plan.kept, set_of(plan, index), strict=True))
    key = "unknown" if np.isfinite(answer.y).all() else "not_finite"
    findings.fault(
        key, {"worst": one.worst}, index=str(list(index)), set=where or "-", layout=one.frame.line,
        shape=str(asked.x.shape), differ=f"{int((off > DOUBLE * np.max(np.abs(wanted))).sum())}/{off.size}", **fields,
    )  # fmt: skip


