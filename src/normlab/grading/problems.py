"""What can stop a grading: a question that cannot be asked, and an answer that is none."""

from __future__ import annotations

import re
import traceback
from typing import Any

__all__ = ["Failed", "Refused", "failure"]

MOST_LETTERS = 300  # of somebody else's message: the first sentences tell


class Refused(Exception):
    """The question cannot be asked: `key` and its fields say why. A mistake of usage."""

    def __init__(self, key: str, **fields: Any) -> None:
        super().__init__(key)
        self.key, self.fields = key, fields


class Failed(Exception):
    """The implementation gave no answer that could be graded: `key` and its fields say what it did instead."""

    def __init__(self, key: str, **fields: Any) -> None:
        super().__init__(key)
        self.key, self.fields = key, fields


def failure(problem: BaseException, file: str | None) -> Failed:
    """Somebody's exception as an answer: its type and message, and the last line of their file that it came through."""
    what = "".join(traceback.format_exception_only(type(problem), problem)[-1:]).strip()
    if isinstance(problem, SyntaxError):
        what, line, code = f"{type(problem).__name__}: {problem.msg}", problem.lineno or 0, (problem.text or "").strip()
        return Failed("raises", what=_plain(what), line=line, code=_plain(code))
    frames = traceback.extract_tb(problem.__traceback__)
    own = [f for f in frames if file is not None and f.filename == file]
    last = own[-1] if own else None
    line, code = (0, "") if last is None else (last.lineno or 0, last.line or "")
    if isinstance(problem, SystemExit):
        return Failed("exits", code_=_plain(str(problem.code)), line=line, code=_plain(code))
    return Failed("raises", what=_plain(what), line=line, code=_plain(code))


def _plain(text: str) -> str:
    """One line, short, and without addresses: they would differ from run to run."""
    text = re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", " ".join(text.split()))
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 3] + "..."
