"""How many processors there are to use."""

from __future__ import annotations

import os

__all__ = ["usable"]


def usable() -> int:
    """How many processors this process may use; a container or an affinity may allow fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
