"""The group of verbs: a verb's file is imported when it is called, and every failure becomes a sentence and a code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from normlab.cli import failing, speaking, streams
from normlab.errors import unknown
from normlab.language import N_, translate

__all__ = ["VERBS", "normlab", "serve"]

VERBS = {
    "compare": N_("show what a normalization does to the signal and the gradient, layer by layer"),
    "train": N_("train the same network under several normalizations, each at its best learning rate"),
    "sweep": N_("train a grid of settings; what is interrupted continues where it was"),
    "claims": N_("run what the literature and the study note claim, and say what was reproduced here"),
    "bench": N_("time every method on every face beside its peers, on this machine"),
    "advise": N_("say which normalization suits your data, batch and network, and why"),
    "lab": N_("open the lab in a browser: sliders, sharing boards, training, guide, speed"),
    "check": N_("grade your own implementation of a normalization, and name what is wrong with it"),
    "guide": N_("explain the techniques: when, why, formula, worked case, code"),
    "report": N_("make one HTML page of runs that were kept as JSON"),
    "info": N_("say which versions and extras are installed, and how to install the others"),
}
"""Each verb's name, also of its file and its function, and what it does in one line."""


class Group(speaking.Speaker, click.Group):
    """The command `normlab` itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command = getattr(importlib.import_module(f"normlab.cli.{name}"), name)
        assert isinstance(command, click.Command)  # our own files, not the user's input
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise unknown("verb", args[0], VERBS)
        return super().resolve_command(ctx, args)

    def listed(self, ctx: click.Context) -> list[tuple[str, str]]:
        """The verbs for the help page, without importing one."""
        return [(name, translate(line, speaking.language())) for name, line in VERBS.items()]

    def main(self, args: Sequence[str] | None = None, *unused: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Click's entry point, with normlab's exit codes."""
        code = serve(args)
        if standalone_mode:
            sys.exit(code)
        return code


def serve(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; every way in which it can fail ends in `failing.code_of`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    streams.prepare()
    with speaking.in_language(given):
        if speaking.language() == "ko" and not streams.can_write("가"):
            failing.complain(_NO_HANGUL.format(encoding=sys.stdout.encoding))
        return failing.flushed(_served(given), given)


def _served(given: Sequence[str]) -> int:
    try:
        with normlab.make_context(speaking.program(), list(given)) as ctx:
            normlab.invoke(ctx)
        return 0
    except Exception as problem:
        return failing.code_of(problem, given)
    except KeyboardInterrupt:
        return failing.interrupted(given)


@click.command(
    cls=Group,
    invoke_without_command=True,
    usage="[--version] VERB ...",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=N_(
        "The workbench for normalization in deep learning: see what a normalization does, and choose one on evidence."
    ),
)
@speaking.flag("--version", is_flag=True, help=N_("print the version"))
@speaking.lang_flag
@speaking.debug_flag
@click.pass_context
def normlab(ctx: click.Context, version: bool, **_: Any) -> None:
    """Three lines where no verb is given; the verbs do the rest."""
    if version:
        from normlab import __version__

        click.echo(f"normlab {__version__}")
    elif ctx.invoked_subcommand is None:
        say, program = speaking.language(), speaking.program()
        click.echo(translate(_WHAT, say))
        click.echo(translate(_HOW, say, program=program))
        click.echo(translate(_MORE, say, program=program))
        click.echo(f"  {program} compare")


# Not for the catalogue: whoever reads this could not read it in Korean.
_NO_HANGUL = "{encoding} has no Hangul, so ? stands in its place. PYTHONIOENCODING=utf-8 lets it through."
_WHAT = N_("See what a normalization does to a network, and choose one on evidence.")
_HOW = N_("The verbs: {program} --help. The techniques: {program} guide")
_MORE = N_("Start here: none, batch and layer normalization on five sigmoid layers.")
