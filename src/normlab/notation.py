"""Reads a line of the notation into terms, or says where and why it cannot be read."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from dataclasses import dataclass

from .errors import PatternError

__all__ = ["RESERVED", "REST", "Factor", "Term", "read"]

REST = "..."
# These are keywords of `nl.normalize` and `nl.shares`: an axis of that name could not be given a size.
RESERVED = ("x", "pools", "shape", "centre", "spread", "eps", "eps_rule", "weight", "bias", "affine")
_TOKEN = re.compile(r"\s+|\.\.\.|[\[\]()]|\w+|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Factor:
    """One named part of an axis (or `...`), and whether the elements along it are pooled."""

    name: str
    pooled: bool


@dataclass(frozen=True, slots=True)
class Term:
    """One axis of the array: a single factor, `...`, or two or more factors split by parentheses."""

    factors: tuple[Factor, ...]

    @property
    def name(self) -> str | None:
        """The axis's name where it is not split."""
        return self.factors[0].name if len(self.factors) == 1 else None

    def __str__(self) -> str:
        if len(self.factors) > 1 and all(f.pooled for f in self.factors):
            return "[(" + " ".join(f.name for f in self.factors) + ")]"
        words = [f"[{f.name}]" if f.pooled else f.name for f in self.factors]
        return words[0] if len(words) == 1 else "(" + " ".join(words).replace("] [", " ") + ")"


def read(text: str, empty: bool = False) -> tuple[Term, ...]:
    """The terms of a line. Raises PatternError that says where and why; `empty`: a line of no terms will do."""

    def fail(at: int, why: str) -> PatternError:
        return PatternError(f"{text!r}: {why}, at character {at + 1}:\n  {text}\n  {' ' * at}^")

    terms: list[Term] = []
    seen: set[str] = set()
    group: list[Factor] | None = None  # the factors of an open parenthesis
    group_at = bracket_at = -1
    bracket_in_group = False
    filled = spaced = True  # filled: the open bracket holds something; spaced: the next item may begin here
    for match in _TOKEN.finditer(text):
        token, at = match.group(), match.start()
        if token.isspace():
            spaced = True
            continue
        if token not in ")]([" and token != REST and not token.isidentifier():
            raise fail(at, f"{token!r} is no name")
        if token not in ")]" and not spaced:
            raise fail(at, f"put a space before {token!r}")
        spaced = token in "(["
        if token == "[":
            if bracket_at >= 0:
                raise fail(at, "square brackets do not nest")
            bracket_at, bracket_in_group, filled = at, group is not None, False
        elif token == "]":
            if bracket_at < 0:
                raise fail(at, "this ']' closes nothing")
            if bracket_in_group != (group is not None):
                raise fail(at, "brackets and parentheses must not cross")
            if not filled:
                raise fail(at, "these brackets are empty")
            bracket_at = -1
        elif token == "(":
            if group is not None:
                raise fail(at, "parentheses do not nest")
            group, group_at, filled = [], at, True
        elif token == ")":
            if group is None:
                raise fail(at, "this ')' closes nothing")
            if bracket_at >= 0 and bracket_in_group:
                raise fail(at, "brackets and parentheses must not cross")
            if len(group) < 2:
                raise fail(group_at, "parentheses split an axis into two or more names")
            terms.append(Term(tuple(group)))
            group = None
        else:
            _check_name(token, at, seen, group is not None, fail)
            factor = Factor(token, bracket_at >= 0)
            filled = True
            if group is None:
                terms.append(Term((factor,)))
            else:
                group.append(factor)
    if group is not None:
        raise fail(group_at, "this '(' is never closed")
    if bracket_at >= 0:
        raise fail(bracket_at, "this '[' is never closed")
    if not terms and not empty:
        raise PatternError("the line of notation is empty; write for example 'n c [...]'.")
    return tuple(terms)


def _check_name(token: str, at: int, seen: set[str], inside: bool, fail: Callable[[int, str], PatternError]) -> None:
    if token == REST:
        if inside:
            raise fail(at, "'...' cannot stand inside parentheses")
    elif token in RESERVED or keyword.iskeyword(token):
        raise fail(at, f"{token!r} is reserved and cannot name an axis")
    if token in seen:
        raise fail(at, f"{token!r} stands twice")
    seen.add(token)
