"""Which lines a board is drawn for: a method's own or a user's, in the array's order of axes, with factors' sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..boards import lines
from ..definition import Definition, from_line
from ..errors import PatternError
from ..fitting import arranged
from ..pattern import Pattern, parse
from .partition import is_past

__all__ = ["Fitted", "of_line", "of_method", "read_line", "stand_in"]

Fitted = tuple[str, Pattern, dict[str, int]]
"""The option that chooses the line, the line in the array's order, and the sizes of its factors."""
Shape = tuple[int, ...]


def of_method(
    definition: Definition, layout: str, shape: Shape, groups: int, *, training: bool
) -> Iterator[Fitted]:
    """The lines of a method that have a form on an array of that layout and shape."""
    options = definition.validate({o.name: groups for o in definition.options if o.factor is not None})
    for name, line in lines(definition).items():
        if len(line.terms) != len(shape) and "..." not in line.names:
            continue
        own = line.arrange(layout)
        if isinstance(definition.pools, str) and definition.forward is None:
            own = arranged(definition, options, layout, 1, not training and is_past(definition))
        sizes = definition.factor_sizes(options, _channels(layout, shape))
        if not own.pooled:  # nothing is left between its brackets: as it is written, it still pools no axis at all
            own = line
        yield name, own, {k: v for k, v in sizes.items() if k in own.names}


def of_line(line: str, sizes: Mapping[str, int], layout: str, groups: int) -> Fitted:
    """A user's line in the layout's order; in its own where it has other names, as `nl.shares` reads it."""
    pattern = parse(line)
    try:
        own = pattern.arrange(layout)
    except PatternError:
        own = pattern
    if not own.pooled:
        own = pattern
    return "", own, {**sizes, **dict.fromkeys(_open(own, sizes), groups)}


def read_line(text: str) -> tuple[str, dict[str, int]]:
    """A line and the sizes behind its colon. Raises PatternError."""
    line, colon, tail = text.partition(":")
    sizes = {}
    for part in tail.split(",") if colon else ():
        name, equals, size = (piece.strip() for piece in part.partition("="))
        if not equals or not size.isdecimal() or len(size) > 9:
            raise PatternError(f"{text!r}: a size must be written name=number, as in ':g=2', got {part.strip()!r}.")
        sizes[name] = int(size)
    return line.strip(), sizes


def stand_in(line: str, sizes: Mapping[str, int]) -> Definition | None:
    """A definition of that line, which knows of running statistics; None for one that cannot stand in a network."""
    parse(line)
    try:
        return from_line(line, sizes)
    except PatternError:
        return None


def _channels(layout: str, shape: tuple[int, ...]) -> int:
    """The size of the axis that a layout calls c; of a weight, its outputs."""
    if "o" in layout.split():
        return shape[0]
    return shape[-1] if layout.endswith(" c") else shape[1]


def _open(pattern: Pattern, given: Mapping[str, int]) -> Iterator[str]:
    """Of each split axis that no size was given for, the outermost factor."""
    for term in pattern.terms:
        if len(term.factors) > 1 and not any(f.name in given for f in term.factors):
            yield term.factors[0].name
