"""The kinds of values that flags take; what they refuse, they refuse with the flag, the requirement and what came."""

from __future__ import annotations

import reprlib
from typing import Any

import click

from normlab.errors import UsageError
from normlab.language import translate

from .speaking import language

__all__ = ["NUMBER", "NUMBERS", "NUMBER_OR_NAME", "PATH", "WHOLE"]


class Whole(click.ParamType):
    """A whole number; whether it is in range is for the function to say, which names its limit."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, or a UsageError that names the flag."""
        if isinstance(value, int):
            return value
        try:
            return int(str(value))
        except ValueError:
            came = reprlib.repr(value)  # of a thousand digits the first and the last few
            flag = _flag(param)
            message = translate("{flag}: a whole number is required, got {came}.", language(), flag=flag, came=came)
            raise UsageError(message) from None


class Number(click.ParamType):
    """A number; whether it is in range is for the function to say."""

    name = "NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or a UsageError that names the flag."""
        try:
            return float(value)
        except ValueError:
            came, flag = reprlib.repr(value), _flag(param)
            message = translate("{flag}: a number is required, got {came}.", language(), flag=flag, came=came)
            raise UsageError(message) from None


class Numbers(click.ParamType):
    """Numbers separated by commas; whether they are in range is for the function to say."""

    name = "NUMBER,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """The numbers, or a UsageError that names the flag."""
        return tuple(NUMBER.convert(part, param, ctx) for part in str(value).split(","))


class NumberOrName(click.ParamType):
    """A number where it reads as one, else a name, which the function knows or refuses."""

    name = "NAME|NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """The value as the function wants it."""
        if not isinstance(value, str):
            return float(value)
        try:
            return float(value)
        except ValueError:
            return value


class NotEmpty(click.ParamType):
    """A name or a path; an empty one, as an unset variable of a shell gives it, would mean the current folder."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The value as it came, or a UsageError that names the flag."""
        if not str(value).strip():
            raise UsageError(translate("{flag}: must not be empty.", language(), flag=_flag(param)))
        return str(value)


def _flag(param: click.Parameter | None) -> str:
    return param.opts[0] if param is not None else "?"


WHOLE = Whole()
NUMBER = Number()
NUMBERS = Numbers()
NUMBER_OR_NAME = NumberOrName()
PATH = NotEmpty()
