"""The notation: what can be read, what cannot and why, and which elements share a statistic."""

from __future__ import annotations

import keyword
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normlab as nl
from normlab.errors import PatternError, ShapeError, UsageError
from normlab.notation import RESERVED
from normlab.pattern import Pattern, parse, parse_plain
from references import number_sets

READABLE = (
    "[n] c [...]", "... [c]", "n [c] ...", "n [c ...]", "n c [...]", "n (g [c]) [...]", "[n c ...]", "(k [n]) c [...]",
    "o [i ...]", "[...]", "[a]", "n ([g] c)", "[(g c)] ...", "(a [b c] d)", "[n] (g [c]) ...", "a (b [c]) (d [e f])",
    "한글 [값]", "n [_c1]",
)  # fmt: skip


@pytest.mark.parametrize("line", READABLE)
def test_a_line_reads_back_as_it_was_written(line: str) -> None:
    assert str(parse(line)) == line
    assert parse(str(parse(line))) == parse(line)


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("  [n]   c  [...] ", "[n] c [...]"),
        ("[n] [c] [...]", "[n c ...]"),
        ("n ([g] [c])", "n [(g c)]"),
        ("n ([g c])", "n [(g c)]"),
        ("n [ ( g c ) ]", "n [(g c)]"),
        ("(a [b] [c] d)", "(a [b c] d)"),
        ("[n\tc]", "[n c]"),
    ],
)
def test_lines_that_mean_the_same_are_the_same(line: str, same: str) -> None:
    assert parse(line) == parse(same)
    assert str(parse(line)) == same


@pytest.mark.parametrize(
    ("line", "why", "at"),
    [
        ("n [c", "this '[' is never closed", 3),
        ("n c]", "this ']' closes nothing", 4),
        ("n (g [c]", "this '(' is never closed", 3),
        ("n g [c])", "this ')' closes nothing", 8),
        ("[n [c]]", "square brackets do not nest", 4),
        ("n ((g h) [c])", "parentheses do not nest", 4),
        ("n ([g) c]", "brackets and parentheses must not cross", 6),
        ("n [(g] c)", "brackets and parentheses must not cross", 6),
        ("n (g [c)] x", "brackets and parentheses must not cross", 8),
        ("n [] c", "these brackets are empty", 4),
        ("n (g []) c", "these brackets are empty", 7),
        ("n (g) [c]", "parentheses split an axis into two or more names", 3),
        ("n () [c]", "parentheses split an axis into two or more names", 3),
        ("n (g ...) [c]", "'...' cannot stand inside parentheses", 6),
        ("n [n]", "'n' stands twice", 4),
        ("... [c] ...", "'...' stands twice", 9),
        ("n (g [n])", "'n' stands twice", 7),
        ("2c [n]", "'2c' is no name", 1),
        ("n, [c]", "',' is no name", 2),
        ("n [c] ..", "'.' is no name", 7),
        ("n [c] ....", "'.' is no name", 10),
        ("n [c-d]", "'-' is no name", 5),
        ("n[c]", "put a space before '['", 2),
        ("n [c]d", "put a space before 'd'", 6),
        ("n (g [c])[...]", "put a space before '['", 10),
        ("(g h)(c [d])", "put a space before '('", 6),
        ("n ...[c]", "put a space before '['", 6),
        ("n [class]", "'class' is reserved and cannot name an axis", 4),
        ("n [None]", "'None' is reserved and cannot name an axis", 4),
        ("{n} [c]", "'{' is no name", 1),
        ("n [c]\n;", "';' is no name", 7),
    ],
)
def test_an_error_says_where_and_why(line: str, why: str, at: int) -> None:
    with pytest.raises(PatternError) as caught:
        parse(line)
    message = str(caught.value)
    assert why in message
    assert f"at character {at}" in message
    assert message.endswith(" " * (at - 1) + "^")


@pytest.mark.parametrize("name", [*RESERVED, *keyword.kwlist])
def test_a_reserved_name_cannot_be_an_axis(name: str) -> None:
    for line in (f"n [{name}]", f"{name} [n]", f"n ({name} [g])"):
        with pytest.raises(PatternError, match="reserved"):
            parse(line)
    with pytest.raises(PatternError, match="reserved"):
        parse_plain(f"n {name}")


def test_the_reserved_names_are_the_keywords_of_normalize_and_shares() -> None:
    import inspect

    taken = {*inspect.signature(nl.normalize).parameters, *inspect.signature(nl.shares).parameters} - {"sizes"}
    assert taken == set(RESERVED)


@pytest.mark.parametrize("line", ["", "   ", "n c", "...", "n (g c)"])
def test_a_line_must_pool_something(line: str) -> None:
    with pytest.raises(PatternError, match=r"empty|square brackets"):
        parse(line)


@pytest.mark.parametrize("line", [None, 3, b"n [c]", ["n", "[c]"], ("n",), {}])
def test_a_line_must_be_text(line: Any) -> None:
    for read in (parse, parse_plain, lambda text: nl.shares(text, (2, 3))):
        with pytest.raises(PatternError, match="must be text"):
            read(line)


def test_a_plain_line_has_no_brackets() -> None:
    assert parse_plain("").terms == ()
    with pytest.raises(PatternError, match="no square brackets here"):
        parse_plain("n [c]")


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


@pytest.mark.parametrize(
    ("line", "layout", "arranged"),
    [
        ("n (g [c]) [...]", "n ... c", "n [...] (g [c])"),
        ("n (g [c]) [...]", "n c ...", "n (g [c]) [...]"),
        ("n (g [c]) [...]", "... c", "[...] (g [c])"),
        ("[n] c [...]", "n ... c", "[n ...] c"),
        ("[n] c [...]", "... c", "[...] c"),
        ("[n] c [...]", "c ... n", "c [... n]"),
        ("[n] c [...]", "n c", "[n] c"),
        ("... [c]", "n c ...", "n [c] ..."),
        ("... [c]", "c ...", "[c] ..."),
        ("n [c ...]", "n ... c", "n [... c]"),
        ("(k [n]) c [...]", "n ... c", "(k [n]) [...] c"),
        ("o [i ...]", "i o ...", "[i] o [...]"),
        ("o [i ...]", "... i o", "[... i] o"),
    ],
)
def test_a_layout_only_orders(line: str, layout: str, arranged: str) -> None:
    assert str(parse(line).arrange(layout)) == arranged


@pytest.mark.parametrize("layout", ["n ...", "n [c]", "n c c", "n ... ...", "n (g c) ...", "n h c", "", "n q", "channels ..."])
def test_a_layout_names_the_channels_once(layout: str) -> None:
    with pytest.raises(PatternError):
        parse("[n] c [...]").arrange(layout)


def test_a_layout_cannot_name_what_the_line_does_not_have() -> None:
    with pytest.raises(PatternError, match="names 'n'"):
        parse("[c]").arrange("n c")


@pytest.mark.parametrize("line", ["[n] c [...]", "n [c ...]", "n (g [c]) [...]", "n c [...]", "... [c]"])
@pytest.mark.parametrize("layout", ["n c ...", "n ... c", "c ... n", "c n ...", "... c n"])
def test_a_layout_never_changes_what_is_pooled(line: str, layout: str) -> None:
    shape = {"n": 2, "c": 4, "...": (3, 2)}
    sizes = {"g": 2} if "g" in line else {}
    usual = nl.shares(parse(line).arrange("n c ..."), (2, 4, 3, 2), **sizes)
    lengths: list[int] = []
    axes: list[int] = []
    for word in layout.split():
        lengths += shape["..."] if word == "..." else [shape[word]]
        axes += [2, 3] if word == "..." else [{"n": 0, "c": 1}[word]]
    other = nl.shares(parse(line).arrange(layout), tuple(lengths), **sizes)
    pairs = set(zip(usual.transpose(axes).ravel(), other.ravel(), strict=True))
    assert len(pairs) == usual.max() + 1 == other.max() + 1


@pytest.mark.parametrize(
    ("affine", "own", "target"),
    [
        ("c", (3,), (1, 1, 3, 1)),
        ("g", (2,), (1, 2, 1, 1)),
        ("(g c)", (6,), (1, 2, 3, 1)),
        ("g c", (2, 3), (1, 2, 3, 1)),
        ("n c", (5, 3), (5, 1, 3, 1)),
        ("", (), (1, 1, 1, 1)),
        ("...", (4,), (1, 1, 1, 4)),
        ("n (g c) ...", (5, 6, 4), (5, 2, 3, 4)),
    ],
)
def test_an_affine_line_gives_a_shape_and_its_place(affine: str, own: tuple[int, ...], target: tuple[int, ...]) -> None:
    assert parse("n (g [c]) [...]").plan((5, 6, 4), {"g": 2}).align(affine) == (own, target)


@pytest.mark.parametrize(
    ("affine", "message"),
    [("d", "names 'd'"), ("c g", "must follow the order"), ("c n", "must follow the order"), ("[c]", "no square brackets")],
)
def test_an_affine_line_must_follow_the_pattern(affine: str, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        parse("n (g [c]) [...]").plan((5, 6, 4), {"g": 2}).align(affine)


def test_patterns_are_read_once() -> None:
    assert parse("n [c] ...") is parse("n [c] ...")
    assert isinstance(parse("[n]"), Pattern)
