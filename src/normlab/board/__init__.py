"""What a sharing board holds: numbers, sets, statistics, and the arithmetic from one to the other."""

from __future__ import annotations

from .document import KINDS, LINE, MOST_ELEMENTS, SCHEMA, Setting, board

__all__ = ["KINDS", "LINE", "MOST_ELEMENTS", "SCHEMA", "Setting", "board"]
