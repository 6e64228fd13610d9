"""A grid of trials, worked off by local processes or by Ray, with results in one SQLite file that survives anything.

A driver hands out trials and is the only one that writes; an engine is where trials run. Every result is a transaction
of its own, so whatever is cut off is continued by the same call, with the same table at the end.
"""

from __future__ import annotations

from .document import read
from .driver import Interrupted, Sweep, run_sweep

__all__ = ["Interrupted", "Sweep", "read", "run_sweep"]
