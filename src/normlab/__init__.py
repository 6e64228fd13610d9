"""normlab shows what a normalization does to a network, helps to choose one, and gives the layer itself.

Importing it imports nothing else: names are resolved on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name -> the module that holds it; None: the name is the module.
_WHERE = {
    "adopt": "surgery.adopt",
    "advise": "advice",
    "bench": "benchmark",
    "check": "grading",
    "compare": "experiments.compare",
    "data": None,
    "fold": "surgery.folding",
    "freeze": "surgery.freezing",
    "functional": None,
    "init": "initialization",
    "jax": None,
    "keep_norms_fp32": "surgery.precision",
    "list_methods": "registry",
    "method": "registry",
    "migrate_reparam": "surgery.migrating",
    "mlx": None,
    "normalize": "functional",
    "numpy": None,
    "param_groups": "surgery.grouping",
    "recalibrate": "surgery.recalibrating",
    "shares": "sharing",
    "stats_frozen": "surgery.freezing",
    "torch": None,
    "train": "experiments.train",
    "NormlabError": "errors",
}
# `from normlab import *` fetches each of these, and of these packages some may be missing.
_OPTIONAL = {
    "adopt", "fold", "freeze", "jax", "keep_norms_fp32", "migrate_reparam", "mlx",
    "param_groups", "recalibrate", "stats_frozen", "torch",
}  # fmt: skip
__all__ = sorted(_WHERE.keys() - _OPTIONAL)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'normlab' has no attribute {name!r}")
    module = importlib.import_module(f".{_WHERE[name] or name}", __name__)
    value = module if name in ("init",) or _WHERE[name] is None else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*sorted(_WHERE), "__version__"]
