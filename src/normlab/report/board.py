"""The sharing board: N cards by C rows by small H x W grids; each cell with its value and the number of its statistic.

What is drawn is read from a definition's fields: its line of notation, its role, its options. No method is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..boards import demonstration, lines, numpy_axes
from ..errors import NormlabError
from ..language import both
from ..sharing import shares
from .board_words import facts_of, statistic_names
from .drawing import Drawing, Text, tint
from .numerals import amount

if TYPE_CHECKING:
    from ..definition import Definition
    from ..pattern import Pattern, Plan

__all__ = ["Board", "boards"]

_CELL_W, _CELL_H, _GAP = 29.0, 23.0, 10.0
# Axes in the array's order, its layout, its size: small enough to draw, and no two axes of a kind alike by accident.
_KINDS = {
    "images": ("n c h w", "n c ...", (2, 4, 2, 2)),
    "tokens": ("n t c", "n ... c", (2, 3, 4)),
    "dense": ("n c", "n c", (4, 4)),
    "weights": ("o i", "o i", (4, 5)),
}


@dataclass(frozen=True)
class Board:
    """One drawn board: what it stands on and under which option, its picture, its inventory line, the numbers."""

    kind: str
    option: str
    heading: Text
    drawing: Drawing
    title: Text
    inventory: Text
    numbers: Sequence[Sequence[Any]]


def boards(definition: Definition, lang: str) -> tuple[list[Board], list[Text]]:
    """The boards of a method and the sentences under them; no board where nothing is pooled, then only sentences."""
    found: list[Board] = []
    facts: list[Text] = []
    if definition.role == "weight":
        found = list(_weights(definition, lang))
        facts.append(both("It acts on weights: no sample takes part."))
        if definition.states:
            names = ", ".join(state.name for state in definition.states)
            facts.append(
                both("It keeps a state, which training moves and evaluation only reads: {names}.", names=names)
            )
    elif definition.pools is not None and "c" in _names(definition):
        for name, pattern in lines(definition).items():
            drawn = [(one.kind, one.numbers) for one in found]
            new = _activations(definition, name, pattern, lang)
            found += [one for one in new if (one.kind, one.numbers) not in drawn]
        facts += facts_of(definition)
    elif _window(definition):
        found = [_sliding(definition, lang)]
        facts.append(
            both("No sets: each element is divided by the size of its neighbours, and neighbours' windows overlap.")
        )
    else:
        facts.append(both("Nothing is pooled: no elements share a mean or a variance."))
    return found, facts


def _names(definition: Definition) -> set[str]:
    return {name for pattern in lines(definition).values() for name in pattern.names}


def _window(definition: Definition) -> int | None:
    """How many neighbours a method without a line looks at: the whole number of its option `size`."""
    size = next((o.default for o in definition.options if o.name == "size"), None)
    return size if isinstance(size, int) and definition.pools is None else None


def _activations(definition: Definition, name: str, pattern: Pattern, lang: str) -> Iterator[Board]:
    # Tokens tell something new only of a method that stands on the last axis, or that has several lines.
    of_tokens = definition.layout.startswith("...") or not isinstance(definition.pools, str)
    for kind in ("images", "tokens", "dense") if of_tokens else ("images", "dense"):
        plan = _fit(definition, pattern, kind)
        if plan is None or (definition.centre and plan.count < 2):
            continue
        heading = both("{kind} ({axes})", kind=_kind(kind), axes=_KINDS[kind][0].replace(" ", ", "))
        yield _board(definition, kind, name.replace("'", ""), heading, plan, lang)


def _weights(definition: Definition, lang: str) -> Iterator[Board]:
    heading = both("weights (o, i): a row for each output unit")
    found = lines(definition)
    for pattern in found.values():
        plan = _fit(definition, pattern, "weights")
        if plan is not None:
            yield _board(definition, "weights", "", heading, plan, lang)
    if not found:
        shape = _KINDS["weights"][2]
        numbers = [[0] * shape[1] for _ in range(shape[0])]
        drawing = _grid([[[row] for row in numbers]], ("", "o"), lang, mean=False)
        words = both("one number for the whole weight matrix")
        yield Board("weights", "", heading, drawing, words, words, numbers)


def _fit(definition: Definition, pattern: Pattern, kind: str) -> Plan | None:
    _, layout, shape = _KINDS[kind]
    sizes = definition.factor_sizes(demonstration(definition), shape[1] if kind != "tokens" else shape[2])
    if "..." not in pattern.names and len(pattern.terms) != len(shape):
        return None
    try:
        return pattern.arrange(layout).plan(shape, {k: v for k, v in sizes.items() if k in pattern.names})
    except NormlabError:  # it needs other axes, or a factor that does not divide this shape
        return None


def _board(definition: Definition, kind: str, option: str, heading: Text, plan: Plan, lang: str) -> Board:
    split = {f.name: plan.size(f.name) for t in plan.pattern.terms if len(t.factors) > 1 for f in t.factors}
    numbers = shares(plan.pattern, plan.shape, **split)
    if kind == "tokens":  # (n, t, c) -> a card per sample, a row per channel, the tokens side by side
        cards = numbers.transpose(0, 2, 1)[:, :, None, :].tolist()
    elif kind == "weights":
        cards = numbers[None, :, None, :].tolist()
    else:
        cards = numbers.reshape(*numbers.shape, *(1,) * (4 - numbers.ndim)).tolist()
    labels = ("", "o") if kind == "weights" else ("n", "c")
    one, several = statistic_names(definition.centre, definition.spread)
    if plan.sets == 1:
        words = both(
            "1 {statistic} of all {count} elements; {axes}", statistic=one, count=plan.count, axes=numpy_axes(plan)
        )
    else:
        words = both(
            "{sets} {statistics}, {count} elements each; {axes}",
            sets=plan.sets,
            statistics=several,
            count=plan.count,
            axes=numpy_axes(plan),
        )
    title = both("Which elements share a statistic: {line}", line=str(plan.pattern))
    drawing = _grid(cards, labels, lang, mean=definition.centre)
    return Board(kind, option, heading, drawing, title, words, numbers.reshape(numbers.shape[0], -1).tolist())


def _grid(cards: Sequence[Any], labels: tuple[str, str], lang: str, *, mean: bool) -> Drawing:
    """Cards side by side, each with a row per channel; the cells of one set form one group that lifts together."""
    rows, high, wide = len(cards[0]), len(cards[0][0]), len(cards[0][0][0])
    card_w, row_h = wide * _CELL_W + 14, high * _CELL_H + 7
    drawing = Drawing(34 + len(cards) * card_w, 24 + rows * row_h + 20, lang)
    for n in range(len(cards)):
        if labels[0]:
            drawing.text(34 + n * card_w, 13, f"{labels[0]} = {n}", size=10, quiet=True)
    for c in range(rows):
        drawing.text(0, 24 + c * row_h + (high * _CELL_H) / 2 + 3, f"{labels[1]} = {c}", size=10, quiet=True)
    sets: dict[int, list[tuple[float, float, int]]] = {}
    order = 0
    for n, card in enumerate(cards):
        for c, grid in enumerate(card):
            for h, line in enumerate(grid):
                for w, number in enumerate(line):
                    place = (34 + n * card_w + w * _CELL_W, 24 + c * row_h + h * _CELL_H, _value(order))
                    sets.setdefault(int(number), []).append(place)
                    order += 1
    for number, cells in sorted(sets.items()):
        _set(drawing, number, cells, 24 + rows * row_h + 12, mean=mean)
    # The figures stand over all sets at once, and let the pointer through to them.
    drawing.open(fill="#16191d", font_size="11", font_weight="700", pointer_events="none")
    _digits(drawing, [(x + 4, y + 14, str(number)) for number, cells in sets.items() for x, y, _ in cells])
    drawing.open(font_size="8.5", font_weight="400")
    _digits(drawing, [(x + 20, y + 18, str(value)) for cells in sets.values() for x, y, value in cells])
    drawing.close()
    drawing.close()
    return drawing


def _set(drawing: Drawing, number: int, cells: Sequence[tuple[float, float, int]], foot: float, *, mean: bool) -> None:
    if mean:
        middle = amount(sum(v for _, _, v in cells) / len(cells))
        words = both("statistic {k}: mean of these {n} = {mean}", k=number, n=len(cells), mean=middle)
    else:
        words = both("statistic {k}: shared by these {n}", k=number, n=len(cells))
    drawing.open(class_="set", tabindex="0", role="img")
    drawing.note(words)
    box = f"h{_CELL_W - 2:g}v{_CELL_H - 2:g}h{2 - _CELL_W:g}z"
    drawing.path("".join(f"M{x:g} {y:g}{box}" for x, y, _ in cells), fill=tint(number))
    drawing.text(34, foot, words, size=10.5, class_="readout", visibility="hidden")
    drawing.close()


def _digits(drawing: Drawing, labels: Sequence[tuple[float, float, str]]) -> None:
    """Short numbers in cells; those of one digit in one row share an element, each digit with a place of its own."""
    rows: dict[float, list[tuple[float, str]]] = {}
    for x, y, words in labels:
        if len(words) == 1:
            rows.setdefault(y, []).append((x, words))
        else:
            drawing.add("text", words, x=x, y=y)
    for y, row in rows.items():
        drawing.add("text", "".join(words for _, words in row), x=" ".join(f"{x:g}" for x, _ in row), y=y)


def _sliding(definition: Definition, lang: str) -> Board:
    """A strip of channels at one place, drawn for three channels: which neighbours each of them looks at."""
    size, channels = _window(definition) or 1, 9
    drawing = Drawing(110 + channels * _CELL_W, 30 + 3 * 36, lang)
    drawing.text(110, 12, both("channels at one place"), size=10, quiet=True)
    table = []
    for k, target in enumerate((0, 4, 8)):
        y = 24.0 + 36 * k
        drawing.text(0, y + 15, both("output of c = {c}", c=target), size=10, quiet=True)
        seen = range(max(0, target - size // 2), min(channels, target + (size - 1) // 2 + 1))
        table.append([target, " ".join(map(str, seen))])
        for c in range(channels):
            x = 110 + c * _CELL_W
            inside = c in seen
            frame = {"stroke_width": "2"} if c == target else {"stroke_opacity": ".28"}
            fill = tint(0) if inside else "none"
            drawing.rect(x, y, _CELL_W - 2, _CELL_H - 2, fill=fill, stroke="currentColor", **frame)
            ink = {"fill": "#16191d"} if inside else {}
            drawing.text(x + 13, y + 14.5, str(c), size=10, anchor="middle", bold=inside, quiet=not inside, **ink)
    title = both("A sliding window over {size} channels", size=size)
    words = both(
        "every element has a sum of its own, over a window of {size} channels; at the edge the window is cut", size=size
    )
    return Board("window", "", both("images (n, c, h, w)"), drawing, title, words, table)


def _kind(kind: str) -> Text:
    return {"images": both("images"), "tokens": both("tokens"), "dense": both("dense")}[kind]


def _value(order: int) -> int:
    """An invented activation of one digit: what the figures in the cells stand for."""
    return (order * 7 + 3) % 10 if order % 3 else (order * 5 + 1) % 9
