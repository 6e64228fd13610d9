"""Which method is meant: a name with options or a line of notation, and whether it can be graded at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..definition import Definition
from ..errors import UsageError
from ..language import N_, translate

__all__ = ["chosen_options", "read"]

RANDOM = N_("{name}: what it returns is random, so there is nothing to compare with. Grade its expectation by hand.")
FITTED = N_("{name}: it is fitted to data by a search, not computed by a formula that could be compared.")


def read(as_: str | Definition) -> tuple[Definition, dict[str, Any]]:
    """The definition, with the eps that was given, and the options that were given.

    Raises UsageError for what is unknown or cannot be graded, PatternError for a line that cannot be read.
    """
    from ..experiments.arms import read_arm
    from ..experiments.presets import NO_PRESET

    arm = read_arm(as_, NO_PRESET)
    if arm.definition is None:
        raise UsageError(translate(N_("check: a method is required, got {came}."), came=repr(as_)))
    d = arm.definition
    for role, why in (("dropout", RANDOM), ("input", FITTED)):
        if d.role == role:
            raise UsageError(translate(why, name=d.name))
    given = {n: v for n, v in arm.options.items() if n in arm.given}
    return (d if arm.eps == d.eps else replace(d, eps=arm.eps)), given


def chosen_options(
    definition: Definition, given: Mapping[str, Any], roles: set[str], values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options that hold (of those that the implementation takes, or that were given), and those handed over."""
    taken = {n for n in values if f"option:{n}" in roles}
    held = {n: v for n, v in values.items() if n in taken or n in given}
    return held, {n: v for n, v in held.items() if n in taken}
