"""Groups of answers that several rules name."""

from __future__ import annotations

__all__ = ["DENSE", "ENOUGH", "MANY", "MAPS", "ONE", "SMALL", "SOME", "TINY"]

ONE, TINY, SOME, MANY = ("1",), ("2-4",), ("5-15",), ("32+",)
ENOUGH = ("16-31", "32+")
"""Batches for which batch normalization's statistics are good enough (its card: 16 or more on each device)."""
SMALL = ("1", "2-4", "5-15")
DENSE = ("mlp", "sigmoid_mlp")
MAPS = ("cnn", "unet", "gan")
