"""What a failure becomes: one sentence on stderr, under --json one document on stdout, and an exit code."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence

import click

from normlab.cli import speaking, streams
from normlab.errors import NormlabError, ReadWriteError, UsageError, near
from normlab.language import translate

__all__ = ["DEFECT", "INTERRUPTED", "Stop", "code_of", "complain", "flushed", "interrupted"]

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
    if isinstance(problem, BrokenPipeError):  # whoever read stdout has seen enough (`normlab ... | head`)
        streams.discard_stdout()
        return 0
    if speaking.asked(given, "--debug"):
        import traceback

        with contextlib.suppress(OSError):
            traceback.print_exception(problem)
    found = _as_ours(problem, given)
    if found is None:
        return _defect(problem, given)
    return _report(found.code, found.message, found.hint, given)


def flushed(code: int, given: Sequence[str]) -> int:
    """The exit code once stdout has taken all that was printed: `code`, or 5 where it cannot."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        streams.discard_stdout()
    except OSError as problem:
        code = code_of(problem, given)
    streams.settle_stderr()
    return code


def interrupted(given: Sequence[str]) -> int:
    """Ctrl-C before anything was finished."""
    return _report(INTERRUPTED, translate("interrupted", speaking.language()), None, given)


def complain(text: str) -> None:
    """Write a note to stderr, where it cannot get into the data; that nobody can read it is no reason to stop."""
    with contextlib.suppress(OSError):
        click.echo(f"normlab: {text}", err=True)


def _report(code: int, message: str, hint: str | None, given: Sequence[str]) -> int:
    if speaking.asked(given, "--json"):
        document = {"schema": "normlab.error/1", "code": code, "error": message, "hint": hint}
        try:
            streams.print_json(json.dumps(document, ensure_ascii=False))
        except OSError:
            streams.discard_stdout()
    complain(message if hint is None else f"{message}\n  {hint}")
    return code


def _defect(problem: Exception, given: Sequence[str]) -> int:
    say = speaking.language()
    what = f"{type(problem).__name__}: {problem}"
    hint = translate("Run it again with --debug and report what it prints.", say)
    return _report(DEFECT, translate("this is a defect of normlab: {what}", say, what=what), hint, given)


def _as_ours(problem: Exception, given: Sequence[str]) -> NormlabError | None:
    """The problem as one of normlab's own; None for what nobody foresaw."""
    say = speaking.language()
    if isinstance(problem, NormlabError):
        return problem
    if isinstance(problem, click.NoSuchOption):
        return _no_such_option(problem, given)
    if isinstance(problem, click.UsageError):
        return UsageError(_said(problem, given), hint=translate("See {command} --help.", say, command=_command(given)))
    if isinstance(problem, OSError):
        reason = problem.strerror or str(problem)
        if problem.filename is not None:
            return ReadWriteError(f"{problem.filename}: {reason}.")
        streams.discard_stdout()  # files name themselves: this is the stream, and nothing more will go into it
        return ReadWriteError(translate("{path}: cannot be written: {reason}.", say, path="stdout", reason=reason))
    if isinstance(problem, MemoryError):
        hint = translate("Take fewer inputs, units or layers.", say)
        return UsageError(translate("this does not fit into the machine's memory.", say), hint=hint)
    return None


def _no_such_option(problem: click.NoSuchOption, given: Sequence[str]) -> UsageError:
    say, name, verb = speaking.language(), problem.option_name, _verb(given)
    message = translate("there is no option {name}.", say, name=name)
    if name == "--json" and given[0] != verb:
        example = f"{speaking.program()} {verb or 'compare'} --json"
        hint = translate("{name} goes behind the verb: {example}", say, name=name, example=example)
        return UsageError(message, hint=hint)
    names = [o for p in problem.ctx.command.params for o in (*p.opts, *p.secondary_opts)] if problem.ctx else []
    close = near(name, names) or list(problem.possibilities or ())
    asking = translate("Did you mean {names}?", say, names=", ".join(close[:3])) if close else None
    return UsageError(message, hint=asking)


def _said(problem: click.UsageError, given: Sequence[str]) -> str:
    """Click's own sentences, in the language that is spoken."""
    say = speaking.language()
    if isinstance(problem, click.BadOptionUsage):
        name = problem.option_name
        if any(word.startswith(f"{name}=") for word in given):
            return translate("{flag}: takes no value.", say, flag=name)
        return translate("{flag}: a value is required behind it.", say, flag=name)
    return problem.format_message()


def _verb(given: Sequence[str]) -> str | None:
    from normlab.cli.app import VERBS

    return next((word for word in given if word in VERBS), None)


def _command(given: Sequence[str]) -> str:
    return " ".join([speaking.program(), *filter(None, [_verb(given)])])
