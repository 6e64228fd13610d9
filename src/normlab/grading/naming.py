"""Names a fault: the known mistake, or two of them, whose recipe gives the very numbers that came back.

Nearest does not do: on random inputs of several shapes only the mistake that was made agrees to rounding, so nothing is
named that was not done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .findings import DOUBLE, SINGLE, difference
from .mistakes import Mistake
from .recipe import Given, Recipe, compute

__all__ = ["EPS", "Explanation", "Observation", "explain"]

# What people write for eps. A smaller one than 1e-12 cannot be told from none by a quotient.
EPS = (1e-5, 1e-8, 1e-7, 1e-6, 1e-3, 1e-12, 1e-10, 1e-4, 1e-9, 1e-2, 2.0**-23)


@dataclass(frozen=True)
class Observation:
    """What was given and what came back."""

    given: Given
    y: np.ndarray


@dataclass(frozen=True)
class Explanation:
    """A recipe that gives what came back: the mistakes in it (none: it is right), its eps, and how precisely."""

    keys: tuple[str, ...]
    recipe: Recipe
    eps: float
    single: bool = False
    worst: float = 0.0


def explain(
    observed: Sequence[Observation], start: Recipe, mistakes: Sequence[Mistake], eps_values: Sequence[float],
    *, pairs: bool = True,
) -> Explanation | None:  # fmt: skip
    """The explanation of `observed` with the fewest mistakes, double precision before single; None: none is known."""
    for tolerance in (DOUBLE, SINGLE):
        values = eps_values if tolerance == DOUBLE else eps_values[:1]
        for search in (_none, _one, _two)[: 3 if pairs and tolerance == DOUBLE else 2]:
            for eps in values:
                found = search(_with(observed, eps), start, mistakes, tolerance)
                if found is not None:
                    return replace(found, eps=eps, single=tolerance == SINGLE)
    return None


def _with(observed: Sequence[Observation], eps: float) -> list[Observation]:
    return [replace(o, given=replace(o.given, eps=eps)) for o in observed]


def _none(
    observed: Sequence[Observation], start: Recipe, mistakes: Sequence[Mistake], tolerance: float
) -> Explanation | None:
    return _matched((), start, observed, tolerance)


def _one(
    observed: Sequence[Observation], start: Recipe, mistakes: Sequence[Mistake], tolerance: float
) -> Explanation | None:
    given = observed[0].given
    candidates = (((m.key,), r) for m in mistakes for r in m.change(start, given))
    return _first(candidates, observed, tolerance)


def _two(
    observed: Sequence[Observation], start: Recipe, mistakes: Sequence[Mistake], tolerance: float
) -> Explanation | None:
    return _first(_pairs(observed[0].given, start, mistakes), observed, tolerance)


def _pairs(given: Given, start: Recipe, mistakes: Sequence[Mistake]) -> Iterator[tuple[tuple[str, ...], Recipe]]:
    for k, one in enumerate(mistakes):
        for half in one.change(start, given):
            for other in mistakes[k + 1 :]:
                for recipe in other.change(half, given):
                    yield (one.key, other.key), recipe


def _first(
    candidates: Iterator[tuple[tuple[str, ...], Recipe]], observed: Sequence[Observation], tolerance: float
) -> Explanation | None:
    seen: set[Recipe] = set()
    for keys, recipe in candidates:
        if recipe not in seen:
            seen.add(recipe)
            found = _matched(keys, recipe, observed, tolerance)
            if found is not None:
                return found
    return None


def _matched(
    keys: tuple[str, ...], recipe: Recipe, observed: Sequence[Observation], tolerance: float
) -> Explanation | None:
    worst = 0.0
    for one in observed:
        with np.errstate(all="ignore"):
            off = difference(one.y, compute(recipe, one.given))
        if not off <= tolerance:
            return None
        worst = max(worst, off)
    return Explanation(keys, recipe, 0.0, worst=worst)
