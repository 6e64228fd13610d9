"""Running statistics: how they move in training, wherever they are kept, and whether evaluation uses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .arrays import copied
from .asked import MOMENTUM, Answer, Asked
from .findings import DOUBLE, SINGLE, Findings, difference
from .forward import Judged, Subject, ask, modes_of
from .mistakes import EVALUATION
from .naming import Observation, explain
from .problems import Failed
from .recipe import compute, right, statistics
from .roles import ALIASES
from .truth import draw, given_of

__all__ = ["examine"]

HALF = 0.5  # above it, a default is the weight of the old value


@dataclass(frozen=True)
class Moved:
    """A running statistic after one batch: the weight of the new value, and which value was taken for new."""

    share: float
    kind: str


def examine(subject: Subject, told: Sequence[Judged], settings: dict[str, Any], findings: Findings) -> None:
    """Training's update and evaluation, in the first frame."""
    d, judged = subject.definition, told[0]
    if not (d.has_running and d.running):
        return
    if not {"running_mean", "running_var"} <= subject.roles:
        findings.check("running", None)
        findings.check("evaluation", None)
        findings.note("no_running_statistics")
        return
    _update(subject, judged, findings)
    if "training" not in subject.roles or not modes_of(subject, judged.frame, settings):
        findings.check("evaluation", None)
        findings.note("no_evaluation")
        return
    _evaluation(subject, judged, settings, findings)


def _update(subject: Subject, judged: Judged, findings: Findings) -> None:
    """How the running statistics moved in the calls that were made in training."""
    asked, answer = judged.pairs[0]
    assert asked.running is not None
    given = given_of(asked, 0.0)
    found = statistics(replace(right(judged.frame.definition, given.plan)), replace(given, running=None))
    own = asked.running[0].shape
    count = given.plan.count
    batch = {
        "running_mean": {"mean": found.mean.reshape(own)},
        "running_var": {
            "unbiased": found.square.reshape(own) * count / (count - 1), "biased": found.square.reshape(own),
            "root": np.sqrt(found.square.reshape(own)),
        },
    }  # fmt: skip
    tolerance = SINGLE if judged.explanation is not None and judged.explanation.single else DOUBLE * 2**8
    moved = {
        name: _moved(name, old, batch[name], answer, subject, tolerance)
        for name, old in zip(("running_mean", "running_var"), asked.running, strict=True)
    }
    strange = [name for name, old in zip(moved, asked.running, strict=True) if _changed(name, old, answer)]
    _report(subject, moved, strange, judged.is_right, findings)


def _changed(name: str, old: np.ndarray, answer: Answer) -> bool:
    """Whether something that may be this running statistic is not what it was."""
    return any(sure and difference(now, old) > SINGLE for now, sure in _candidates(name, old, answer))


def _moved(
    name: str, old: np.ndarray, batch: dict[str, np.ndarray], answer: Answer, subject: Subject, tolerance: float
) -> Moved | None:
    """What became of one running statistic: None where nothing of its shape moved towards the batch's."""
    best: Moved | None = None
    for now, sure in _candidates(name, old, answer):
        for kind, new in batch.items():
            d = new - old
            share = float((d * (now - old)).sum() / (d * d).sum())
            off = float(np.max(np.abs(now - old - share * d), initial=0.0))
            if off > tolerance * float(np.max(np.abs(d))) or abs(share) < 1e-3:
                continue
            if not sure and abs(share - 1) < 1e-6:
                continue  # the batch's own, kept for the way back
            if best is None or _oddness(share) < _oddness(best.share):
                best = Moved(share, kind)
    return best


def _oddness(share: float) -> float:
    """How far a share is from what momentum means, either way round; the batch's own statistics are farthest."""
    return min(abs(share - MOMENTUM), abs(share - (1 - MOMENTUM))) + (abs(share - 1) < 1e-6)


def _candidates(name: str, old: np.ndarray, answer: Answer) -> Iterator[tuple[np.ndarray, bool]]:
    """Where a new value may be: in the place of the old one, or in what was returned; False: deep inside."""
    kept = answer.after.get(name)
    places = [(kept, True), *_flat(answer.rest, True)]
    for a, sure in places:
        found = copied(a)
        if found is not None and found.size == old.size:
            yield found.reshape(old.shape).astype(np.float64), sure


def _flat(values: Any, sure: bool) -> Iterator[tuple[Any, bool]]:
    """Every value in nested tuples and dictionaries; sure at the top, and under a name of running statistics."""
    for name, value in values.items() if isinstance(values, dict) else ((None, v) for v in values):
        named = str(name).lower() in (*ALIASES["running_mean"], *ALIASES["running_var"])
        if isinstance(value, tuple | list | dict):
            yield from _flat(value, False)
        else:
            yield value, sure or named


def _report(
    subject: Subject, moved: dict[str, Moved | None], strange: Sequence[str], is_right: bool, findings: Findings
) -> None:  # fmt: skip
    """The faults of the update; where the output is wrong already, strange statistics are no news."""
    before = len(findings.faults)
    still = [name for name, one in moved.items() if one is None and name not in strange]
    lost = [name for name, one in moved.items() if one is None and name in strange]
    if still:
        findings.fault("running_statistics_not_updated", names=", ".join(still))
    if lost and is_right:
        findings.fault("running_unknown", names=", ".join(lost))
    _rules(subject, moved, findings)
    passed = len(findings.faults) == before if is_right or not lost else None
    findings.check("running", passed, found=", ".join(f"{n} {m.share:.3g}" for n, m in moved.items() if m))


def _rules(subject: Subject, moved: dict[str, Moved | None], findings: Findings) -> None:
    """By which rule they move."""
    mean, var = moved["running_mean"], moved["running_var"]
    one = mean or var
    if one is not None:
        _momentum(subject, one.share, findings)
    if mean is not None and var is not None and abs(mean.share - var.share) > 1e-6:
        findings.fault("momentum_differs", mean=f"{mean.share:.3g}", var=f"{var.share:.3g}")
    if var is not None and var.kind == "root":
        findings.fault("running_root")
    if var is not None and var.kind == "biased":
        findings.convention("running_variance_biased")


def _momentum(subject: Subject, share: float, findings: Findings) -> None:
    """Which way round the momentum is, and which way was meant: a default near 1 weighs the old value."""
    if "momentum" not in subject.roles:
        if share > HALF and abs(share - 1) > 1e-6:
            findings.fault("momentum_reversed", {"share": share}, old=f"{1 - share:.3g}")
        elif share > HALF:
            findings.fault("running_statistics_replaced")
        return
    default = subject.default("momentum")
    if default is not None and default == MOMENTUM:  # nothing to tell the two ways apart by
        default = None
    old_is_meant = subject.bundled or (isinstance(default, float) and default >= HALF)
    if abs(share - 1) < 1e-6:
        findings.fault("running_statistics_replaced")
    elif abs(share - (1 - MOMENTUM)) < 1e-6:
        if old_is_meant or _weighs_either_way(subject):
            findings.convention("momentum_weighs_old")
        else:
            findings.fault("momentum_reversed", {"share": share}, old=f"{MOMENTUM:g}")
    elif abs(share - MOMENTUM) < 1e-6:
        if old_is_meant:
            findings.fault("momentum_reversed_from_old", {"share": share}, default=str(default or 0.9))
    else:
        findings.fault("momentum_ignored", {"share": share}, share=f"{share:.3g}", asked=f"{MOMENTUM:g}")


def _weighs_either_way(subject: Subject) -> bool:
    """A decay is what is left of the old value, to most who write the word."""
    named = getattr(subject, "building", []) + getattr(subject, "slots", [])
    return any(s.role == "momentum" and s.name.lower() == "decay" for s in named)


def _evaluation(subject: Subject, judged: Judged, settings: dict[str, Any], findings: Findings) -> None:
    asked = replace(draw(judged.frame, seed=6, **settings), training=False)
    findings.asking("evaluation", shape=asked.x.shape)
    try:
        known, answer = ask(subject, asked)
    except Failed as problem:
        findings.check("evaluation", False)
        findings.fault(problem.key, {"check": "evaluation"}, **problem.fields)
        return
    eps = 0.0 if judged.explanation is None else judged.explanation.eps
    given = given_of(known, eps)
    d = judged.frame.definition
    start = right(d, given.plan)
    wanted = compute(start, given)
    worst = difference(answer.y, wanted)
    tolerance = SINGLE if judged.explanation is not None and judged.explanation.single else DOUBLE
    findings.check("evaluation", worst <= tolerance, worst=worst, tolerance=tolerance)
    if worst > tolerance:
        _name(judged, Observation(given, answer.y), findings, worst)
    _unmoved(known, answer, findings)


def _name(judged: Judged, observed: Observation, findings: Findings, worst: float) -> None:
    """What evaluation does instead; mistakes that training has already shown are not new."""
    start = right(judged.frame.definition, observed.given.plan)
    already = judged.explanation.recipe if judged.explanation is not None else start
    for recipe in dict.fromkeys((already, start)):
        found = explain([observed], recipe, EVALUATION, (observed.given.eps,), pairs=recipe is start)
        if found is not None:
            for key in found.keys:
                findings.fault(key, {"check": "evaluation", "agrees_to": found.worst}, got="", right="", axes=[],
                               split=False, layout=judged.frame.line)  # fmt: skip
            return
    if judged.explanation is not None:
        findings.fault("unknown_in_evaluation", {"worst": worst}, off=f"{worst:.2g}")


def _unmoved(asked: Asked, answer: Answer, findings: Findings) -> None:
    """Evaluation moves nothing."""
    assert asked.running is not None
    for name, old in zip(("running_mean", "running_var"), asked.running, strict=True):
        now = answer.after.get(name)
        if now is not None and now.size == old.size and difference(now.reshape(old.shape), old) > SINGLE:
            findings.fault("running_statistics_moved_in_evaluation")


