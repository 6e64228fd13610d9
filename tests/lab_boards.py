"""What the tests of the sharing board ask of a page's HTML: the cells, their sets, and what nl.shares says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np

import normlab as nl
from normlab import registry
from normlab.board import KINDS
from normlab.definition import Choice
from references import number_sets

__all__ = ["CASES", "METHODS", "as_array", "boards_in", "same_sets", "sizes_of", "wanted"]

METHODS = nl.list_methods()
CASES = [(method, kind) for method in METHODS for kind in KINDS]
# The layouts of the three kinds of data, and a weight's; written down here a second time, as a user would.
LAYOUTS = {"images": "n c ...", "tokens": "n ... c", "dense": "n c"}
WEIGHTS = {"images": "o i ...", "tokens": "o i", "dense": "o i"}


def boards_in(html: str) -> list[dict[str, Any]]:
    """Each board of a page: for every cell its place in the array, its value, what comes out, and its set."""
    found = []
    for text in re.findall(r'<section class="live-board".*?</section>', html, re.DOTALL):
        svg = re.search(r'<svg role="listbox".*?</svg>', text, re.DOTALL)
        line = re.search(r"<h2[^>]*><code>(.*?)</code>", text)
        assert svg is not None
        cells = [
            cell_of(cell.attrib["aria-label"], one.attrib["data-set"], cell.attrib.get("data-y"))
            for one in ElementTree.fromstring(svg[0]).iter("g") if one.get("class") == "set"
            for cell in one if cell.get("role") == "option"
        ]  # fmt: skip
        found.append({"cells": cells, "line": "" if line is None else line[1]})
    return found


def cell_of(label: str, number: str, y: str | None) -> dict[str, Any]:
    """A cell as its label names it: `x[0, 1] = 2.5`."""
    place, value = label.removeprefix("x").split(" = ")
    at = tuple(int(k) for k in place.strip("[]").split(", "))
    return {"at": at, "value": float(value), "set": int(number), "y": None if y is None else float(y)}


def as_array(cells: Sequence[Mapping[str, Any]], what: str = "set") -> np.ndarray:
    """One property of all cells, where the array has them."""
    shape = tuple(1 + max(cell["at"][axis] for cell in cells) for axis in range(len(cells[0]["at"])))
    out = np.full(shape, np.nan)
    for cell in cells:
        out[cell["at"]] = cell[what]
    assert not np.isnan(out).any(), "a cell is missing"
    return out


def wanted(method: str, kind: str, shape: tuple[int, ...], groups: int = 2) -> list[np.ndarray]:
    """A method's partitions of such an array, counted element by element from its lines; each once."""
    definition = registry.method(method)
    pools = definition.pools
    lines = [] if pools is None else list(pools.lines.values()) if isinstance(pools, Choice) else [pools]
    layout = (WEIGHTS if definition.role == "weight" else LAYOUTS)[kind]
    found: list[np.ndarray] = []
    for line in lines:
        if "..." not in line and len(line.split()) != len(shape):
            continue
        numbers, _ = number_sets(line, layout, shape, (("g", groups),) if "(g" in line else ())
        if all(not same_sets(numbers, one) for one in found):
            found.append(numbers)
    return found


def same_sets(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two numberings put the same elements together."""
    pairs = set(zip(one.ravel().tolist(), other.ravel().tolist(), strict=True))
    return len(pairs) == len(np.unique(one)) == len(np.unique(other))


def sizes_of(kind: str, n: int, c: int, h: int, w: int, *, weight: bool) -> tuple[int, ...]:
    """The shape of the board's array."""
    if kind == "images":
        return n, c, h, w
    return (n, h * w, c) if kind == "tokens" and not weight else (n, c)
