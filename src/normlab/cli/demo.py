"""What `make demo` runs: the note's one layer, its five layers with every arm, the digits; then one report of them.

It is no verb: it calls what `normlab compare` and `normlab report` call, and prints how to call them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from normlab.language import LANGUAGES, N_, translate

from . import failing, speaking, streams
from .screen import look
from .writing import write

__all__ = ["main"]

REPORT = "normlab-report.html"
PARTS: tuple[tuple[str, list[str] | None, dict[str, Any]], ...] = (
    (N_("The note's one layer"), None, {"preset": "note-1"}),
    (N_("The note's five layers, with every method"), ["all"], {"preset": "note-5"}),
    (N_("Handwritten digits in place of random numbers"), ["none", "bn", "ln", "in", "gn:groups=4", "lrn"],
     {"net": "conv", "data": "digits", "batch": 100}),
)
NEXT = (
    "compare none bn ln --layers 20",
    "compare none bn gn:groups=4 --net conv --data digits",
    "guide bn --steps",
    "guide --lang ko",
)


def main(arguments: Sequence[str] = ()) -> int:
    """Run the demonstration and return the exit code."""
    streams.prepare()
    with speaking.in_language(list(arguments)):
        try:
            return failing.flushed(_run(), list(arguments))
        except Exception as problem:
            return failing.code_of(problem, list(arguments))
        except KeyboardInterrupt:
            return failing.interrupted(list(arguments))


def _run() -> int:
    from pathlib import Path

    from normlab.report import render
    from normlab.report.cells import wrap

    began = time.perf_counter()
    how, say, program = look(), speaking.language(), _program()
    documents = []
    for title, methods, settings in PARTS:
        document = _compared(methods, settings)
        documents.append(document)
        _show(translate(title, say), document, program)
    write(Path(REPORT), render(documents, lang=say))
    seconds = time.perf_counter() - began
    click.echo("=" * how.width)
    for lang in LANGUAGES:
        text = translate("{path} holds the three runs as chapters ({seconds:.0f} s). Next, to paste:", lang,
                         path=REPORT, seconds=seconds)  # fmt: skip
        click.echo("\n".join(wrap(text, how.width)))
    for command in NEXT:
        click.echo(f"{program} {command}")
    return 0


def _compared(methods: list[str] | None, settings: dict[str, Any]) -> dict[str, Any]:
    from .working import compared

    comparison, stopped = compared(methods, settings)
    if stopped:
        raise KeyboardInterrupt
    return comparison.to_dict()


def _show(title: str, document: dict[str, Any], program: str) -> None:
    """The table in the locale's language, its sentences in both."""
    from normlab.report.table import sentences, table

    how, say = look(), speaking.language()
    click.echo("=" * how.width)
    click.echo(title)
    click.echo(f"$ {program}{document['command'].removeprefix('normlab')}\n")
    click.echo(table(document, say, color=how.color, width=how.width))
    for lang in LANGUAGES:
        if lang != say:
            click.echo("\n" + "\n".join(sentences(document, lang, how.width)))
    click.echo("")


def _program() -> str:
    """The command as it is called from this folder: beside the interpreter that is running, where it stands there."""
    beside = os.path.join(os.path.dirname(sys.executable), "normlab")
    if not os.path.exists(beside):
        return "python -m normlab"
    if set(beside) & set('$`"'):  # pip's launcher hands its own path to a shell, which would read these
        return f"{os.path.relpath(sys.executable)} -m normlab"
    short = os.path.relpath(beside)
    return "normlab" if short.startswith("..") else short


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
