"""The few lines of Python that print what a sharing board shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..definition import Definition
from .partition import EARLIER

__all__ = ["program"]

HEAD = ("import numpy as np", "", "import normlab as nl", "")
USUAL = {"centre": True, "spread": "std", "eps": 1e-5, "eps_rule": "inside"}  # what `nl.normalize` does by itself


def program(document: Mapping[str, Any], definition: Definition | None) -> str:
    """Python that makes the same numbers, and prints the sets and the normalized values; else the method's help."""
    made = list(_lines(document, definition))
    if made:
        return "\n".join([*HEAD, f"x = {_drawn(document, 0, 1)}", *made]) + "\n"
    assert definition is not None
    place = "data" if definition.role == "input" else "functional"
    name = definition.class_name if definition.role == "input" else definition.name
    return f"import normlab as nl\n\nhelp(nl.{place}.{name})\n"


def _lines(document: Mapping[str, Any], definition: Definition | None) -> Iterator[str]:
    for board in (one for one in document["boards"] if one["line"]):
        yield f'print(nl.shares("{board["line"]}", x.shape{_keywords(board["sizes"])}))'
        if board["normalized"] is None:
            continue
        if board["past"]:
            yield from _past(document, board, definition)
        else:
            given = {k: board[k] for k, usual in USUAL.items() if board[k] != usual}
            yield f'print(nl.normalize(x, "{board["line"]}"{_keywords({**given, **board["sizes"]})}))'
    if document["windows"] is not None and definition is not None:
        layout = document["layout"]
        own = "" if layout == definition.layout else f', layout="{layout}"'
        yield f"print(nl.functional.{definition.name}(x{own}))"


def _past(document: Mapping[str, Any], board: Mapping[str, Any], definition: Definition | None) -> Iterator[str]:
    """With statistics of an earlier batch: kept by the layer or, for a line alone, by hand."""
    yield f"past = {_drawn(document, 1, EARLIER)}"
    if definition is not None and definition.source != "notation":
        channels = document["shape"][document["axes"].index("c")]
        own = "" if document["layout"] == definition.layout else f', layout="{document["layout"]}"'
        options = _keywords({o.factor: board["sizes"][o.factor] for o in definition.options if o.factor})
        yield f"layer = nl.numpy.{definition.class_name}({channels}{own}{options}, momentum=None)"
        yield "layer(past)"
        yield "print(layer.eval()(x))"
        return
    x, earlier = "x", "past"
    if board["split"] != document["shape"]:
        x = f"x.reshape({', '.join(map(str, board['split']))})"
        earlier = f"past.reshape({', '.join(map(str, board['earlier']))})"
    axis = f"axis={tuple(board['pooled'])}, keepdims=True"
    yield f"mean = {earlier}.mean({axis})"
    yield f"var = {earlier}.var({axis}, ddof=1)"
    yield f"print((({x} - mean) / np.sqrt(var + {board['eps']!r})).reshape(x.shape))"


def _drawn(document: Mapping[str, Any], later: int, times: int) -> str:
    """How the numbers are drawn: with a later seed, and for so many times as many samples."""
    mean, spread = document["drawn"]
    first, *rest = document["shape"]
    seed, shape = document["settings"]["seed"] + later, (first * times, *rest)
    return f"np.random.default_rng({seed}).normal({mean}, {spread}, {shape}).round(1)"


def _keywords(values: Mapping[str, Any]) -> str:
    shown = {k: f'"{v}"' if isinstance(v, str) else repr(v) for k, v in values.items()}
    return "".join(f", {k}={v}" for k, v in shown.items())
