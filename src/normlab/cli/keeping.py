"""The files that a finished run is kept in: its page, its document, its figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.language import translate

from .failing import complain
from .speaking import language
from .writing import write, write_figures

if TYPE_CHECKING:
    from normlab.result import Result

__all__ = ["keep"]


def keep(result: Result, files: Sequence[Path], folder: Path | None = None, large: bool = False) -> bool:
    """Write the files that were asked for, and return whether Ctrl-C came between them."""
    try:
        for path in sorted(files, key=_is_page):  # what cannot be refused comes first
            write(path, _page(result, large) if _is_page(path) else result.to_json() + "\n")
            complain(translate("wrote {path}", language(), path=path))
        if folder is not None:
            for path in write_figures(folder, result):
                complain(translate("wrote {path}", language(), path=path))
    except KeyboardInterrupt:
        return True
    return False


def _is_page(path: Path) -> bool:
    return path.suffix.lower() == ".html"


def _page(result: Result, large: bool) -> str:
    from normlab.report import render

    return render([result.to_dict()], lang=language(), limit=not large)
