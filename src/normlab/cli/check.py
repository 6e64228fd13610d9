"""`normlab check`: grade a function in somebody's file, and name what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from normlab.errors import UsageError
from normlab.language import N_, translate

from .failing import INTERRUPTED, Stop, complain
from .keeping import keep
from .parameters import NUMBER, PATH
from .screen import look
from .speaking import flag, language, verb
from .streams import going_on, print_json
from .writing import check_outputs


@verb(
    "check",
    usage="FILE.py:FUNCTION [--as METHOD] ...",
    help=N_(
        "Grade your own implementation of a method: output, backward, training and evaluation, dtype, constant and "
        "far inputs; and name what is wrong. The file is run, in a process of its own with a time limit. The function "
        "is called by its parameters' names: x first, then gamma|weight, beta|bias, eps, momentum, running_mean, "
        "running_var, training|mode. A class is built with the channels and called. Exit code 1: it has a fault."
    ),
    examples=[
        "normlab check mine.py:batch_norm",
        "normlab check mine.py:forward --as ln --backward backward",
        "normlab check mine.py:GroupNorm --as gn:groups=4 -o grade.html",
        "normlab check mine.py:norm --as 'n (g [c]) [...]:g=4' --json",
    ],
)
@click.argument("target", required=False)
@flag("--as", "as_", type=PATH, metavar="METHOD", default="batch_norm",
      help=N_("what it should be: a method, with options if you like, or a line of notation; batch_norm by default"))
@flag("--backward", type=PATH, metavar="FUNCTION",
      help=N_("the function in the same file that gives dx and the parameters' gradients for dy and the cache"))
@flag("--timeout", type=NUMBER, metavar="SECONDS", help=N_("stop it after so many seconds; 20 by default"))
@flag("-o", "--output", "outputs", type=PATH, multiple=True, metavar="FILE",
      help=N_("write FILE.html (the report) or FILE.json; repeatable"))
def check(
    target: str | None, as_: str, backward: str | None, timeout: float | None, outputs: Sequence[str], as_json: bool,
    lang: str, debug: bool,
) -> None:  # fmt: skip
    """The verb; what it prints is a function of the document that `normlab.check` returns."""
    if target is None:
        message = translate("check: what is to be graded is required: FILE.py:FUNCTION.", language())
        raise UsageError(message, hint="normlab check mine.py:batch_norm --as batch_norm")
    files = check_outputs(outputs)
    from normlab.grading.checking import LIMIT_S, found
    from normlab.grading.checking import check as run

    found(target, as_)  # what cannot be asked is said before anything is run
    limit = LIMIT_S if timeout is None else timeout
    complain(translate("runs {file} in a process of its own, for {limit} s at most", language(),
                       file=target.rpartition(":")[0], limit=f"{limit:g}"))  # fmt: skip
    grade = run(target, as_, backward, timeout=limit)
    try:
        with going_on():
            if not as_json:
                _show(grade.to_dict())
    finally:  # a text that cannot be shown is no reason to lose the files
        stopped = keep(grade, files)
    if as_json:  # after the files: where one fails, the one document is about that
        with going_on():
            print_json(grade.to_json())
    if stopped:
        raise Stop(INTERRUPTED)
    if grade.exit_code:
        raise Stop(grade.exit_code)


def _show(document: Mapping[str, Any]) -> None:
    from normlab.report import text

    how = look()
    click.echo(text(document, language(), color=how.color, width=how.width))
