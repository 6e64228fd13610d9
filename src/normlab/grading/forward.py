"""The forward pass in every frame that the implementation takes: what came back, and which recipe it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from ..definition import Definition
from .asked import Answer, Asked, Gradients
from .findings import DOUBLE, SINGLE, difference
from .frames import Frame
from .mistakes import FORWARD
from .naming import EPS, Explanation, Observation, explain
from .particular import alternatives, other_ways
from .problems import Failed
from .recipe import Recipe, right
from .truth import draw, given_of, is_recipe, questions, settled, truth

__all__ = ["Judged", "Subject", "ask", "asked_eps", "eps_values", "judge", "modes_of", "settings_of"]

FEW = 2  # of the possible eps are tried together with two mistakes: there are thousands of pairs


class Subject(Protocol):
    """An implementation: a function, or a class."""

    definition: Definition
    framework: str
    modes: tuple[Any, Any]
    broad: set[str]
    backward_slots: Any

    @property
    def roles(self) -> set[str]:
        """What it takes."""

    @property
    def bundled(self) -> bool:
        """Whether it takes a dictionary."""

    def default(self, role: str) -> Any:
        """The default of a parameter by its role."""

    def mode_pairs(self) -> tuple[tuple[Any, Any], ...]:
        """What may stand for training and evaluation."""

    def call(self, asked: Asked, *, gradient: bool = False) -> Answer:
        """Ask it."""

    def backward(self, asked: Asked, answer: Answer, dy: np.ndarray) -> Gradients:
        """Ask its backward."""


@dataclass
class Judged:
    """One frame: the questions as they were understood, the answers, and the explanation (None: no known mistake)."""

    frame: Frame
    pairs: list[tuple[Asked, Answer]] = field(default_factory=list)
    explanation: Explanation | None = None
    named: tuple[str, dict[str, Any]] | None = None  # of a method given by a forward
    way: str | None = None  # the convention of others by which its output is right
    failed: Failed | None = None
    worst: float = 0.0

    @property
    def accepted(self) -> bool:
        """Whether it gave an array of the right shape."""
        return self.failed is None

    @property
    def is_right(self) -> bool:
        """Whether the output is right."""
        return self.accepted and self.explanation is not None and not self.explanation.keys and self.named is None

    @property
    def keys(self) -> tuple[str, ...]:
        """The mistakes."""
        if self.named is not None:
            return (self.named[0],)
        return () if self.explanation is None else self.explanation.keys


def asked_eps(definition: Definition) -> float | None:
    """An eps that is seen: of the size of a variance of an ordinary input; a floor above the length of a short one."""
    if definition.eps is None:
        return None
    return 0.5 if definition.eps_rule == "floor" else 0.05


def eps_values(subject: Subject, asked: Asked) -> tuple[float, ...]:
    """The eps that was asked with; of an implementation that takes none, those that people write down."""
    definition = subject.definition
    if definition.eps is None:
        return (0.0,)
    if "eps" in subject.roles and asked.eps is not None:
        return (asked.eps,)
    return tuple(dict.fromkeys((definition.eps, *EPS)))


def settings_of(subject: Subject, options: dict[str, Any]) -> dict[str, Any]:
    """What `draw` is told for this implementation."""
    return {"eps": asked_eps(subject.definition), "running": True, "options": options}


def ask(subject: Subject, asked: Asked, *, gradient: bool = False) -> tuple[Asked, Answer]:
    """The answer, and the question less what the implementation does not take. Raises Failed."""
    answer = subject.call(asked, gradient=gradient)
    roles = subject.roles
    if asked.states and not any(role.startswith("state:") for role in roles) and "channels" not in roles:
        asked = settled(asked)
    return replace(
        asked, weight=asked.weight if "weight" in roles else None, bias=asked.bias if "bias" in roles else None,
        running=asked.running if "running_mean" in roles and "running_var" in roles else None,
    ), answer  # fmt: skip


def modes_of(subject: Subject, frame: Frame, settings: dict[str, Any]) -> bool:
    """Settle how training and evaluation are told apart; whether they can be."""
    if "training" not in subject.roles:
        return False
    asked = draw(frame, seed=1, **settings)
    usable = []
    for pair in subject.mode_pairs():
        subject.modes = pair
        try:
            ys = [subject.call(replace(asked, training=t)).y for t in (True, False)]
        except Failed:
            continue
        usable.append(pair)
        if not np.array_equal(ys[0], ys[1], equal_nan=True):
            return True
    subject.modes = (usable or subject.mode_pairs())[0]
    return bool(usable)


def judge(
    subject: Subject, frame: Frame, settings: dict[str, Any], prior: Sequence[str] = (), *, naming: bool = True
) -> Judged:  # fmt: skip
    """Ask in one frame and explain what came back; `prior` mistakes are looked for first, none without `naming`."""
    judged = Judged(frame)
    try:
        judged.pairs = _asked(subject, frame, settings)
    except Failed as problem:
        judged.failed = problem
        return judged
    first = judged.pairs[0][0]
    wanted = [truth(a, eps_values(subject, a)[0]) for a, _ in judged.pairs]
    judged.worst = max(difference(b.y, y) for (_, b), y in zip(judged.pairs, wanted, strict=True))
    if is_recipe(subject.definition):
        _explain_recipe(judged, eps_values(subject, first), prior if naming else None)
    else:
        _explain_forward(judged, subject.definition)
    return judged


def _asked(subject: Subject, frame: Frame, settings: dict[str, Any]) -> list[tuple[Asked, Answer]]:
    """The answers to the questions of a frame, weight and bias in the shape that it takes them in."""
    first = next(iter(questions(frame, **settings)))
    try:
        subject.call(first)
    except Failed as problem:
        if not {"weight", "bias"} & subject.roles or problem.key not in ("raises", "wrong_shape"):
            raise
        subject.broad.add(frame.kind)
        try:
            subject.call(first)
        except Failed:
            subject.broad.discard(frame.kind)
            raise problem from None
    return [ask(subject, asked) for asked in questions(frame, **settings)]


def _explain_recipe(judged: Judged, values: Sequence[float], prior: Sequence[str] | None) -> None:
    observed = [Observation(given_of(asked, values[0]), answer.y) for asked, answer in judged.pairs]
    start = right(judged.frame.definition, observed[0].given.plan)
    if prior is None:
        judged.explanation = explain(observed, start, (), values)
        return
    likely = [m for m in FORWARD if m.key in prior]
    found = explain(observed, start, likely, values) if likely else None
    found = found or explain(observed, start, FORWARD, values, pairs=False)
    judged.explanation = found or explain(observed, start, FORWARD, values[:FEW])


def _explain_forward(judged: Judged, definition: Definition) -> None:
    """The same for a method given by its forward: whole outputs are compared."""
    if judged.worst <= DOUBLE:
        judged.explanation = _plain(judged.worst)
        return
    for key, compute in other_ways(definition):
        off = _off(judged, compute)
        if off <= DOUBLE:
            judged.way, judged.explanation, judged.frame = key, _plain(off), replace(judged.frame, way=compute)
            return
    for tolerance in (DOUBLE, SINGLE):
        for key, fields, compute in alternatives(definition):
            off = _off(judged, compute)
            if off <= tolerance:
                judged.named, judged.explanation = (key, fields), _plain(off)
                return
        if judged.worst <= SINGLE:
            judged.explanation = replace(_plain(judged.worst), single=True)
            return


def _off(judged: Judged, compute: Callable[[Asked], np.ndarray]) -> float:
    """How far the answers are from what `compute` makes of the questions."""
    with np.errstate(all="ignore"):
        return max(difference(answer.y, compute(asked)) for asked, answer in judged.pairs)


def _plain(worst: float) -> Explanation:
    return Explanation((), Recipe(None, (), None, "none"), 0.0, worst=worst)
