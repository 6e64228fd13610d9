"""What this copy of normlab needs and what of it is installed, read from metadata: nothing is imported to find out."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from normlab.errors import install_line

__all__ = ["FACES", "extras_of", "faces_of", "installed", "needs"]

_NEED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?[^;]*;?(.*)$")
_MARKER = re.compile(r"(extra|sys_platform)\s*==\s*['\"]([^'\"]+)['\"]")
BASE = ""
"""The key of what is needed without any extra."""
FACES = ("numpy", "torch", "jax", "mlx")
"""Each face is named after its framework; but for NumPy's, so is the extra that brings it."""


def needs() -> dict[str, list[str]]:
    """The packages that each extra needs on this system, and under BASE those that are always needed.

    An extra that brings other extras needs theirs too.
    """
    found: dict[str, list[str]] = {BASE: []}
    inner: dict[str, list[str]] = {}
    for line in _lines():
        match = _NEED.match(line)
        if match is None:
            continue
        name, brackets, markers = match[1].lower(), match[2], dict(_MARKER.findall(match[3]))
        extra = markers.get("extra", BASE)
        packages = found.setdefault(extra, [])
        if name == "normlab":
            inner.setdefault(extra, []).extend(one.strip() for one in (brackets or "").split(","))
        elif markers.get("sys_platform", sys.platform) == sys.platform:
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


def faces_of(needed: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """For each face: whether what it computes with is present, with versions, and else the line that installs it.

    Kernels are no part of it: without them a face computes the same by the formula.
    """
    found = {}
    for face in FACES:
        packages = installed([name for name in needed.get(face, [face]) if name not in needed.get("fast", ())])
        present = None not in packages.values()
        found[face] = {"present": present, "packages": packages, "install": None if present else install_line(face)}
    return found


def _resolve(extra: str, found: dict[str, list[str]], inner: dict[str, list[str]]) -> list[str]:
    return [*(p for one in inner.get(extra, ()) for p in _resolve(one, found, inner)), *found.get(extra, ())]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _lines() -> list[str]:
    """The requirements as a checkout's pyproject.toml has them, else as the metadata do.

    The metadata of a checkout are as old as its last installation, and the line that installs reads pyproject.toml.
    """
    return _declared(Path(__file__).resolve().parents[3] / "pyproject.toml") or _recorded()


def _declared(file: Path) -> list[str]:
    if not file.is_file():
        return []
    import tomllib

    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {}).items()
    marked = [f'{need}{" and" if ";" in need else ";"} extra == "{name}"' for name, those in extras for need in those]
    return [*project["dependencies"], *marked]


def _recorded() -> list[str]:
    try:
        return requires("normlab") or []
    except PackageNotFoundError:
        return []
