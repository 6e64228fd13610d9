"""`normlab sweep`: a grid of trials from a file, kept in a results file that the same command continues."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from normlab.errors import UsageError
from normlab.language import N_, translate

from .failing import INTERRUPTED, Stop, complain
from .parameters import PATH, WHOLE
from .screen import look
from .speaking import flag, language, verb
from .streams import going_on, print_json
from .working import Bar
from .writing import check_outputs, write

if TYPE_CHECKING:
    from normlab.sweep import Sweep

TRIAL = "normlab.experiments.trial:trial"
RESULTS = (".db", ".sqlite")


@verb(
    "sweep",
    usage="SPEC.toml [-o FILE.db] [--engine NAME] ...",
    help=N_(
        "Train every combination of the lists in SPEC.toml's [grid]; [fixed] holds what they share. Each result is on "
        "the disk at once, and the same command continues what was interrupted."
    ),
    examples=[
        "normlab sweep examples/sweep.toml",
        "normlab sweep examples/sweep.toml -o results.db --workers 4 --export results.csv",
        "normlab sweep examples/sweep.toml --engine ray --address 192.0.2.1:6379",
    ],
)
@click.argument("spec", required=False)
@flag("-o", "--output", type=PATH, metavar="FILE.db",
      help=N_("the results file, made or continued; the specification's name with .db by default"))
@flag("--workers", type=WHOLE, help=N_("how many trials at a time; by default as many as processors"))
@flag("--engine", metavar="NAME", help=N_("local, processes on this machine (the default), or ray"))
@flag("--address", type=PATH, metavar="HOST:PORT", help=N_("of the Ray cluster; this machine's by default"))
@flag("--most", type=WHOLE, help=N_("how many trials are allowed; 1000 by default"))
@flag("--retry", is_flag=True, help=N_("try again what has failed; what is done stays"))
@flag("--export", "exports", type=PATH, multiple=True, metavar="FILE",
      help=N_("write the table to FILE.csv or FILE.parquet too; repeatable"))
def sweep(
    spec: str | None, output: str | None, exports: Sequence[str], as_json: bool, lang: str, debug: bool, **given: Any
) -> None:  # fmt: skip
    """The verb; what it prints is a function of the document that `run_sweep` returns."""
    from normlab.sweep.export import ENDINGS, check_export

    say = language()
    if spec is None:
        raise UsageError(translate("sweep needs a specification.", say), hint="normlab sweep examples/sweep.toml")
    files = check_outputs(exports, ENDINGS)
    for path in files:
        check_export(path)
    store = check_outputs([output or f"{Path(spec).stem}.db"], RESULTS)[0]
    result, stopped = _swept(spec, store, {name: value for name, value in given.items() if value is not None})
    _show(result, files, as_json)
    if stopped:
        complain(translate("interrupted; what was finished is kept", say))
        raise Stop(INTERRUPTED)


def _swept(spec: str, store: Path, arguments: dict[str, Any]) -> tuple[Sweep, bool]:
    """The sweep, and whether Ctrl-C ended it early."""
    from normlab.experiments.trial import check
    from normlab.sweep import Interrupted, run_sweep

    words = ["normlab", "sweep", spec, "-o", str(store)]
    words += ["--most", str(arguments["most"])] if "most" in arguments else []  # engines change no result
    with Bar(translate("training", language())) as bar:
        try:
            return run_sweep(
                spec, store, trial=TRIAL, check=check, command=shlex.join(words), on_trial=bar, **arguments
            ), False  # fmt: skip
        except Interrupted as early:
            return early.result, True


def _show(result: Sweep, files: Sequence[Path], as_json: bool) -> None:
    """The table or the document, and the exports; where one fails, the one document is about that."""
    from normlab.report import text
    from normlab.sweep.export import exported

    document, how, say = result.to_dict(), look(), language()
    try:
        with going_on():
            if not as_json:
                click.echo(text(document, say, color=how.color, width=how.width))
    finally:
        for path in files:
            write(path, exported(document, path))
            complain(translate("wrote {path}", say, path=str(path)))
    if as_json:
        with going_on():
            print_json(result.to_json())
