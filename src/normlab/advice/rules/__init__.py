"""The rules, one file a group; `RULES` holds all of them in the order in which reasons of equal weight are given."""

from __future__ import annotations

from ..rule import Rule
from . import agreement, dense, generating, images, steps, without

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    *agreement.RULES, *images.RULES, *steps.RULES, *dense.RULES, *generating.RULES, *without.RULES,
)  # fmt: skip
