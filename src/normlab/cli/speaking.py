"""The language of a command line: which one it is, and help pages in it.

Click keeps its help texts as plain strings and measures them in characters. Here they are messages of the catalogue,
put into words when they are shown, and measured in cells of the terminal, of which a Hangul syllable takes two.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import click

from normlab.errors import UsageError
from normlab.language import LANGUAGES, N_, choose, translate

__all__ = ["Speaker", "asked", "debug_flag", "flag", "in_language", "lang_flag", "language", "program", "verb"]

_language: ContextVar[str] = ContextVar("language", default="en")
HELP_COLUMNS = 80


def language() -> str:
    """The language of the command line that is being served: "en" or "ko"."""
    return _language.get()


def asked(given: Sequence[str], name: str) -> bool:
    """Whether the flag `name` is among the arguments, known even where they could not be parsed."""
    return name in given[: given.index("--")] if "--" in given else name in given


@contextlib.contextmanager
def in_language(given: Sequence[str]) -> Iterator[None]:
    """Speak the language that `--lang` asks for; also where it stands behind --help, and in errors of the parser."""
    wanted = "auto"
    for k, argument in enumerate(given):
        name, _, value = argument.partition("=")
        if name == "--lang":
            value = value or "".join(given[k + 1 : k + 2])
            wanted = value if value in LANGUAGES else wanted
    token = _language.set(choose(wanted))
    try:
        yield
    finally:
        _language.reset(token)


def program() -> str:
    """How this command was called, so that a command that is shown can be pasted."""
    import shutil

    called = sys.argv[0] if sys.argv else ""
    stem = os.path.basename(called).removesuffix(".exe")
    if stem != "normlab":
        return "python -m normlab" if stem == "__main__.py" else "normlab"
    found = shutil.which("normlab")
    if found and os.path.exists(called) and os.path.samefile(found, called):
        return "normlab"
    import shlex

    return shlex.quote(called)


class Flag(click.Option):
    """An option whose help is a message of the catalogue."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        names = ", ".join(sorted(self.opts, key=len)) + "".join(f" / {name}" for name in self.secondary_opts)
        value = "" if self.is_flag else f" {self.metavar or self.type.name.upper()}"
        return names + value, translate(self.help or "", language())


def flag(*names: str, **rest: Any) -> Callable[[Any], Any]:
    """An option that speaks both languages."""
    return click.option(*names, cls=Flag, **rest)


class Language(click.ParamType):
    """A language of the catalogue, or the locale's."""

    name = "LANG"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The language, or a UsageError that lists them; `in_language` has chosen it before."""
        names = [*LANGUAGES, "auto"]
        if value not in names:
            message = N_("{flag}: one of {names} is required, got {came}.")
            raise UsageError(translate(message, language(), flag="--lang", names=", ".join(names), came=repr(value)))
        return str(value)


lang_flag = flag("--lang", type=Language(), metavar="en|ko|auto", default="auto",
                 help=N_("the language; auto is the locale's"))  # fmt: skip
debug_flag = flag("--debug", is_flag=True, help=N_("print a traceback where something fails"))
json_flag = flag("--json", "as_json", is_flag=True, help=N_("print one JSON document on stdout and nothing else"))


class Speaker(click.Command):
    """A command whose help page is in the chosen language and at most 80 cells wide."""

    def __init__(self, *args: Any, usage: str = "", examples: Sequence[str] = (), **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.usage = usage
        self.examples = examples

    def listed(self, ctx: click.Context) -> list[tuple[str, str]]:
        """What the page lists before the options: the verbs, for the group."""
        return []

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = translate(N_("show this page"), language())
        return option

    def get_help(self, ctx: click.Context) -> str:
        from normlab.report.cells import columns, wrap

        say = language()
        head = translate("Usage:", say)
        lines = [f"{head} {ctx.command_path} {self.usage}", ""]
        lines += wrap(translate(self.help or "", say), HELP_COLUMNS, indent=2)
        flags = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        options = [record for p in flags if (record := p.get_help_record(ctx)) is not None]
        for title, rows in ((N_("Verbs:"), self.listed(ctx)), (N_("Options:"), options)):
            if rows:
                lines += ["", translate(title, say), *columns(rows, HELP_COLUMNS)]
        if self.examples:
            lines += ["", translate("Examples:", say), *(f"  {example}" for example in self.examples)]
        return "\n".join(lines)


class Verb(Speaker):
    """A command that says in the chosen language which argument is one too many."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's parsing, with our own refusal."""
        rest = super().parse_args(ctx, args)
        if ctx.args and not ctx.resilient_parsing:
            message = N_("{verb}: too many arguments, from {word} on.")
            hint = translate("See {command} --help.", language(), command=ctx.command_path)
            raise UsageError(translate(message, language(), verb=self.name, word=repr(ctx.args[0])), hint=hint)
        return rest


def verb(name: str, *, usage: str, help: str, examples: Sequence[str] = ()) -> Callable[[Any], click.Command]:
    """A verb: a command with the three flags that every verb takes."""

    def decorate(function: Any) -> click.Command:
        settings = {"help_option_names": ["-h", "--help"], "allow_extra_args": True}  # `Verb` refuses them
        make = click.command(name, cls=Verb, usage=usage, help=help, examples=examples, context_settings=settings)
        command = make(function)
        for add in (json_flag, lang_flag, debug_flag):  # behind the verb's own flags
            add(command)
        return command

    return decorate
