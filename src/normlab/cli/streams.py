"""The standard streams, usable whatever they are: closed, full, no longer read, or without letters for Korean."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import click

__all__ = ["can_write", "discard_stdout", "going_on", "prepare", "print_json", "settle_stderr"]


def prepare() -> None:
    """Give this process streams that can be written to, and let a character be replaced rather than stop the work."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed (`>&-`), or a program without a console
            nowhere = open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115 - to the end
            setattr(sys, name, nowhere)
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            # What calls itself ASCII is a locale that nobody set up: Click writes UTF-8 there, and so does the rest.
            plain = (stream.encoding or "").lower().replace("-", "") in ("ascii", "usascii", "ansi_x3.41968")
            stream.reconfigure(encoding="utf-8" if plain else None, errors="replace")


def can_write(text: str) -> bool:
    """Whether stdout's encoding has every character of `text`; a stream that holds text, not bytes, has them all."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def print_json(text: str) -> None:
    """Print a document. JSON is UTF-8: a stdout with another encoding gets JSON's own escapes, which all can hold."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    click.echo(text if encoding == "utf8" and can_write(text) else json.dumps(json.loads(text)))


@contextlib.contextmanager
def going_on() -> Iterator[None]:
    """Whoever reads stdout may leave (`normlab ... | head`); what else the verb has to do is done all the same."""
    try:
        yield
    except BrokenPipeError:
        discard_stdout()


def discard_stdout() -> None:
    """Let everything that is still to be written to stdout vanish, at the interpreter's exit too."""
    _discard(sys.stdout)


def settle_stderr() -> None:
    """Write what stderr still holds, or let it vanish: the interpreter would make its failure the exit code."""
    try:
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):  # where the stream is no file, nothing will be flushed into it
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
