"""The notation: `n (g [c]) [...]` says, for an array of that order of axes, which elements share one statistic.

`parse` reads a line, `Pattern.arrange` puts it in the order of a layout, and `Pattern.plan` fits it to a shape. All of
it is plain Python on tuples, cached, and knows no framework: decide and check here, compute elsewhere.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import SupportsIndex

from .errors import PatternError, ShapeError, UsageError, near
from .notation import REST, Factor, Term, read

__all__ = ["REST", "Factor", "Pattern", "Plan", "Term", "names_of", "parse", "parse_plain"]


@dataclass(frozen=True)
class Plan:
    """A pattern fitted to a shape: the shape with its axes split, and which of the split axes are pooled."""

    pattern: Pattern
    shape: tuple[int, ...]
    split: tuple[int, ...]
    names: tuple[str, ...]  # of each split axis; `...` repeats
    pooled: tuple[int, ...]
    kept: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many elements share one statistic."""
        return math.prod(self.split[a] for a in self.pooled)

    @property
    def sets(self) -> int:
        """How many statistics there are."""
        return math.prod(self.split[a] for a in self.kept)

    def size(self, name: str) -> int:
        """The size of the axis or factor called `name`."""
        return self.split[self.names.index(name)]

    def align(self, line: str, who: str = "affine") -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shape of an array whose axes `line` names, and the shape that lets it broadcast over the split axes.

        `line` has no brackets and follows the order of the pattern; `(g c)` is one axis of g*c, `""` a scalar.
        Raises PatternError where a name is not in the pattern or out of order.
        """
        own: list[int] = []
        spread = [1] * len(self.split)
        last = -1
        for term in parse_plain(line).terms:
            axes: list[int] = []
            for factor in term.factors:
                found = [a for a, name in enumerate(self.names) if name == factor.name]
                if not found and factor.name != REST:
                    raise PatternError(
                        f"{who}: {line!r} names {factor.name!r}, which {str(self.pattern)!r} does not have."
                    )
                axes += found
            for axis in axes:
                if axis <= last:
                    raise PatternError(f"{who}: {line!r} must follow the order of {str(self.pattern)!r}.")
                last = axis
                spread[axis] = self.split[axis]
            sizes = [self.split[a] for a in axes]
            own += sizes if term.name == REST else [math.prod(sizes)]
        return tuple(own), tuple(spread)


@dataclass(frozen=True)
class Pattern:
    """A line of the notation, read: one term an axis."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        # Neighbouring pooled axes read as one pair of brackets, as people write them: [c ...].
        return " ".join(str(t) for t in self.terms).replace("] [", " ")

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order, `...` among them."""
        return tuple(f.name for t in self.terms for f in t.factors)

    @property
    def pooled(self) -> tuple[str, ...]:
        """The names inside brackets."""
        return tuple(f.name for t in self.terms for f in t.factors if f.pooled)

    @property
    def kept(self) -> tuple[str, ...]:
        """The names outside brackets: the axes of the statistic."""
        return tuple(f.name for t in self.terms for f in t.factors if not f.pooled)

    def whole(self, line: str) -> str:
        """`line` with every name that is a factor here replaced by its whole axis: "c" under `n (g [c])` is "(g c)"."""
        split = {f.name: t for t in self.terms if len(t.factors) > 1 for f in t.factors}
        words = []
        for term in parse_plain(line).terms:
            owner = split.get(term.name or "")
            words.append("(" + " ".join(f.name for f in owner.factors) + ")" if owner else str(term))
        return " ".join(words)

    def merge(self, roles: tuple[str, ...], used: set[str]) -> Pattern:
        """The pattern with split axes whole again, under their role's name, where no factor but that is in `used`."""
        terms = []
        for term in self.terms:
            role = next((f for f in term.factors if f.name in roles), term.factors[0])
            whole = len(term.factors) > 1 and not used & {f.name for f in term.factors if f is not role}
            terms.append(Term((role,)) if whole else term)
        return Pattern(tuple(terms))

    def widen(self, name: str, count: int) -> Pattern:
        """The pattern with `count` axes in the place of `name` (trailing sizes: `[c]` -> `[c c2 c3]`)."""
        terms: list[Term] = []
        for term in self.terms:
            terms.append(term)
            if term.name == name:
                pooled = term.factors[0].pooled
                terms += [Term((Factor(f"{name}{k}", pooled),)) for k in range(2, count + 1)]
        return Pattern(tuple(terms))

    def arrange(self, layout: str) -> Pattern:
        """The same pools for an array whose axes follow `layout`, a line such as `n ... c`.

        An axis of the layout that the line does not name is treated as its `...` is; one that the layout leaves out is
        an axis the array does not have. Raises PatternError.
        """
        order = parse_plain(layout)
        _check_layout(order, layout)
        # A line of definitions may name the parts of one wide channel axis (`c c2`): they move together.
        owner: dict[str, list[Term]] = {}
        for term in self.terms:
            roles = [f.name for f in term.factors if f.name in order.names]
            role = (
                roles[0]
                if roles
                else next((n for n in order.names if (term.name or "").rstrip("0123456789") == n), None)
            )
            if role is not None:
                owner.setdefault(role, []).append(term)
            elif term.name not in (REST, "n"):
                raise PatternError(f"layout {layout!r} must name an axis of {str(term)!r} in {str(self)!r}.")
        rest = next((t.factors[0].pooled for t in self.terms if t.name == REST), None)
        terms: list[Term] = []
        for name in order.names:
            if name in owner:
                terms += owner[name]
            elif rest is None and name != REST:
                raise PatternError(f"layout {layout!r} names {name!r}, which {str(self)!r} does not have.")
            elif rest is not None:
                terms.append(Term((Factor(name, rest),)))
        return Pattern(tuple(terms))

    def plan(self, shape: tuple[int, ...], sizes: Mapping[str, SupportsIndex] | None = None) -> Plan:
        """Fit the pattern to `shape`; `sizes` gives the factors (one of each axis may be left out), all are checked.

        Raises ShapeError where the shape does not fit, PatternError where a size is unknown or no whole number.
        """
        given = {name: _whole(f"the size of {name!r}", size, PatternError) for name, size in (sizes or {}).items()}
        try:
            lengths = tuple(_whole("the length of an axis", s, ShapeError) for s in shape)
        except TypeError:
            raise ShapeError(f"a shape must be a tuple of whole numbers, got {shape!r}.") from None
        if any(s < 0 for s in lengths):
            raise ShapeError(f"the length of an axis must be at least 0, got shape {lengths}.")
        return _plan(self, lengths, tuple(sorted(given.items())))


def _whole(what: str, value: SupportsIndex, error: type[UsageError]) -> int:
    """`value` as an int. True and False are no sizes, though Python takes them for 1 and 0."""
    try:
        if isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b":
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise error(f"{what} must be a whole number, got {value!r}.") from None


@lru_cache(maxsize=4096)
def _plan(pattern: Pattern, shape: tuple[int, ...], sizes: tuple[tuple[str, int], ...]) -> Plan:
    given = dict(sizes)
    for name, size in sizes:
        if name == REST or name not in pattern.names:
            close = near(name, [n for n in pattern.names if n != REST]) or [n for n in pattern.names if n != REST]
            raise PatternError(f"{str(pattern)!r} has no axis {name!r}; it has {', '.join(close) or 'none'}.")
        if size < 1 and not (size == 0 and 0 in shape):
            raise PatternError(f"the size of {name!r} must be at least 1, got {size}.")
    named = sum(t.name != REST for t in pattern.terms)
    has_rest = named != len(pattern.terms)
    if not shape:
        raise ShapeError(f"{str(pattern)!r} needs an array with at least one axis, got a 0-d one.")
    if len(shape) < named or (len(shape) > named and not has_rest):
        least = "at least " if has_rest else ""
        raise ShapeError(f"{str(pattern)!r} needs {least}{named} axes, got {len(shape)}: shape {shape}.")
    split: list[int] = []
    names: list[str] = []
    pooled: list[int] = []
    axis = 0
    for term in pattern.terms:
        if term.name == REST:
            length = len(shape) - named
            parts = list(shape[axis : axis + length])
            factors = term.factors * length
            axis += length
        else:
            parts = _parts(pattern, term, axis, shape, given)
            factors = term.factors
            axis += 1
        pooled += [len(split) + k for k, f in enumerate(factors) if f.pooled]
        split += parts
        names += [f.name for f in factors]
    kept = tuple(a for a in range(len(split)) if a not in pooled)
    return Plan(pattern, shape, tuple(split), tuple(names), tuple(pooled), kept)


def _parts(pattern: Pattern, term: Term, axis: int, shape: tuple[int, ...], given: Mapping[str, int]) -> list[int]:
    """The sizes of one axis's factors."""
    size = shape[axis]
    missing = [f.name for f in term.factors if f.name not in given]
    product = math.prod(given[f.name] for f in term.factors if f.name in given)
    asked = ", ".join(f"{f.name}={given[f.name]}" for f in term.factors if f.name in given)
    if len(missing) > 1:
        raise PatternError(f"{str(pattern)!r}: give the size of {' or '.join(missing)} of axis {axis} (size {size}).")
    if missing and (product == 0 or size % product):
        raise ShapeError(f"{str(pattern)!r}: {asked} does not divide axis {axis} of size {size}: shape {shape}.")
    if not missing and product != size:
        raise ShapeError(
            f"{str(pattern)!r}: {asked} must give axis {axis} of size {size}, got {product}: shape {shape}."
        )
    return [given.get(f.name, size // product if product else 0) for f in term.factors]


def _check_layout(order: Pattern, layout: str) -> None:
    allowed = {"n", "c", REST} if "o" not in order.names else {"o", "i", REST}
    main = "c" if "o" not in order.names else "o"
    strange = [n for n in order.names if n not in allowed]
    if strange or any(len(t.factors) > 1 for t in order.terms) or main not in order.names:
        raise PatternError(
            f"layout {layout!r} must order n, c and ... (c once, n and ... at most once), as 'n ... c' does."
        )


def parse(text: str) -> Pattern:
    """Read a line that pools something. Raises PatternError that says where and why."""
    pattern = _cached(_checked(text))
    if not pattern.pooled:
        raise PatternError(f"{text!r}: put square brackets round the axes that share one statistic, as in 'n c [...]'.")
    return pattern


def parse_plain(text: str) -> Pattern:
    """Read a line without brackets: a layout, or the axes of a parameter. Raises PatternError."""
    pattern = _cached(_checked(text), empty=True)
    if pattern.pooled:
        raise PatternError(f"{text!r}: no square brackets here: the line only names axes in their order.")
    return pattern


def names_of(text: str) -> tuple[str, ...]:
    """The names of a line without brackets, in order."""
    return parse_plain(text).names


def _checked(text: str) -> str:
    if not isinstance(text, str):
        raise PatternError(f"a line of notation must be text, got {type(text).__name__}.")
    return text


@lru_cache(maxsize=1024)
def _cached(text: str, empty: bool = False) -> Pattern:
    return Pattern(read(text, empty))
