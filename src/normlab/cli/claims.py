"""`normlab claims`: what the literature and the study note claim, listed, or run here with verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from normlab.errors import UsageError
from normlab.language import N_, translate

from .envelope import Envelope
from .failing import INTERRUPTED, Stop, complain
from .parameters import PATH
from .screen import look
from .speaking import flag, language, verb
from .streams import going_on, print_json
from .working import Bar
from .writing import check_outputs, write

if TYPE_CHECKING:
    from normlab.experiments.claims.running import Claims

ALL = "all"
ENDINGS = (".html", ".json", ".md")
EXTRA_MISSING = 3


@verb(
    "claims",
    usage="[LETTER ...|all] [-o FILE.html] ...",
    help=N_(
        "Run what the literature and the study note claim, each with conditions that were written before the run, and "
        "say what was reproduced here. Without a LETTER: which claims there are, what they came to in the run that "
        "the documentation shows, and about how long each takes."
    ),
    examples=[
        "normlab claims",
        "normlab claims a d",
        "normlab claims all -o claims.json -o claims.md",
        "normlab claims h --json",
    ],
)
@click.argument("letters", nargs=-1)
@flag("-o", "--output", "outputs", type=PATH, multiple=True, metavar="FILE",
      help=N_("write FILE.html (the report), FILE.md or FILE.json; repeatable"))
def claims(letters: Sequence[str], outputs: Sequence[str], as_json: bool, lang: str, debug: bool) -> None:
    """The verb; what it prints is a function of the document that `run_claims` returns."""
    files = check_outputs(outputs, ENDINGS)
    if not letters:
        if files:
            message = translate("claims: -o keeps a run, so at least one LETTER is required.", language())
            raise UsageError(message, hint=f"normlab claims all -o {outputs[0]}")
        _list(as_json)
        return
    result, stopped = _run(() if ALL in letters else letters)
    _show(result, files, as_json)
    if stopped:
        complain(translate("interrupted; what was finished is kept", language()))
        raise Stop(INTERRUPTED)
    _refuse_nothing_run(result.to_dict())


def _list(as_json: bool) -> None:
    from normlab.experiments.claims.recorded import listed
    from normlab.report.claims_text import listing

    envelope = Envelope("claims", "normlab claims", {"claims": []})
    if as_json:
        envelope.print(claims=listed())
        return
    how = look()
    click.echo(listing(listed(), language(), color=how.color, width=how.width))


def _run(letters: Sequence[str]) -> tuple[Claims, bool]:
    """The claims, and whether Ctrl-C ended it early; then those that were finished."""
    from normlab.experiments.claims.running import Interrupted, run_claims

    with Bar(translate("running claims", language())) as bar:
        try:
            return run_claims(letters, on_claim=bar), False
        except Interrupted as early:
            if early.result is None:
                raise KeyboardInterrupt from None
            return early.result, True


def _show(result: Claims, files: Sequence[Path], as_json: bool) -> None:
    """The text or the document, and the files; where one fails, the one document is about that."""
    from normlab.report import text

    document, how, say = result.to_dict(), look(), language()
    try:
        with going_on():
            if not as_json:
                click.echo(text(document, say, color=how.color, width=how.width))
    finally:  # a text that cannot be shown is no reason to lose the files
        for path in files:
            write(path, _content(result, document, path.suffix.lower()))
            complain(translate("wrote {path}", say, path=path))
    if as_json:
        with going_on():
            print_json(result.to_json())


def _content(result: Claims, document: Any, ending: str) -> str:
    if ending == ".json":
        return result.to_json() + "\n"
    if ending == ".html":
        return result.to_html(language())
    from normlab.report.claims_markdown import page

    return page(document, language())


def _refuse_nothing_run(document: Any) -> None:
    """Nothing could be run because an extra is missing: the exit code says so."""
    from normlab.experiments.claims.claim import NOT_RUN

    if all(entry["verdict"] == NOT_RUN for entry in document["claims"]):
        complain(document["claims"][0]["conditions"][0]["said"][language()])
        raise Stop(EXTRA_MISSING)
