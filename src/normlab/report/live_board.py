"""The boards of a `normlab.board/1` document, drawn cell by cell: values, sets, and the arithmetic of each set.

On the page every cell can be pointed at and reached by arrow keys (`live`); in a saved report, which runs no script,
the sets can, as on the other boards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..language import both
from .board_arithmetic import cell_name, position, reading, steps, value_of
from .board_words import LEARNT, statistic_names, who_shares
from .drawing import Drawing, Text, tint
from .numerals import amount
from .parts import Cell, Table

__all__ = ["LiveBoard", "headline", "live_boards"]

_CELL_W, _CELL_H, _GAP_W, _GAP_H, _LEFT, _TOP = 33.0, 29.0, 8.0, 8.0, 34.0, 22.0
_PAST = "#d9d9d9"  # of what comes from the past
_INK = "#16191d"


@dataclass(frozen=True)
class LiveBoard:
    """One board: its picture, its line, what is said beside it, and the numbers behind it."""

    key: str
    title: Text
    line: str
    option: str
    axis: str
    picture: str
    says: Text | None
    inventory: Sequence[Text]
    note: Text | None
    tables: Sequence[Table]


@dataclass(frozen=True)
class _Place:
    """Where a cell stands: its card, its row, its place in the small grid; and its index in the array's order."""

    card: int
    row: int
    high: int
    wide: int
    index: int


def live_boards(document: Mapping[str, Any], lang: str, *, live: bool = True, key: str = "board") -> list[LiveBoard]:
    """Every board of the document; one for a method whose sets overlap; none where nothing is pooled."""
    if document["windows"] is not None:
        return [_window_board(document, lang, live, f"{key}-0")]
    return [_one(document, board, lang, live, f"{key}-{k}") for k, board in enumerate(document["boards"])]


def headline(document: Mapping[str, Any]) -> Text:
    """The first sentence: the inventory or, where several lines carry one name, that they differ here."""
    boards, windows = document["boards"], document["windows"]
    if windows is not None:
        return both("Every element has a sum of its own, over a window of {size} channels.", size=windows["size"])
    if len(boards) > 1:
        return both(
            "This name stands for {n} partitions, which differ on these data: compare the boards.", n=len(boards)
        )  # fmt: skip
    if boards:
        counted = {lang: f"{text[:1].upper()}{text[1:]}." for lang, text in _inventory(boards[0])[0].items()}
        return _says(document, boards[0]) or counted
    if document["pools"]:
        return both("It acts on tables, one row for each sample: choose dense data.")
    return both("Nothing is pooled: no elements share a mean or a variance.")


def _says(document: Mapping[str, Any], board: Mapping[str, Any]) -> Text | None:
    """Who shares one statistic, in a sentence."""
    if not board["line"]:
        return None
    one, _ = statistic_names(board["centre"], board["spread"])
    return who_shares(board["line"], one, tokens="t" in document["axes"])


def _one(document: Mapping[str, Any], board: Mapping[str, Any], lang: str, live: bool, key: str) -> LiveBoard:
    if board["line"]:
        title = both("Which elements share a statistic: {line}", line=board["line"])
    else:
        title = both("one number for the whole weight matrix")
    inventory = _inventory(board)
    sheet = _Sheet.of(document)
    drawing = sheet.drawing(lang)
    order: dict[int, list[int]] = {}
    for index, number in enumerate(board["numbers"]):
        order.setdefault(number, []).append(index)
    for number, members in order.items():
        words, how = reading(board, number, len(members)), steps(board, number)
        _open_set(drawing, live, number, words, how)
        for index in members:
            y = None if board["normalized"] is None else board["normalized"][index]
            _cell(drawing, sheet, index, number, _PAST if board["past"] else tint(number), live, y)
        _close_set(drawing, live, words)
    picture = _finished(drawing, live, title, inventory[0], key)
    tables = [_sets_table(board, order), _cells_table(sheet, board["numbers"], board["normalized"])]
    return LiveBoard(
        key, title, board["line"], board["option"].replace("'", ""), board["axis"], picture, _says(document, board),
        inventory, board["refused"], tables,
    )  # fmt: skip


def _window_board(document: Mapping[str, Any], lang: str, live: bool, key: str) -> LiveBoard:
    """Every element has a sum of its own; the windows of neighbours overlap, so each cell names its window."""
    windows = document["windows"]
    sheet = _Sheet.of(document)
    drawing = sheet.drawing(lang)
    for k, seen in enumerate(windows["seen"]):
        words = both(
            "sum {k}: the squares of these {n} add up to {total}", k=k, n=len(seen), total=amount(windows["sums"][k])
        )
        _open_set(drawing, live, k, words, "{x} → {y}", " ".join(map(str, seen)))
        _cell(drawing, sheet, k, k, tint(0), live, windows["normalized"][k])
        _close_set(drawing, live, words)
    title = both("A sliding window over {size} channels", size=windows["size"])
    inventory = [
        both(
            "every element has a sum of its own, over a window of {size} channels; at the edge the window is cut",
            size=windows["size"],
        ),
        both("Needs two samples or more: no."),
        both("No other sample takes part; evaluation is the same as training."),
    ]  # fmt: skip
    picture = _finished(drawing, live, title, inventory[0], key)
    numbers = list(range(len(document["values"])))
    table = _cells_table(sheet, numbers, windows["normalized"])
    return LiveBoard(key, title, "", "", "", picture, None, inventory, None, [table])


def _inventory(board: Mapping[str, Any]) -> list[Text]:
    """How many statistics of how many elements; whether two samples are needed; what evaluation uses."""
    if not board["line"]:
        return [both("one number for the whole weight matrix"), both("It acts on weights: no sample takes part.")]
    one, several = statistic_names(board["centre"], board["spread"])
    sets, count = len(board["sets"]), board["count"]
    found: list[Text]
    if sets == 1:
        found = [both("1 {statistic} of all {count} elements", statistic=one, count=count)]
    else:
        found = [both("{sets} {statistics}, {count} elements each", sets=sets, statistics=several, count=count)]
    if board["acts_on"] == "weight":
        return [*found, both("It acts on weights: no sample takes part.")]
    if board["acts_on"] == "input":
        return [*found, both(LEARNT)]
    if board["refused"] is None:
        yes, no = both("Needs two samples or more: yes."), both("Needs two samples or more: no.")
        found.append(yes if board["needs_two"] else no)
    if board["past"]:
        found.append(both("These numbers come from the past: running statistics, here of one earlier batch."))
    elif board["evaluation"] == "past":
        found.append(both("In evaluation these numbers come from the past: running statistics."))
    elif board["evaluation"] == "batch":
        found.append(both("Other samples take part, in training and in evaluation."))
    else:
        found.append(both("No other sample takes part; evaluation is the same as training."))
    return found


@dataclass(frozen=True)
class _Sheet:
    """Where each element of the array stands: a card for each sample, a row for each channel, small grids in them."""

    document: Mapping[str, Any]
    places: Sequence[_Place]
    high: int
    wide: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> _Sheet:
        places = []
        for index in range(len(document["values"])):
            card, *others = position(document["shape"], index)
            if "t" in document["axes"]:  # (n, t, c): a row for each channel, the tokens side by side
                others = [others[1], 0, others[0]]
            row, high, wide = [*others, 0, 0][:3]
            places.append(_Place(card, row, high, wide, index))
        return cls(document, places, places[-1].high + 1, places[-1].wide + 1)

    @property
    def names(self) -> tuple[str, str]:
        """What a card and a row stand for."""
        axes = self.document["axes"]
        return axes[0], "c" if "c" in axes else axes[1]

    def corner(self, place: _Place) -> tuple[float, float]:
        """The upper left corner of a cell."""
        x = _LEFT + place.card * (self.wide * _CELL_W + _GAP_W) + place.wide * _CELL_W
        return x, _TOP + place.row * (self.high * _CELL_H + _GAP_H) + place.high * _CELL_H

    def drawing(self, lang: str) -> Drawing:
        """The empty board with the names of its cards and rows."""
        right, bottom = self.corner(self.places[-1])
        drawing = Drawing(right + _CELL_W, bottom + _CELL_H + _GAP_H + 16, lang)
        for place in self.places:
            x, y = self.corner(place)
            if place.row == place.high == place.wide == 0:
                drawing.text(x, 13, f"{self.names[0]} = {place.card}", size=10.5, quiet=True)
            if place.card == place.high == place.wide == 0:
                middle = y + self.high * _CELL_H / 2 + 3
                drawing.text(0, middle, f"{self.names[1]} = {place.row}", size=10.5, quiet=True)
        return drawing


def _open_set(
    drawing: Drawing, live: bool, number: int, words: Text, how: str, window: str | None = None
) -> None:
    """Begin the group of one set; on the page it carries its sentence, its formula and who is in it."""
    common: dict[str, Any] = {"class_": "set", "data_set": number, "fill": _INK}
    if not live:
        drawing.open(**common, tabindex="0", role="img")
        drawing.note(words)
        return
    common |= {} if window is None else {"data_window": window}
    drawing.open(**common, role="group", aria_label=number, data_how=how, data_words_en=words["en"],
                 data_words_ko=words["ko"])  # fmt: skip


def _close_set(drawing: Drawing, live: bool, words: Text) -> None:
    """End it; where no script can, the set shows its own sentence below the board."""
    if not live:
        foot = drawing.height - 4
        drawing.text(0, foot, words, size=10.5, class_="readout", visibility="hidden", fill="currentColor")
    drawing.close()


def _cell(drawing: Drawing, sheet: _Sheet, index: int, number: int, fill: str, live: bool, y: float | None) -> None:
    x, top = sheet.corner(sheet.places[index])
    if live:
        # What a window divides by is so near to 1 that three digits would not show it.
        shown = {} if y is None else {"data_y": amount(y, 5 if sheet.document["windows"] else 3)}
        name = cell_name(sheet.document, index)
        drawing.open(role="option", tabindex=-1 if index else 0, aria_label=name, **shown)
    wide, high = _CELL_W - 2, _CELL_H - 2
    drawing.path(f"M{x:g} {top:g}h{wide:g}v{high:g}h{-wide:g}z", fill=fill)
    drawing.text(x + 3, top + 12, str(number), size=11, bold=True)
    drawing.text(x + wide - 3, top + high - 4, value_of(sheet.document, index), size=9.5, anchor="end")
    if live:
        drawing.close()


def _finished(drawing: Drawing, live: bool, title: Text, words: Text, key: str) -> str:
    svg = drawing.svg(title, words)
    if not live:
        return svg
    # A picture has no parts to a screen reader; this one is a list to choose from.
    return svg.replace('role="img"', f'role="listbox" aria-labelledby="{key}-title"', 1)


def _sets_table(board: Mapping[str, Any], order: Mapping[int, Sequence[int]]) -> Table:
    """A row for each statistic."""
    head: list[Cell] = [both("statistic"), both("elements")]
    columns: list[tuple[str, Text]] = [("mean", both("mean"))] if board["centre"] else []
    columns += [("square", _square_name(board))] if board["spread"] in ("std", "rms", "l2") else []
    rows: list[Sequence[Cell]] = [
        [str(k), str(len(members)), *(amount(board["sets"][k][name]) for name, _ in columns)]
        for k, members in order.items()
    ]
    return Table(both("The statistics, each with its number"), [*head, *(word for _, word in columns)], [(None, rows)])


def _square_name(board: Mapping[str, Any]) -> Text:
    if board["spread"] == "l2":
        return both("sum of the squares")
    return both("variance") if board["spread"] == "std" else both("mean of the squares")


def _cells_table(sheet: _Sheet, numbers: Sequence[int], normalized: Sequence[float] | None) -> Table:
    """A row for each card and row of the board, a column for each place: statistic, value, what comes out."""
    first, second = sheet.names
    rows: dict[tuple[int, int], list[Cell]] = {}
    for place in sorted(sheet.places, key=lambda p: (p.card, p.row, p.high, p.wide)):
        k = place.index
        row = rows.setdefault((place.card, place.row), [f"{first} = {place.card}, {second} = {place.row}"])
        out = "" if normalized is None else f" → {amount(normalized[k])}"
        row.append(f"{numbers[k]}: {value_of(sheet.document, k)}{out}")
    caption = both("The elements: the number of the statistic, the value and, behind the arrow, what comes out")
    head: list[Cell] = [both("place"), *(str(k) for k in range(sheet.high * sheet.wide))]
    return Table(caption, head, [(None, list(rows.values()))], "sample")
