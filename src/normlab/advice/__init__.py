"""Which normalization, and why: four questions, rules with their sources, and a ranking of methods."""

from __future__ import annotations

from .advising import Advice, advise

__all__ = ["Advice", "advise"]
