"""A sharing board as one document: example numbers, the set of each, every set's statistics, and what comes out.

The page, the saved report and the tests read this document.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .. import registry
from ..definition import Definition
from ..errors import UsageError
from ..result import machine, versions
from .fitting_lines import of_line, of_method, read_line, stand_in
from .partition import MEAN, SPREAD, example, partition, whole, windows
from .program import program

__all__ = ["KINDS", "LINE", "MOST_ELEMENTS", "SCHEMA", "Setting", "board"]

SCHEMA = "normlab.board/1"
LINE = "line"
"""Stands for the user's own line where a method's name is asked for."""
KINDS = ("images", "tokens", "dense")
MOST_ELEMENTS = 128
_AXES = {"images": ("n c h w", "n c ..."), "tokens": ("n t c", "n ... c"), "dense": ("n c", "n c")}
_WEIGHT_AXES = {"images": ("o i h w", "o i ..."), "tokens": ("o i", "o i"), "dense": ("o i", "o i")}


@dataclass(frozen=True)
class Setting:
    """What a board is drawn of.

    Args:
        method: a name; or "line", for the line beside it.
        line: a line of notation, sizes of factors behind a colon: `n (g [c]) [...]:g=2`.
        kind: "images" (n, c, h, w), "tokens" (n, h * w, c) or "dense" (n, c).
        n, c, h, w: sizes; of a weight its outputs, its inputs and its kernel.
        groups: the size of a factor that is left open.
        training: False: what is kept of the past takes the batch's place, where a method keeps something.
        seed: of the numbers; those that the past was made of are drawn with the next one.
    """

    method: str = LINE
    line: str = ""
    kind: str = "images"
    n: int = 2
    c: int = 4
    h: int = 2
    w: int = 2
    groups: int = 2
    training: bool = True
    seed: int = 0


def board(setting: Setting) -> dict[str, Any]:
    """The board of a method, or of a line of notation.

    Returns: the document: `values` in row-major order and, for each line, `numbers` (as `nl.shares` gives them), `sets`
        and `normalized` in the same order; `windows` instead where sets overlap.
    Raises: UnknownNameError, UsageError for a size out of range, PatternError and ShapeError for a line or a size that
        does not fit; each says where and why.
    """
    definition, given = _subject(setting)
    weight = definition is not None and definition.role == "weight"
    names, layout = (_WEIGHT_AXES if weight else _AXES)[setting.kind]
    axes = names.split()
    shape = tuple(setting.h * setting.w if axis == "t" else getattr(setting, _size_of(axis)) for axis in axes)
    _check_size(shape)
    if given is None:
        assert definition is not None
        fitted = list(of_method(definition, layout, shape, setting.groups, training=setting.training))
    else:
        fitted = [of_line(read_line(setting.line)[0], given, layout, setting.groups)]
    boards: list[dict[str, Any]] = []
    for option, line, sizes in fitted:
        one = partition(definition, line.plan(shape, sizes), option, sizes, setting.training, setting.seed)
        if all(one["numbers"] != other["numbers"] for other in boards):
            boards.append(one)
    x = example(shape, setting.seed)
    if weight and not boards:
        boards = [whole(x)]
    arm = _arm(definition, given, boards)
    made = {
        "schema": SCHEMA, "command": _command(arm, given is None, axes), "versions": versions(), "arm": arm,
        "machine": machine(), "settings": asdict(setting), "wall_s": 0.0,
        "method": None if given is not None or definition is None else definition.name,
        "pools": definition is None or definition.pools is not None,
        "axes": axes, "shape": list(shape), "layout": layout, "drawn": [MEAN, SPREAD], "values": x.ravel().tolist(),
        "boards": boards, "windows": None if boards or definition is None else windows(definition, layout, x),
    }  # fmt: skip
    return {**made, "python": program(made, definition)}


def _subject(setting: Setting) -> tuple[Definition | None, Mapping[str, int] | None]:
    """The definition (None for a line that cannot stand in a network) and, of a user's own line, the sizes given."""
    if setting.method != LINE:
        return registry.method(setting.method), None
    line, given = read_line(setting.line)
    return stand_in(line, given), given


def _size_of(axis: str) -> str:
    """The setting that holds an axis's size."""
    return {"o": "n", "i": "c"}.get(axis, axis)


def _check_size(shape: Sequence[int]) -> None:
    if math.prod(shape) > MOST_ELEMENTS:
        came = f"{' x '.join(map(str, shape))} = {math.prod(shape)}"
        raise UsageError(
            f"board: at most {MOST_ELEMENTS} elements can be drawn, got {came}.", hint="Make one axis shorter."
        )


def _arm(
    definition: Definition | None, given: Mapping[str, int] | None, boards: Sequence[Mapping[str, Any]]
) -> str | None:
    """The subject as an arm of an experiment: a short name, or the line with its sizes; None where it can be none."""
    if definition is None:
        return None
    if given is None:
        return definition.short
    sizes = ",".join(f"{k}={v}" for k, v in boards[0]["sizes"].items())
    return f"{definition.name}:{sizes}" if sizes else definition.name


def _command(arm: str | None, named: bool, axes: Sequence[str]) -> str:
    """The line of the terminal that fits: a method's card, or what the user's own line does in a network."""
    if arm is None:  # no network has such axes
        return "normlab guide"
    if named:
        return f"normlab guide {arm}"
    return shlex.join(["normlab", "compare", "none", arm, *(["--net", "conv"] if "h" in axes else [])])
