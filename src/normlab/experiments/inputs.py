"""The arms that act once, on the data: scalers that learn from the inputs and, because they search, from the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from normlab.errors import MissingExtraError, ShapeError
from normlab.language import both

from .arms import Arm
from .draws import Draws
from .settings import Settings

LABELLED = "digits"  # the only data that come with labels
# The search costs thousands of fits: on all digits a minute, on these a second or two.
SEARCHED_ROWS = 300


def input_notes(arms: Sequence[Arm], settings: Settings) -> list[dict[str, str]]:
    """What to know about the arms that act on the data."""
    if settings.batch <= SEARCHED_ROWS:
        return []
    return [
        both("{label} chooses its scalers on the first {rows} inputs", label=arm.label, rows=SEARCHED_ROWS)
        for arm in arms
        if arm.role == "input" and settings.data == LABELLED
    ]


def input_refusal(arm: Arm, settings: Settings) -> dict[str, Any] | None:
    """Why a scaler cannot act on these data, or None: it needs labels, and what it is built on."""
    if arm.role != "input":
        return None
    if settings.data != LABELLED:
        reason = both("{label} chooses by how well the labels are predicted, and these data have none", label=arm.label)
        return {**reason, "command": f"normlab compare none {arm.label} --data digits"}
    return scaler_refusal(arm)


def scaler_refusal(arm: Arm) -> dict[str, Any] | None:
    """Why an arm's scaler cannot be made here, or None."""
    try:
        scaler_of(arm)
    except MissingExtraError as missing:
        reason = both("{label} needs a package that is not installed", label=arm.label)
        return {**reason, "command": (missing.hint or "").partition(": ")[2]}
    return None


def scaled(arm: Arm, draws: Draws) -> Draws:
    """The draws with the inputs as the arm makes them; the others unchanged."""
    if arm.role != "input":
        return draws
    table = draws.x.reshape(len(draws.x), -1).astype(np.float64)
    scaler = scaler_of(arm)
    try:
        scaler.fit(table[:SEARCHED_ROWS], draws.labels[:SEARCHED_ROWS])
    except ValueError as problem:  # too few rows, or too few of a class
        raise ShapeError(str(problem)) from problem
    made = np.asarray(scaler.transform(table))
    return replace(draws, x=made.reshape(draws.x.shape).astype(draws.x.dtype))


def scaler_of(arm: Arm) -> Any:
    """The arm's scaler, from `normlab.data`. Raises MissingExtraError."""
    from normlab import data

    assert arm.definition is not None  # the role input has one
    return getattr(data, arm.definition.class_name)(**arm.options)
