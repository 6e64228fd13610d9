"""Data for normlab: digits that ship with it, toys, readers for the user's own files, a scaler for input features.

The names are resolved on first use: importing this package imports no NumPy. Only `FeatureWise` needs the extra
`sklearn`, and images in a folder the extra `images`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dataset import Dataset
    from .digits import load_digits
    from .feature_wise import FeatureWise
    from .loading import load
    from .pictures import as_images, flattened
    from .scaling import normalized
    from .tables import read_table

__all__ = ["Dataset", "FeatureWise", "as_images", "flattened", "load", "load_digits", "normalized", "read_table"]

_HOME = {
    "Dataset": "dataset",
    "FeatureWise": "feature_wise",
    "as_images": "pictures",
    "flattened": "pictures",
    "load": "loading",
    "load_digits": "digits",
    "normalized": "scaling",
    "read_table": "tables",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
