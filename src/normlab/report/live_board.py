"""The boards of a `normlab.board/1` document, drawn cell by cell: values, sets, and the arithmetic of each set.

On the page every cell can be pointed at and reached by arrow keys (`live`); in a saved report, which runs no script,
the sets can, as on the other boards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..language import both
from .board_arithmetic import cell_name, reading, steps, value_of
from .board_sheet import CELL_H, CELL_W, Sheet
from .board_tables import cells_table, sets_table
from .board_words import LEARNT, statistic_names, who_shares
from .drawing import Drawing, Text, tint
from .numerals import amount
from .parts import Table

__all__ = ["LiveBoard", "headline", "live_boards"]

_PAST = "#d9d9d9"  # of what comes from the past
_INK = "#16191d"
_READOUT_W = 330.0  # a set's sentence fits below its board


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
    return who_shares(board["line"], one, document["axes"])


def _one(document: Mapping[str, Any], board: Mapping[str, Any], lang: str, live: bool, key: str) -> LiveBoard:
    if board["line"]:
        title = both("Which elements share a statistic: {line}", line=board["line"])
    else:
        title = both("one number for the whole weight matrix")
    inventory = _inventory(board)
    sheet = Sheet.of(document)
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
    tables = [sets_table(board, order), cells_table(sheet, board["numbers"], board["normalized"])]
    return LiveBoard(
        key, title, board["line"], board["option"].replace("'", ""), board["axis"], picture, _says(document, board),
        inventory, board["refused"], tables,
    )  # fmt: skip


def _window_board(document: Mapping[str, Any], lang: str, live: bool, key: str) -> LiveBoard:
    """Every element has a sum of its own; the windows of neighbours overlap, so each cell names its window."""
    windows = document["windows"]
    sheet = Sheet.of(document)
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
    table = cells_table(sheet, numbers, windows["normalized"])
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
        drawing.width = max(drawing.width, _READOUT_W)
        foot = drawing.height - 4
        drawing.text(0, foot, words, size=10.5, class_="readout", visibility="hidden", fill="currentColor")
    drawing.close()


def _cell(drawing: Drawing, sheet: Sheet, index: int, number: int, fill: str, live: bool, y: float | None) -> None:
    x, top = sheet.corner(sheet.places[index])
    if live:
        # What a window divides by is so near to 1 that three digits would not show it.
        shown = {} if y is None else {"data_y": amount(y, 5 if sheet.document["windows"] else 3)}
        name = cell_name(sheet.document, index)
        drawing.open(role="option", tabindex=-1 if index else 0, aria_label=name, **shown)
    wide, high = CELL_W - 2, CELL_H - 2
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
