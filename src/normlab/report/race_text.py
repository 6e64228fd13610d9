"""The terminal's table of a race: each arm at its learning rate, the grid, and what the seeds can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..language import choose, translate
from . import numerals
from .cells import cell_len, wrap
from .grid import Column, Paint, grid
from .race_arms import not_trained, setting_line, trained
from .race_tables import why_stopped
from .table import cannot_act

__all__ = ["text"]

Document = Mapping[str, Any]
_TAKEN = "*"


def text(document: Document, lang: str = "auto", *, color: bool = False, width: int = 80) -> str:
    """A `normlab.train/1` document as lines of at most `width` cells: setting, results, grid, reasons, sentences."""
    lang, paint = choose(lang), Paint(color)
    arms = trained(document)
    blocks = [[paint.bold(line) for line in wrap(setting_line(document)[lang].replace(" · ", ", "), width)]]
    if arms:
        blocks += [_results(document, arms, lang, paint, width), _grid(document, arms, lang, paint, width)]
    blocks.append(_reasons(document, lang, width))
    blocks.append(cannot_act(not_trained(document), lang, width))
    blocks.append([line for one in document["verdicts"] for line in wrap(one[lang], width, indent=2, first="- ")])
    blocks[-1] += [line for one in document.get("notes") or () for line in wrap(one[lang], width, indent=2, first="* ")]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _results(document: Document, arms: Sequence[Any], lang: str, paint: Paint, width: int) -> list[str]:
    """One row an arm; headings in the middle are no Hangul, which is two cells wide."""
    test = [arm["final"]["test_accuracy"] for arm in arms]
    columns = [
        Column("", "lr", [numerals.rounded(arm["lr"]) for arm in arms]),
        Column("test accuracy", "mean", [numerals.share(value) for value in test]),
        *[Column("test accuracy", "95 % interval", [_ends(value) for value in test], 1)] * any(map(_ends, test)),
        Column("loss", "test", [numerals.amount(arm["final"]["test_loss"]) for arm in arms], 2),
        Column("loss", "train", [numerals.amount(arm["final"]["train_loss"]) for arm in arms], 3),
        Column("", translate("runs finished", lang), [_finished(arm) for arm in arms]),
    ]
    lines = grid(translate("norm", lang), [str(arm["label"]) for arm in arms], columns, width, paint)
    legend = translate(
        "lr: the learning rate taken. test accuracy and loss: evaluation mode, after the last step; train: training "
        "mode, over the last recorded steps.", lang,
    )  # fmt: skip
    return [*lines, *wrap(legend, width)]


def _grid(document: Document, arms: Sequence[Any], lang: str, paint: Paint, width: int) -> list[str]:
    """Validation accuracy at every learning rate, as many rates in a row of tables as fit."""
    rates = [float(rate) for rate in document["settings"]["lr"]]
    found = [{line["lr"]: line for line in arm["grid"]} for arm in arms]
    taken = [arm["lr"] for arm in arms]
    cells = [[_tried(own.get(rate), lr == rate) for own, lr in zip(found, taken, strict=True)] for rate in rates]
    columns = [Column("", numerals.rounded(rate), own) for rate, own in zip(rates, cells, strict=True)]
    corner, labels = translate("norm", lang), [str(arm["label"]) for arm in arms]
    room = width - 1 - max((cell_len(one) for one in (corner, *labels) if cell_len(one) <= width // 3), default=0)
    most = max(1, room // (max(column.width for column in columns) + 3))
    lead = translate("Validation accuracy at each learning rate; {sign} the one taken:", lang, sign=_TAKEN)
    lines = wrap(lead, width)
    for k in range(0, len(columns), most):
        lines += grid(corner, labels, columns[k : k + most], width, paint)
    return lines


def _tried(line: Mapping[str, Any] | None, taken: bool) -> str:
    return "" if line is None else numerals.share(line["validation_accuracy"]) + (_TAKEN if taken else " ")


def _ends(value: Any) -> str:
    ends = numerals.interval(value)
    return "" if ends is None else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def _finished(arm: Mapping[str, Any]) -> str:
    return f"{sum(run['stopped'] == 'finished' for run in arm['runs'])}/{len(arm['runs'])}"


def _reasons(document: Document, lang: str, width: int) -> list[str]:
    said = [line for one in why_stopped(document) for line in wrap(one[lang], width, indent=2, first="- ")]
    return [*wrap(translate("Runs that did not finish, by learning rate:", lang), width), *said] if said else []
