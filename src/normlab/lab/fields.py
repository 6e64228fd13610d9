"""The settings of a view as data: one Field gives the control of the form, the nearest valid value for a stale link,
and the refusal of a request.

A link is followed wherever it leads: `read` takes what it can and says what it changed. A request is a program's:
`check` refuses it and names the limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ..constraints import Constraint, Interval, OneOf
from ..errors import UsageError, near
from ..language import both

__all__ = [
    "Field", "Named", "RefusedError", "State", "Text", "address", "check", "clipped", "defaults", "read", "spelt",
]  # fmt: skip

Text = Mapping[str, str]
State = dict[str, Any]
SHOWN_LETTERS = 40  # of a value that came and cannot be used
_TRUE, _FALSE = ("1", "true", "on", "yes"), ("", "0", "false", "off", "no")


class RefusedError(UsageError):
    """A request that cannot be answered; `said` is the sentence in both languages, `status` what HTTP calls it."""

    status = 422

    def __init__(self, said: Text) -> None:
        super().__init__(said["en"])
        self.said = said


@dataclass(frozen=True)
class Named:
    """A name, or a number within an interval: an initialization, or its standard deviation."""

    names: tuple[str, ...]
    numbers: Interval

    def accepts(self, value: Any) -> bool:
        return value in self.names if isinstance(value, str) else self.numbers.accepts(value)

    def refused(self) -> tuple[Any, ...]:
        return ("no such name", *(value for value in self.numbers.refused() if not isinstance(value, str)))

    def __str__(self) -> str:
        return f"one of {', '.join(self.names)}, or {self.numbers}"


@dataclass(frozen=True)
class Field:
    """One setting.

    Args:
        name: its name in the address, the form and the request.
        label: what stands beside the control.
        default: its value where nobody says anything; then it is left out of the address.
        constraint: the values that it may have.
        widget: number, range (a slider beside a number), choice (a list), text, switch (yes or no), hidden.
        choices: of a choice, pairs of a value and how it is printed.
        stops: of a slider that does not go in equal steps, the values at which it stops.
    """

    name: str
    label: Text
    default: Any
    constraint: Constraint
    widget: str = "number"
    choices: Sequence[tuple[str, str | Text]] = ()
    stops: Sequence[float] = ()

    @property
    def numbers(self) -> Interval | None:
        """The interval of its numbers, if it has any."""
        found = self.constraint.numbers if isinstance(self.constraint, Named) else self.constraint
        return found if isinstance(found, Interval) else None

    @property
    def limit(self) -> Text:
        """What it may be, in words."""
        return _limit(self.constraint)

    def typed(self, value: Any) -> Any:
        """A value in the field's own type: text that stands for a number or for yes and no is read as that."""
        if not isinstance(value, str):
            return value
        if isinstance(self.constraint, OneOf) and True in self.constraint.values:
            return True if value.lower() in _TRUE else False if value.lower() in _FALSE else value
        if self.numbers is None or (isinstance(self.constraint, Named) and value in self.constraint.names):
            return value
        return _number(value, self.numbers.whole)

    def nearest(self, value: Any) -> Any:
        """The valid value that is nearest to one that is not."""
        if self.numbers is not None and isinstance(value, int | float) and not math.isnan(value):
            inside = min(max(value, self.numbers.low), self.numbers.high)
            return round(inside) if self.numbers.whole else float(inside)
        return next(iter(self.near(value)), self.default)

    def near(self, value: Any) -> list[str]:
        """The names that look most like one that is none, best first."""
        names = getattr(self.constraint, "names", getattr(self.constraint, "values", ()))
        return near(value, [name for name in names if isinstance(name, str)]) if isinstance(value, str) else []


def defaults(fields: Sequence[Field]) -> State:
    """The state where nobody says anything."""
    return {field.name: field.default for field in fields}


def read(fields: Sequence[Field], query: Mapping[str, str]) -> tuple[State, list[Text]]:
    """The nearest valid state to the query of a link, and a note for each thing that is not as the link has it."""
    state = defaults(fields)
    notes: list[Text] = []
    known = {field.name: field for field in fields}
    for name, text in query.items():
        field = known.get(name)
        if field is None:
            notes.append(both("The link has a setting {name}, which does not exist here.", name=clipped(name)))
            continue
        value = field.typed(text)
        if not field.constraint.accepts(value):
            came, value = clipped(text), field.nearest(value)
            notes.append(both(
                "{name} must be {limit}; the link has {came}, {value} is shown instead.",
                name=field.label, limit=field.limit, came=came, value=spelt(value),
            ))  # fmt: skip
        state[name] = value
    return state, notes


def check(fields: Sequence[Field], given: Mapping[str, Any]) -> State:
    """The state that a request asks for, complete. Raises RefusedError, which names the field and its limit."""
    state = defaults(fields)
    for name, came in given.items():
        field = next((one for one in fields if one.name == name), None)
        if field is None:
            known = ", ".join(one.name for one in fields)
            raise RefusedError(both("unknown setting {name}. Known: {known}.", name=clipped(name), known=known))
        value = field.typed(came)
        if not field.constraint.accepts(value):
            raise RefusedError(_refusal(field, came))
        state[name] = value
    return state


def address(fields: Sequence[Field], state: Mapping[str, Any], **changed: Any) -> str:
    """The query string of a state, with some settings changed: only what is not the default, in the fields' order."""
    wanted = {**state, **changed}
    return urlencode({f.name: spelt(wanted[f.name]) for f in fields if wanted[f.name] != f.default})


def spelt(value: Any) -> str:
    """A value as it stands in an address and in a form."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def clipped(value: Any) -> str:
    """What came, short enough for a sentence."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(sign if sign.isprintable() else "·" for sign in text[: SHOWN_LETTERS + 1])
    return text if len(text) <= SHOWN_LETTERS else text[:SHOWN_LETTERS] + "…"


def _refusal(field: Field, came: Any) -> Text:
    """Which setting, what it may be, what came and, of names, what may have been meant."""
    name = {lang: label if label == field.name else f"{label} ({field.name})" for lang, label in field.label.items()}
    said = both("{name} must be {limit}, got {came}.", name=name, limit=field.limit, came=clipped(came))
    close = field.near(came)
    more = both(" Did you mean {names}?", names=", ".join(close)) if close else dict.fromkeys(said, "")
    return {lang: said[lang] + more[lang] for lang in said}


def _number(text: str, whole: bool) -> Any:
    """The number that a text stands for; the text itself where it is none."""
    for kind in (int, float) if whole else (float,):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _limit(constraint: Constraint) -> Text:
    if isinstance(constraint, Interval):
        ends = {"low": spelt(constraint.low), "high": spelt(constraint.high)}
        return both("a whole number from {low} to {high}", **ends) if constraint.whole else both(
            "a number from {low} to {high}", **ends
        )
    if isinstance(constraint, Named):
        return both("one of {names}, or {number}", names=", ".join(constraint.names), number=_limit(constraint.numbers))
    if isinstance(constraint, OneOf):
        return both("one of {names}", names=", ".join(spelt(value) or "''" for value in constraint.values))
    said = getattr(constraint, "said", None)
    return said if said is not None else {"en": str(constraint), "ko": str(constraint)}
