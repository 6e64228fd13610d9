"""The views of the lab, one file each: found by walking this folder, in the order of their `place`."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from ..view import View

__all__ = ["views"]


@functools.cache
def views() -> tuple[View, ...]:
    """Every view: a module of this folder that has a `VIEW`."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    found = [module.VIEW for module in modules if hasattr(module, "VIEW")]
    return tuple(sorted(found, key=lambda view: view.place))
