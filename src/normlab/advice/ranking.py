"""From answers to a ranking: the points of the rules that hold, their mean over what was left out, what changes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .. import registry
from .questions import QUESTIONS, USUAL_NETS, Answers, worlds
from .rule import EXCLUDES, Rule
from .rules import RULES

__all__ = ["NONE", "Case", "Change", "Reason", "Standing", "changes", "first", "ranked"]

NONE = "none"
# What acts beside a normalization in the network, not in its place.
BESIDE = ("input", "condition", "dropout")
LEVEL = 1e-9  # means of whole numbers: what differs by less is a tie


@dataclass(frozen=True)
class Reason:
    """A rule that holds, or holds where what was left out is as `needs` says."""

    rule: Rule
    needs: Mapping[str, tuple[str, ...]]

    @property
    def holds(self) -> bool:
        """Whether it holds whatever was left out."""
        return not self.needs


@dataclass(frozen=True)
class Standing:
    """A method's place: points, its reasons, whether it is ruled out, and whether it stands beside the others.

    `place` is 0 for what is ruled out, stands beside, or has no rule that speaks for it.
    """

    method: str
    points: float
    place: int
    tied: bool
    excluded: bool
    beside: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Case:
    """Answers to one question that lead to the same first methods."""

    answers: tuple[str, ...]
    first: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What the answer to one question does to the first place: of an answer that was given, only what would differ."""

    question: str
    given: bool
    cases: tuple[Case, ...]


def ranked(answers: Answers, rules: Sequence[Rule] = RULES) -> tuple[Standing, ...]:
    """Every method that a rule names, best first; those beside the ranking and those ruled out behind it."""
    return _ranked(_key(answers), tuple(rules))


def first(answers: Answers, rules: Sequence[Rule] = RULES) -> tuple[str, ...]:
    """The method in the first place, or all of them where several are level."""
    return tuple(s.method for s in ranked(answers, rules) if s.place == 1)


def changes(answers: Answers) -> tuple[Change, ...]:
    """For each question what the first place depends on: all cases where it was left out, else those that differ."""
    found = []
    now = first(answers)
    for question in QUESTIONS:
        given = answers.get(question)
        cases = _cases(answers, question, now)
        if cases:
            found.append(Change(question, given is not None, cases))
    return tuple(found)


def _cases(answers: Answers, question: str, now: tuple[str, ...]) -> tuple[Case, ...]:
    """The other answers that can be given, by what comes first under them; those that change nothing are left out."""
    given = answers.get(question)
    groups: dict[tuple[str, ...], list[str]] = {}
    for other in _usual(answers, question):
        if other != given:
            groups.setdefault(first({**answers, question: other}), []).append(other)
    if given is not None:
        groups.pop(now, None)
    elif set(groups) == {now}:
        return ()
    return tuple(Case(tuple(words), leading) for leading, words in groups.items())


def _usual(answers: Answers, question: str) -> tuple[str, ...]:
    """The answers that go with the others: of data and network, only usual pairs."""
    every = tuple(QUESTIONS[question].answers)
    data, net = answers.get("data"), answers.get("net")
    if question == "net" and data is not None:
        return tuple(n for n in every if n in USUAL_NETS[data])
    if question == "data" and net is not None:
        return tuple(d for d in every if net in USUAL_NETS[d])
    return every


def _key(answers: Answers) -> tuple[str | None, ...]:
    return tuple(answers.get(question) for question in QUESTIONS)


@lru_cache(maxsize=4096)
def _ranked(key: tuple[str | None, ...], rules: tuple[Rule, ...]) -> tuple[Standing, ...]:
    answers = dict(zip(QUESTIONS, key, strict=True))
    every = [tuple(world.items()) for world in worlds(answers)]
    spoken = [_holding(world, rules) for world in every]
    points: dict[str, float] = {}
    excluded: dict[str, bool] = {}
    for method in _named(rules):
        sums = [sum(r.weight for r in rules_ if r.method == method) for rules_ in spoken]
        points[method] = sum(sums) / len(sums)
        excluded[method] = all(any(r.method == method and r.weight == EXCLUDES for r in rs) for rs in spoken)
    reasons = _reasons(answers, [dict(world) for world in every], spoken)
    rivals = [m for m in points if _takes_part(m, reasons.get(m, ())) and not excluded[m]]
    order = sorted(points, key=lambda m: (m not in rivals, excluded[m], -points[m]))  # equal ones in reading order
    return tuple(
        Standing(m, round(points[m], 6), *_place(m, rivals, points), excluded[m], _is_beside(m), reasons.get(m, ()))
        for m in order
    )


def _takes_part(method: str, reasons: Sequence[Reason]) -> bool:
    """Whether a method stands in the ranking at all: in the network's own place, and something speaks for it."""
    return not _is_beside(method) and any(reason.rule.weight > 0 for reason in reasons)


def _place(method: str, rivals: Sequence[str], points: Mapping[str, float]) -> tuple[int, bool]:
    """The place among the rivals, 0 for none of them, and whether it is shared."""
    if method not in rivals:
        return 0, False
    ahead = sum(points[m] > points[method] + LEVEL for m in rivals)
    level = sum(abs(points[m] - points[method]) <= LEVEL for m in rivals)
    return ahead + 1, level > 1


@lru_cache(maxsize=4096)
def _holding(world: tuple[tuple[str, str], ...], rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules that hold under a full set of answers, without those that another one silences."""
    answers = dict(world)
    holding = [rule for rule in rules if rule.holds(answers)]
    silent = {name for rule in holding for name in rule.over}
    return tuple(rule for rule in holding if rule.id not in silent)


def _reasons(
    answers: Answers, every: Sequence[Mapping[str, str]], spoken: Sequence[Iterable[Rule]]
) -> dict[str, tuple[Reason, ...]]:
    """Each method's rules that hold somewhere; certain ones first, and the weightier before the others."""
    where: dict[Rule, list[Mapping[str, str]]] = {}
    for world, holding in zip(every, spoken, strict=True):
        for rule in holding:
            where.setdefault(rule, []).append(world)
    found: dict[str, list[Reason]] = {}
    for rule, there in where.items():
        needs = {}
        if len(there) < len(every):
            there_said = {q: {world[q] for world in there} for q in rule.when if answers.get(q) is None}
            needs = {q: tuple(a for a in rule.when[q] if a in said) for q, said in there_said.items()}
            needs = {q: said for q, said in needs.items() if set(said) != {world[q] for world in every}}
        found.setdefault(rule.method, []).append(Reason(rule, needs))
    at = {rule: k for k, rule in enumerate(dict.fromkeys(r for holding in spoken for r in holding))}
    by_weight = {m: sorted(rs, key=lambda r: (not r.holds, -abs(r.rule.weight), at[r.rule])) for m, rs in found.items()}
    return {method: tuple(reasons) for method, reasons in by_weight.items()}


@lru_cache(maxsize=8)
def _named(rules: tuple[Rule, ...]) -> tuple[str, ...]:
    """The methods that the rules name, in reading order, and last no method at all."""
    named = {rule.method for rule in rules}
    return tuple(name for name in (*registry.list_methods(), NONE) if name in named)


@lru_cache(maxsize=64)
def _is_beside(method: str) -> bool:
    return method != NONE and registry.method(method).role in BESIDE
