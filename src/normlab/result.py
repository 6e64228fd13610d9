"""What every verb returns: one plain document, and the ways to look at it.

A result holds nothing but its document, so what is printed, drawn, saved and read back is the same thing.
"""

from __future__ import annotations

import copy
import json
import os
import platform
from collections.abc import Mapping
from typing import Any

__all__ = ["Result", "center", "machine", "versions"]


class Result:
    """A finished run. `to_dict()` is the document; everything else is a function of it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def to_dict(self) -> dict[str, Any]:
        """The document, as a copy that is yours to change."""
        return copy.deepcopy(self._document)

    def to_json(self, *, indent: int | None = None) -> str:
        """The document as JSON; the same run gives the same text, `wall_s` and `machine` aside."""
        return json.dumps(self._document, ensure_ascii=False, allow_nan=False, indent=indent)

    def to_html(self, lang: str = "auto") -> str:
        """The report: one HTML page that holds everything, both languages included, `lang` shown first."""
        from normlab.language import choose
        from normlab.report import render

        return render([self._document], lang=choose(lang))

    def _repr_html_(self) -> str:
        from normlab.language import choose
        from normlab.report import fragment

        return fragment(self._document, choose("auto"))

    def __str__(self) -> str:
        from normlab.language import choose
        from normlab.report import text

        return text(self._document, choose("auto"), color=False, width=80)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._document.get('command', '')!r}>"

    @property
    def exit_code(self) -> int:
        """0; or 4 where the input, or a result that was asked for, is not finite."""
        return 4 if self._document.get("nonfinite") else 0


def center(value: Any) -> float | None:
    """The middle of a measured number: the number itself, the mean of an interval, or None."""
    if isinstance(value, Mapping):
        value = value.get("mean")
    return None if value is None else float(value)


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    from importlib.metadata import version

    from normlab import __version__

    return {"normlab": __version__, "python": platform.python_version(), "numpy": version("numpy")}


def machine() -> dict[str, Any]:
    """The machine, in words: what a timing is worth depends on it."""
    return {"system": platform.system(), "processor": _processor(), "cpus": os.cpu_count() or 1}


def _processor() -> str:
    """The processor's own name where the system tells it (Linux's /proc/cpuinfo), else its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return f"{names[0]} ({platform.machine()})" if names and names[0] else platform.machine()
