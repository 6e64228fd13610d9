"""Data for normlab: handwritten digits that ship with it, a reader for tables, a scaler for input features.

The names are resolved on first use: importing this package imports no NumPy, and only `FeatureWise` needs the
extra `sklearn`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .digits import load_digits
    from .feature_wise import FeatureWise
    from .tables import read_table

__all__ = ["FeatureWise", "load_digits", "read_table"]

_HOME = {"FeatureWise": "feature_wise", "load_digits": "digits", "read_table": "tables"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
