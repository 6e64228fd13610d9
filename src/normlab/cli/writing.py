"""Files that a verb writes: checked before the work begins, written beside and renamed, so that none is ever half."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.errors import ReadWriteError, UsageError
from normlab.language import translate

from .speaking import language

if TYPE_CHECKING:
    from normlab.result import Result

__all__ = ["check_figures", "check_folder", "check_outputs", "write", "write_figures"]

ENDINGS = (".html", ".json")
PNG_DPI = 150  # sharp on a page 800 pixels wide


def check_outputs(paths: Sequence[str], endings: Sequence[str] = ENDINGS) -> list[Path]:
    """The files asked for by `-o`, refused now rather than after the work.

    Raises:
        UsageError: an ending that says no format, or the same file twice.
        ReadWriteError: the folder does not exist or cannot be written to, or the path is a folder.
    """
    say = language()
    found: list[Path] = []
    for text in paths:
        path = Path(text)
        if path.suffix.lower() not in endings:
            known = " / ".join(endings)
            raise UsageError(translate("-o {path}: the file's name must end in {known}.", say, path=text, known=known))
        if path in found:
            raise UsageError(translate("-o {path}: given twice.", say, path=text))
        if path.is_dir():
            raise ReadWriteError(translate("{path}: is a folder; a file is required.", say, path=text))
        check_folder(path.parent)
        found.append(path)
    return found


def check_folder(folder: Path) -> None:
    """Raise ReadWriteError where no file can be made in `folder`."""
    say = language()
    if not folder.is_dir():
        if folder.exists():
            raise ReadWriteError(translate("{folder}: is a file; a folder is required.", say, folder=str(folder)))
        hint = translate("Make it first: mkdir -p {folder}", say, folder=shlex.quote(str(folder)))
        raise ReadWriteError(translate("{folder}: there is no such folder.", say, folder=str(folder)), hint=hint)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ReadWriteError(translate("{folder}: no permission to write there.", say, folder=str(folder)))


def write(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` all or nothing: beside it first, then renamed over it.

    Raises:
        ReadWriteError: with what the operating system says; nothing is left behind, and an older file stays whole.
    """
    # The name of a file may hold bytes that are no text: they are written as escapes, in JSON its own.
    raw = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    target = Path(os.path.realpath(path))  # a link keeps pointing where it points
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(beside, "xb") as stream:
            stream.write(raw)
        os.replace(beside, target)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        message = translate("{path}: cannot be written: {reason}.", language(), path=str(path), reason=reason)
        raise ReadWriteError(message) from problem
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def check_figures(folder: str | None) -> Path | None:
    """The folder for figures; made only when they are written. Raises ReadWriteError where it cannot be."""
    if folder is None:
        return None
    path = Path(folder)
    check_folder(next(one for one in (path, *path.parents) if one.exists() or one.parent == one))
    return path


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        message = translate("{path}: cannot be made: {reason}.", language(), path=str(folder), reason=reason)
        raise ReadWriteError(message) from problem


def write_figures(folder: Path, result: Result) -> list[Path]:
    """Write each figure as SVG, with the plot extra matplotlib's too as PNG where there is one; return the files."""
    from normlab.report import figures

    _make(folder)
    written = []
    for name, drawing in figures(result.to_dict(), language()).items():
        path = folder / f"{name}.svg"
        write(path, drawing)
        written.append(path)
    plot = getattr(result, "plot", None)
    if plot is not None and find_spec("matplotlib") is not None:
        stream = io.BytesIO()
        plot().savefig(stream, format="png", dpi=PNG_DPI)
        path = folder / f"{type(result).__name__.lower()}.png"
        write(path, stream.getvalue())
        written.append(path)
    return written
