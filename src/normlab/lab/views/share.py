"""Who shares a mean? The sharing board of every method, and of a line of notation that the user writes."""

from __future__ import annotations

from typing import Any

from ... import registry
from ...board import KINDS, LINE, Setting, board
from ...constraints import Interval, OneOf
from ...experiments.arms import EXPLAINED
from ...language import N_, both
from ...report.live_board import headline, live_boards
from ..advice_shown import ladder
from ..fields import Field, State, Text, address
from ..view import Asked, Shown, View, render

__all__ = ["VIEW", "Line"]

MOST_LETTERS = 120
TRAINING, EVALUATION = "training", "evaluation"
KIND_WORDS = {"images": N_("images"), "tokens": N_("tokens"), "dense": N_("dense")}
MODES = {TRAINING: N_("training"), EVALUATION: N_("evaluation")}


class Line:
    """A line of notation as it is being written: what is wrong with it is said by the board, with the place."""

    said = both("a line of notation of {most} letters at most", most=MOST_LETTERS)

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and len(value) <= MOST_LETTERS and value.isprintable()

    def refused(self) -> tuple[Any, ...]:
        return (1, None, "n" * (MOST_LETTERS + 1))


def _methods() -> list[tuple[str, str | Text]]:
    named: list[tuple[str, str | Text]] = [(LINE, both("a line of your own"))]
    return named + [(d.name, {"en": d.title, "ko": d.title_ko}) for d in registry.methods()]


class Share(View):
    """The board."""

    name, place, path, title = "share", 2, "/share", both("Who shares a mean?")
    template, script = "share.html", "share.js"
    fields = (
        Field("method", both("method"), "batch_norm", OneOf(LINE, *registry.list_methods()), "choice", _methods()),
        Field("line", both("your own line"), "n (g [c]) [...]", Line(), "text"),
        Field("kind", both("data"), KINDS[0], OneOf(*KINDS), "choice", [(k, both(KIND_WORDS[k])) for k in KINDS]),
        Field("mode", both("mode"), TRAINING, OneOf(*MODES), "choice", [(k, both(word)) for k, word in MODES.items()]),
        Field("n", both("N: samples"), 4, Interval(1, 4, whole=True), "range"),
        Field("c", both("C: channels"), 4, Interval(1, 8, whole=True), "range"),
        Field("h", both("H: height"), 2, Interval(1, 2, whole=True), "range"),
        Field("w", both("W: width"), 2, Interval(1, 2, whole=True), "range"),
        Field("groups", both("groups"), 2, Interval(1, 8, whole=True), "range"),
        Field("seed", both("numbers drawn with seed"), 0, Interval(0, 9999, whole=True)),
    )

    def settle(self, state: State) -> tuple[State, list[Text]]:
        """Groups that do not divide the channels become fewer; of a user's own line the refusal is shown."""
        groups, c = state["groups"], state["c"]
        if state["method"] == LINE or c % groups == 0 or not _is_grouped(state["method"]):
            return state, []
        fits = max(g for g in range(1, groups + 1) if c % g == 0)
        note = both("{groups} groups do not divide {c} channels; {fits} are shown.", groups=groups, c=c, fits=fits)
        return {**state, "groups": fits}, [note]

    def show(self, asked: Asked) -> Shown:
        s = asked.state
        document = board(Setting(
            method=s["method"], line=s["line"], kind=s["kind"], n=s["n"], c=s["c"], h=s["h"], w=s["w"],
            groups=s["groups"], training=s["mode"] == TRAINING, seed=s["seed"],
        ))  # fmt: skip
        drawn = live_boards(document, asked.lang)
        said = headline(document)
        html = render(
            "share_board.html", asked.lang, boards=drawn, headline=said,
            past=any(b["past"] for b in document["boards"]), windows=document["windows"] is not None,
            weight="o" in document["axes"], say=_words(), unused=_unused(document),
            own=[self._own_address(s, b) for b in document["boards"]] or [""], card=_card(s["method"]),
            ladder=ladder(document["arm"]) if document["arm"] and _is_arm(s["method"]) else "",
        )  # fmt: skip
        return Shown(html, document["command"], document["python"], document, said)

    def _own_address(self, state: State, one: dict[str, Any]) -> str:
        """The address of a board's line, to be changed."""
        sizes = ",".join(f"{k}={v}" for k, v in one["sizes"].items())
        line = f"{one['line']}:{sizes}" if sizes else one["line"]
        return "" if state["method"] == LINE or not line else address(self.fields, state, method=LINE, line=line)


def _is_grouped(method: str) -> bool:
    return any(option.factor is not None for option in registry.method(method).options)


def _unused(document: dict[str, Any]) -> list[str]:
    """The settings that play no part in this board: they are dimmed."""
    method, axes = document["settings"]["method"], document["axes"]
    grouped = method == LINE or _is_grouped(method)
    kept = {"n", "c", *(["h", "w"] if {"h", "t"} & set(axes) else []), *(["groups"] if grouped else [])}
    return [name for name in ("n", "c", "h", "w", "groups") if name not in kept] + (["line"] if method != LINE else [])


def _is_arm(method: str) -> bool:
    """Whether the ladder can show it, and does not only explain why not."""
    return method == LINE or registry.method(method).role not in EXPLAINED


def _card(method: str) -> str:
    """The short name under which the guide has the method's card; "" for a line."""
    return "" if method == LINE else registry.method(method).short


def _words() -> dict[str, Text]:
    return {
        "how": both("Point at a cell, or move with the arrow keys: everything that shares its statistic is lifted."),
        "past": both("Grey: these numbers come from the past. The batch that you see takes no part in them."),
        "weight": both("A weight: o counts its outputs, i its inputs; N and C set how many."),
        "window": both("The elements of one window are lifted; a neighbour's window overlaps it."),
        "axes": both("In NumPy:"),
        "own": both("Change this line"),
        "card": both("Its card in the guide"),
        "ladder": both("Try it in the ladder"),
    }


VIEW = Share()
