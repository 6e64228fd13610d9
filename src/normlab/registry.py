"""Finds the methods: walks a folder, one definition a file, and answers by long or short name."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .definition import Definition
from .errors import UsageError, unknown

__all__ = ["Registry", "list_methods", "method", "methods"]

# The note's ten in its order, then RMS norm; the rest follow by name: an order to read in, not a list of methods.
READING_ORDER = (
    "batch_norm", "layer_norm", "instance_norm", "group_norm", "whole_norm", "unit_norm", "feature_wise", "film",
    "spectral_norm", "selu", "alpha_dropout", "weight_norm", "local_response_norm", "rms_norm",
)  # fmt: skip


class Registry:
    """The methods of one or more folders. Raises UsageError for a file with no definition, two, or a name taken."""

    def __init__(self, *folders: Path) -> None:
        self._methods: dict[str, Definition] = {}
        for folder in folders:
            for path in sorted(folder.glob("*.py")):
                if not path.name.startswith("_"):
                    self.load(path)
        rank = {name: k for k, name in enumerate(READING_ORDER)}
        self._methods = dict(sorted(self._methods.items(), key=lambda m: (rank.get(m[0], len(rank)), m[0])))

    def load(self, path: Path) -> Definition:
        """Read one file and register the definition in it."""
        inside = path.resolve().parent == _FOLDER
        name = f"normlab.methods.{path.stem}" if inside else f"normlab_user_methods.{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise UsageError(f"{path} cannot be read as a method's file.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # pickle finds a forward by its module
        spec.loader.exec_module(module)
        found = [value for value in vars(module).values() if isinstance(value, Definition)]
        if len(found) != 1:
            raise UsageError(f"{path.name} must define exactly one method, got {len(found)}.")
        self.add(found[0], path.name)
        return found[0]

    def add(self, definition: Definition, where: str = "") -> None:
        """Register `definition`. Raises UsageError where its name, short name or class name is taken."""
        for other in self._methods.values():
            for field in ("name", "short", "class_name"):
                called = getattr(definition, field)
                if called.lower() in _called(other):
                    raise UsageError(f"{where or definition.name}: {field} {called!r} is taken by {other.name}.")
        self._methods[definition.name] = definition

    def __iter__(self) -> Iterator[Definition]:
        return iter(self._methods.values())

    def find(self, name: str) -> Definition:
        """The method of that long or short name. Raises UnknownNameError with the nearest names."""
        wanted = str(name).strip().lower().replace("-", "_")
        for definition in self:
            if wanted in _called(definition):
                return definition
        raise unknown("method", str(name), [n for d in self for n in dict.fromkeys((d.name, d.short))])


def _called(definition: Definition) -> tuple[str, str, str]:
    return definition.name, definition.short, definition.class_name.lower()


_FOLDER = Path(__file__).resolve().parent / "methods"


@cache
def _default() -> Registry:
    return Registry(_FOLDER)


def methods() -> Registry:
    """The registry of the methods that come with normlab."""
    return _default()


def list_methods() -> list[str]:
    """The names of all methods, the study note's first."""
    return [d.name for d in methods()]


def method(name: str) -> Definition:
    """The definition of a method by its long or short name. Raises UnknownNameError with the nearest names."""
    return methods().find(name)
