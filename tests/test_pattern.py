"""The notation: what can be read, what cannot and why, and what a layout orders."""

from __future__ import annotations

import keyword
from typing import Any

import pytest

import normlab as nl
from normlab.errors import PatternError
from normlab.notation import RESERVED
from normlab.pattern import Pattern, parse, parse_plain

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
