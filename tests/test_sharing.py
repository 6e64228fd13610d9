"""Which elements share a statistic: `nl.shares` and plans against counting, one element after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normlab as nl
from normlab.errors import PatternError, ShapeError, UsageError
from normlab.pattern import parse
from references import number_sets

# Lines made at random: names, at most one `...`, parentheses of two to three factors, and brackets anywhere they may be.
NAMES = st.lists(st.sampled_from("abcdefghijkm"), min_size=1, max_size=8, unique=True)


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, tuple[int, ...], dict[str, int]]:
    """A line, a shape that fits it, and the sizes of all factors but one of each axis."""
    names = draw(NAMES)
    terms: list[str] = []
    shape: list[int] = []
    sizes: dict[str, int] = {}
    rest = draw(st.integers(-1, 2))  # -1: no `...`
    place = draw(st.integers(0, len(names)))
    pooled_any = False
    while names:
        if len(terms) >= place and rest >= 0:
            pooled = draw(st.booleans())
            pooled_any |= pooled
            terms.append("[...]" if pooled else "...")
            shape += [draw(st.integers(1, 3)) for _ in range(rest)]
            rest = -1
        count = min(draw(st.sampled_from([1, 1, 2, 3])), len(names))
        own, names = names[:count], names[count:]
        flags = [draw(st.booleans()) for _ in own]
        pooled_any |= any(flags)
        lengths = [draw(st.integers(1, 3)) for _ in own]
        words = [f"[{n}]" if f else n for n, f in zip(own, flags, strict=True)]
        terms.append(words[0] if count == 1 else f"({' '.join(words)})")
        shape.append(int(np.prod(lengths)))
        if count > 1:
            left_out = draw(st.integers(0, count))  # count: give them all
            sizes |= {n: s for k, (n, s) in enumerate(zip(own, lengths, strict=True)) if k != left_out}
    if not pooled_any:
        terms.append("[z]")
        shape.append(2)
    return " ".join(terms), tuple(shape), sizes


@settings(derandomize=True, deadline=None, max_examples=200)
@given(lines())
def test_any_line_survives_writing_and_reading(made: tuple[str, tuple[int, ...], dict[str, int]]) -> None:
    pattern = parse(made[0])
    assert parse(str(pattern)) == pattern
    assert set(pattern.pooled) | set(pattern.kept) == set(pattern.names)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(lines())
def test_shares_numbers_as_counting_one_element_after_the_other_does(
    made: tuple[str, tuple[int, ...], dict[str, int]],
) -> None:
    line, shape, sizes = made
    numbers = nl.shares(line, shape, **sizes)
    assert numbers.dtype == np.int64 and numbers.shape == shape
    assert np.array_equal(numbers, by_counting(line, shape, sizes))
    plan = parse(line).plan(shape, sizes)
    assert plan.sets * plan.count == numbers.size and plan.sets == numbers.max() + 1
    assert np.all(np.bincount(numbers.ravel()) == plan.count)


def by_counting(line: str, shape: tuple[int, ...], sizes: dict[str, int]) -> np.ndarray:
    """Row-major numbers of what is not pooled, by a walk over the elements that knows nothing of the package."""
    terms: list[list[tuple[str, bool]]] = []
    inside = False
    for word in line.replace("(", " ( ").replace(")", " ) ").split():
        if word in "()":
            inside = word == "("
            if inside:
                terms.append([])
        elif inside:
            terms[-1].append((word.strip("[]"), word.startswith("[")))
        else:
            terms.append([(word.strip("[]"), word.startswith("["))])
    rest = len(shape) - (len(terms) - any(t[0][0] == "..." for t in terms))
    axes: list[list[tuple[str, bool]]] = []
    for term in terms:
        axes += [term] * rest if term[0][0] == "..." else [term]
    kept: list[tuple[int, ...]] = []
    for index in np.ndindex(*shape):
        key: list[int] = []
        for i, size, parts in zip(index, shape, axes, strict=True):
            known = {n: sizes[n] for n, _ in parts if n in sizes}
            left = [n for n, _ in parts if n not in sizes]
            if left:
                known[left[0]] = size // int(np.prod(list(known.values()) or [1]))
            coordinates = []
            for name, pooled in reversed(parts):
                coordinates.append((i % known[name], pooled))
                i //= known[name]
            key += [c for c, pooled in reversed(coordinates) if not pooled]
        kept.append(tuple(key))
    order = {key: number for number, key in enumerate(sorted(set(kept)))}
    return np.array([order[k] for k in kept], np.int64).reshape(shape)


def test_two_ways_of_counting_agree() -> None:
    """The one in `references` (by roles, for the methods) groups as the one here does (by lines)."""
    for line, sizes in (("n (g [c]) [...]", {"g": 2}), ("[n] c [...]", {}), ("n [c ...]", {}), ("(k [n]) c [...]", {"k": 2})):
        sets, _ = number_sets(line, "n c ...", (4, 6, 3), tuple(sizes.items()))
        numbers = nl.shares(line, (4, 6, 3), **sizes)
        pairs = set(zip(sets.ravel(), numbers.ravel(), strict=True))
        assert len(pairs) == numbers.max() + 1 == sets.max() + 1


def test_shares_is_the_example_of_the_design() -> None:
    numbers = nl.shares("n (g [c]) [...]", (2, 8, 4, 4), g=2)
    assert numbers[0, 3, 2, 1] == 0 and numbers[0, 4, 0, 0] == 1 and numbers[1, 0, 0, 0] == 2 and numbers[1, 7, 3, 3] == 3


def test_shares_of_an_empty_array_is_empty() -> None:
    assert nl.shares("[n] c", (0, 3)).shape == (0, 3)
    assert nl.shares("n (g [c])", (2, 0), g=2).shape == (2, 0)


@pytest.mark.parametrize("size", [np.int8(2), np.int64(2), np.uint32(2), 2])
def test_a_size_may_be_any_whole_number(size: Any) -> None:
    assert nl.shares("n (g [c])", (1, 6), g=size).max() == 1


@pytest.mark.parametrize("size", [True, False, np.True_, 2.0, np.float64(2), "2", None, 2j, [2], np.array([2, 2])])
def test_a_size_must_be_a_whole_number(size: Any) -> None:
    with pytest.raises(PatternError, match="size of 'g' must be a whole number"):
        nl.shares("n (g [c])", (1, 6), g=size)


@pytest.mark.parametrize(
    ("line", "shape", "sizes", "error", "message"),
    [
        ("n (g [c])", (1, 6), {"g": 4}, ShapeError, "g=4 does not divide axis 1 of size 6"),
        ("n (g [c])", (1, 6), {"g": 0}, PatternError, "size of 'g' must be at least 1, got 0"),
        ("n (g [c])", (1, 6), {"g": -2}, PatternError, "size of 'g' must be at least 1, got -2"),
        ("n (g [c])", (1, 6), {}, PatternError, "give the size of g or c of axis 1 (size 6)"),
        ("n (g [c])", (1, 6), {"g": 2, "c": 2}, ShapeError, "must give axis 1 of size 6, got 4"),
        ("n (g h [c])", (1, 6), {"g": 2}, PatternError, "give the size of h or c"),
        ("n [c]", (1, 6), {"n": 2}, ShapeError, "n=2 must give axis 0 of size 1"),
        ("n [c]", (1, 6), {"d": 2}, PatternError, "has no axis 'd'; it has n, c"),
        ("n [chan]", (1, 6), {"chna": 2}, PatternError, "has no axis 'chna'; it has chan"),
        ("n [c]", (6,), {}, ShapeError, "needs 2 axes, got 1"),
        ("n [c]", (1, 2, 3), {}, ShapeError, "needs 2 axes, got 3"),
        ("n c [...]", (1,), {}, ShapeError, "needs at least 2 axes, got 1"),
        ("[...]", (), {}, ShapeError, "at least one axis, got a 0-d one"),
        ("[n]", (-1,), {}, ShapeError, "at least 0"),
        ("[n]", (2.5,), {}, ShapeError, "whole number, got 2.5"),
        ("[n]", (True,), {}, ShapeError, "whole number, got True"),
        ("[n]", 5, {}, ShapeError, "a shape must be a tuple"),
    ],
)
def test_a_plan_that_does_not_fit_says_so(
    line: str, shape: Any, sizes: dict[str, Any], error: type[UsageError], message: str
) -> None:
    with pytest.raises(error) as caught:
        nl.shares(line, shape, **sizes)
    assert message in str(caught.value)


def test_every_size_given_is_checked() -> None:
    assert nl.shares("n (g [c]) [...]", (2, 6, 3), g=2, c=3, n=2).max() == 3
