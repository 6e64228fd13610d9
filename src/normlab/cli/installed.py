"""What this copy of normlab needs and what of it is installed, read from metadata: nothing is imported to find out."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from normlab.errors import install_line

__all__ = ["extras_of", "installed", "needs"]

_NEED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?[^;]*(?:;.*extra\s*==\s*['\"]([^'\"]+)['\"])?")
BASE = ""
"""The key of what is needed without any extra."""


def needs() -> dict[str, list[str]]:
    """The packages that each extra needs, and under BASE those that are always needed; extras in extras resolved."""
    found: dict[str, list[str]] = {BASE: []}
    inner: dict[str, list[str]] = {}
    for line in _lines():
        match = _NEED.match(line)
        if match is None:
            continue
        name, brackets, extra = match[1].lower(), match[2], match[3] or BASE
        packages = found.setdefault(extra, [])
        if name == "normlab":
            inner.setdefault(extra, []).extend(one.strip() for one in (brackets or "").split(","))
        else:
            packages.append(name)
    return {extra: list(dict.fromkeys(_resolve(extra, found, inner))) for extra in found}


def installed(packages: list[str]) -> dict[str, str | None]:
    """The version of each package; None where it is not installed."""
    return {package: _version(package) for package in packages}


def extras_of(needed: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """For each extra: whether it is present, its packages, and the line that installs it where it is not."""
    found = {}
    for extra, names in needed.items():
        if extra != BASE:
            packages = installed(names)
            present = None not in packages.values()
            line = None if present else install_line(extra)
            found[extra] = {"present": present, "packages": packages, "install": line}
    return found


def _resolve(extra: str, found: dict[str, list[str]], inner: dict[str, list[str]]) -> list[str]:
    return [*(p for one in inner.get(extra, ()) for p in _resolve(one, found, inner)), *found.get(extra, ())]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _lines() -> list[str]:
    """The requirements as metadata write them; of a checkout that was never installed, from its pyproject.toml."""
    try:
        return requires("normlab") or []
    except PackageNotFoundError:
        pass
    import tomllib

    file = Path(__file__).resolve().parents[3] / "pyproject.toml"
    if not file.is_file():
        return []
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {}).items()
    return [*project["dependencies"], *(f'{need}; extra == "{name}"' for name, those in extras for need in those)]
