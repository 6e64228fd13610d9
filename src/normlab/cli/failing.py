"""What a failure becomes: one sentence on stderr, under --json one document on stdout, and an exit code."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence

import click

from normlab.cli import speaking
from normlab.errors import NormlabError, UsageError, near
from normlab.language import translate

__all__ = ["DEFECT", "INTERRUPTED", "Stop", "code_of", "complain", "interrupted"]

INTERRUPTED = 130  # what a shell reports for a process that SIGINT ended
DEFECT = 70  # sysexits' EX_SOFTWARE: never to be taken for 1, which is a fault of the thing examined


class Stop(Exception):
    """End with `code` after everything has been printed; the document on stdout, if any, is complete."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def code_of(problem: Exception, given: Sequence[str]) -> int:
    """Say what went wrong and return the exit code for it."""
    if isinstance(problem, Stop):
        return problem.code
    if isinstance(problem, click.exceptions.Exit):  # --help has printed its page
        return problem.exit_code
    if isinstance(problem, BrokenPipeError):
        return _quietly_closed()
    if speaking.asked(given, "--debug"):
        import traceback

        traceback.print_exception(problem)
    found = _as_ours(problem)
    if found is None:
        return _defect(problem, given)
    return _report(found.code, found.message, found.hint, given)


def interrupted(given: Sequence[str]) -> int:
    """Ctrl-C before anything was finished."""
    return _report(INTERRUPTED, translate("interrupted", speaking.language()), None, given)


def complain(text: str) -> None:
    """Write a note to stderr, where it cannot get into the data."""
    click.echo(f"normlab: {text}", err=True)


def _report(code: int, message: str, hint: str | None, given: Sequence[str]) -> int:
    try:
        if speaking.asked(given, "--json"):
            document = {"schema": "normlab.error/1", "code": code, "error": message, "hint": hint}
            click.echo(json.dumps(document, ensure_ascii=False))
        complain(message if hint is None else f"{message}\n  {hint}")
    except BrokenPipeError:
        _quietly_closed()
    return code


def _defect(problem: Exception, given: Sequence[str]) -> int:
    say = speaking.language()
    what = f"{type(problem).__name__}: {problem}"
    hint = translate("Run it again with --debug and report what it prints.", say)
    return _report(DEFECT, translate("this is a defect of normlab: {what}", say, what=what), hint, given)


def _quietly_closed() -> int:
    """Whoever read stdout has seen enough (`normlab ... | head`): no message, and none at exit either."""
    with contextlib.suppress(OSError, ValueError):  # where stdout is no file, nothing will be flushed into it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _as_ours(problem: Exception) -> NormlabError | None:
    """The problem as one of normlab's own; None for what nobody foresaw."""
    say = speaking.language()
    if isinstance(problem, NormlabError):
        return problem
    if isinstance(problem, click.NoSuchOption):
        names = [o for p in problem.ctx.command.params for o in p.opts] if problem.ctx else []
        close = near(problem.option_name, names) or list(problem.possibilities or ())
        hint = translate("Did you mean {names}?", say, names=", ".join(close[:3])) if close else None
        return UsageError(translate("there is no option {name}.", say, name=problem.option_name), hint=hint)
    if isinstance(problem, click.UsageError):
        where = problem.ctx.command_path if problem.ctx else speaking.program()
        hint = translate("See {command} --help.", say, command=where)
        return UsageError(problem.format_message(), hint=hint)
    if isinstance(problem, OSError) and problem.filename is not None:
        from normlab.errors import ReadWriteError

        return ReadWriteError(f"{problem.filename}: {problem.strerror or problem}.")
    if isinstance(problem, MemoryError):
        hint = translate("Take fewer inputs, units or layers.", say)
        return UsageError(translate("this does not fit into the machine's memory.", say), hint=hint)
    return None
