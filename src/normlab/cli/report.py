"""`normlab report`: one HTML page of runs that were kept as JSON and of sweeps' results files, a chapter for each."""

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

SWEEP = "normlab.sweep/1"
SQLITE = b"SQLite format 3\x00"
DATABASES = (".db", ".sqlite")
DEFAULT_OUTPUT = "normlab-report.html"
# The documents that have a page, and what must stand in each.
REQUIRED = {
    "normlab.compare/1": ("command", "settings", "arms", "verdicts"),
    "normlab.bench/1": ("command", "settings", "rows", "summary", "verdicts"),
    "normlab.claims/1": ("command", "settings", "versions", "machine", "claims"),
    "normlab.advise/1": ("command", "settings", "ranking", "changes", "measured", "verdicts"),
    "normlab.check/1": ("command", "settings", "verdicts", "faults", "conventions", "notes", "checks", "printed"),
    "normlab.sweep/1": ("command", "settings", "counts", "columns", "trials"),
    "normlab.train/1": ("command", "settings", "data", "seeds", "arms", "verdicts"),
}


@verb(
    "report",
    usage="RUN.json|RESULTS.db [...] [-o FILE.html]",
    help=N_(
        "Render runs as one HTML page, a chapter for each. A RUN is what 'normlab compare -o RUN.json' or another verb "
        "wrote, or the results file of 'normlab sweep', finished or not; '-' reads a document from stdin."
    ),
    examples=[
        "normlab compare -o run.json",
        "normlab report run.json -o report.html",
        "normlab compare --json | normlab report - -o report.html",
        "normlab report results.db --metric test_loss -o report.html",
    ],
)
@click.argument("runs", nargs=-1)
@flag("-o", "--output", "outputs", type=PATH, multiple=True, metavar="FILE.html",
      help=N_("where to; normlab-report.html by default"))
@flag("--metric", type=PATH, metavar="NAME",
      help=N_("of a sweep: what is compared and drawn; test_accuracy by default"))
@flag("--large", is_flag=True, help=N_("write the report even where it is larger than a page should be"))
def report(
    runs: Sequence[str], outputs: Sequence[str], metric: str | None, large: bool, as_json: bool, lang: str, debug: bool
) -> None:  # fmt: skip
    """The verb; the page is `normlab.report.render` of the documents."""
    say = language()
    if not runs:
        hint = "normlab compare -o run.json && normlab report run.json"
        raise UsageError(translate("report needs the file of a run.", say), hint=hint)
    words = ["normlab", "report", *runs, *(word for one in outputs for word in ("-o", one))]
    words += [] if metric is None else ["--metric", metric]
    envelope = Envelope("report", shlex.join(words), {"runs": list(runs), "metric": metric, "lang": say})
    files = check_outputs(outputs or [DEFAULT_OUTPUT], endings=(".html",))
    documents = _with_metric([read_run(one) for one in runs], metric)
    page = _page(documents, runs, say, large)
    for path in files:
        write(path, page)
    if as_json:
        envelope.print(written=[{"path": str(path), "bytes": path.stat().st_size} for path in files])
        return
    for path in files:
        click.echo(translate("wrote {path}", say, path=path))


def _with_metric(documents: list[dict[str, Any]], metric: str | None) -> list[dict[str, Any]]:
    """The documents, a sweep's with the metric that is to be shown. Raises UsageError where there is no sweep."""
    if metric is None:
        return documents
    if all(one["schema"] != SWEEP for one in documents):
        message = N_("{flag}: is for the results of a sweep, and none was given.")
        raise UsageError(translate(message, language(), flag="--metric"), hint="normlab report results.db")
    return [{**one, "metric": metric} if one["schema"] == SWEEP else one for one in documents]


def read_run(text: str) -> dict[str, Any]:
    """The document in a file, or that of the results file of a sweep.

    Raises:
        ReadWriteError: there is no such file, it may not be read, or it holds no JSON.
        UsageError: it holds JSON, but not the document of a run.
    """
    say = language()
    if _is_database(text):
        from normlab.sweep import read

        return read(text)
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


def _is_database(text: str) -> bool:
    """Whether it is a results file: by its first bytes, or by its name where a damaged one has others."""
    path = Path(text)
    if not path.is_file():
        return False
    if path.suffix.lower() in DATABASES:
        return True
    try:
        with open(path, "rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:
        return False


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
    endings = (".json", *DATABASES)
    names = [one.name for one in folder.iterdir() if one.suffix in endings] if folder.is_dir() else []
    close = ", ".join(str(folder / one) for one in near(Path(text).name, names))
    return translate("Did you mean {names}?", language(), names=close) if close else None
