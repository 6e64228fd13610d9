"""`normlab report`: one HTML page of runs that were kept as JSON, a chapter for each."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from normlab.errors import NormlabError, ReadWriteError, UsageError
from normlab.language import N_, translate

from .envelope import Envelope
from .parameters import PATH
from .speaking import flag, language, verb
from .writing import check_outputs, write

DEFAULT_OUTPUT = "normlab-report.html"
# The documents that have a page, and what must stand in each.
REQUIRED = {
    "normlab.compare/1": ("command", "settings", "arms", "verdicts"),
    "normlab.bench/1": ("command", "settings", "rows", "summary", "verdicts"),
    "normlab.train/1": ("command", "settings", "data", "seeds", "arms", "verdicts"),
}


@verb(
    "report",
    usage="RUN.json [RUN.json ...] [-o FILE.html]",
    help=N_(
        "Render runs again as one HTML page, a chapter for each. A RUN is what 'normlab compare -o RUN.json' wrote; "
        "'-' reads one from stdin."
    ),
    examples=[
        "normlab compare -o run.json",
        "normlab report run.json -o report.html",
        "normlab compare --json | normlab report - -o report.html",
    ],
)
@click.argument("runs", nargs=-1)
@flag("-o", "--output", "outputs", type=PATH, multiple=True, metavar="FILE.html",
      help=N_("where to; normlab-report.html by default"))
@flag("--large", is_flag=True, help=N_("write the report even where it is larger than a page should be"))
def report(runs: Sequence[str], outputs: Sequence[str], large: bool, as_json: bool, lang: str, debug: bool) -> None:
    """The verb; the page is `normlab.report.render` of the documents."""
    say = language()
    if not runs:
        hint = "normlab compare -o run.json && normlab report run.json"
        raise UsageError(translate("report needs the file of a run.", say), hint=hint)
    words = ["normlab", "report", *runs, *(word for one in outputs for word in ("-o", one))]
    envelope = Envelope("report", shlex.join(words), {"runs": list(runs), "lang": say})
    files = check_outputs(outputs or [DEFAULT_OUTPUT], endings=(".html",))
    documents = [read_run(one) for one in runs]
    page = _page(documents, runs, say, large)
    for path in files:
        write(path, page)
    if as_json:
        envelope.print(written=[{"path": str(path), "bytes": path.stat().st_size} for path in files])
        return
    for path in files:
        click.echo(translate("wrote {path}", say, path=path))


def read_run(text: str) -> dict[str, Any]:
    """The document in a file.

    Raises:
        ReadWriteError: there is no such file, it may not be read, or it holds no JSON.
        UsageError: it holds JSON, but not the document of a run.
    """
    say = language()
    try:
        content = sys.stdin.read() if text == "-" else Path(text).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ReadWriteError(translate("{path}: there is no such file.", say, path=text), hint=_near(text)) from None
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise ReadWriteError(translate("{path}: cannot be read: {reason}.", say, path=text, reason=reason)) from None
    except UnicodeDecodeError:
        raise ReadWriteError(translate("{path}: holds no text in UTF-8.", say, path=text)) from None
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as problem:
        message = translate("{path}: holds no JSON: {reason}.", say, path=text, reason=str(problem))
        raise ReadWriteError(message) from None
    return _checked(document, text)


def _checked(document: Any, path: str) -> dict[str, Any]:
    say = language()
    schema = document.get("schema") if isinstance(document, dict) else None
    hint = translate("Make one with: normlab compare -o run.json", say)
    if not isinstance(schema, str) or schema not in REQUIRED:
        came = translate("none", say) if schema is None else repr(schema)
        message = translate(
            "{path}: the document of a run is required, with the schema {schema}; this one has {came}.",
            say, path=path, schema=" / ".join(REQUIRED), came=came,
        )  # fmt: skip
        raise UsageError(message, hint=hint)
    missing = [key for key in REQUIRED[schema] if key not in document]
    if missing:
        raise UsageError(translate("{path}: lacks {keys}.", say, path=path, keys=", ".join(missing)), hint=hint)
    assert isinstance(document, dict)  # a schema was found in it
    return document


def _page(documents: Sequence[dict[str, Any]], runs: Sequence[str], say: str, large: bool) -> str:
    from normlab.report import render

    try:
        return render(documents, lang=say, limit=not large)
    except (NormlabError, MemoryError, OSError):
        raise
    except Exception as problem:  # a document that somebody has cut or changed may break a page in any way
        what = f"{type(problem).__name__}: {problem}"
        message = translate("{paths}: is not a complete run: {what}.", say, paths=", ".join(runs), what=what)
        raise UsageError(message) from problem


def _near(text: str) -> str | None:
    from normlab.errors import near

    folder = Path(text).parent
    names = [one.name for one in folder.glob("*.json")] if folder.is_dir() else []
    close = ", ".join(str(folder / one) for one in near(Path(text).name, names))
    return translate("Did you mean {names}?", language(), names=close) if close else None
