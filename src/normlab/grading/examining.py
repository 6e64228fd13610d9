"""The examination, in the order in which its parts lean on each other; everything goes to `Findings` as it is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..definition import Definition
from . import corners, gradient, state
from .claiming import claimed
from .classes import ClassSubject
from .findings import DOUBLE, Findings
from .forward import Judged, Subject, judge, modes_of, settings_of
from .frames import CHANNELS, frames, parts_of
from .functions import FunctionSubject
from .loading import Target, wants_torch
from .problems import Failed
from .reading import chosen_options
from .telling import tell
from .truth import is_recipe, option_values

__all__ = ["examine"]

GROUPS = (2, 3, 4, 6)  # of twelve channels, for an implementation that fixes them without saying so


def examine(target: Target, definition: Definition, given: Mapping[str, Any], findings: Findings) -> None:
    """Grade one implementation. Raises Refused for a question that cannot be asked."""
    findings.asking("forward", shape=())
    try:
        subject, judged, options = _first(target, definition, given)
    except Failed as problem:
        _no_answer(problem, findings)
        _by_equal_sizes(target, definition, given, findings)
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


def _by_equal_sizes(
    target: Target, definition: Definition, given: Mapping[str, Any], findings: Findings
) -> None:  # fmt: skip
    """What fails everywhere may be a statistic on the wrong axis: where all sizes are equal, it shows."""
    if not is_recipe(definition) or any(option.factor for option in definition.options):
        return
    framework = "torch" if wants_torch(target.function) else "numpy"
    subject = (ClassSubject if isinstance(target.function, type) else FunctionSubject)(target, definition, framework)
    options, shown = chosen_options(definition, given, subject.roles, option_values(definition, given))
    for frame in frames(definition, definition.validate(options)):
        judged = judge(subject, replace(frame, square=True), settings_of(subject, shown))
        if judged.keys:
            tell(judged, definition, subject, findings)
            return


def _no_answer(problem: Failed, findings: Findings) -> None:
    findings.check("forward", False)
    findings.fault(problem.key, **problem.fields)


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
        tell(one, definition, subject, findings)
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
